package controlplane

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// controllers are those that this project's objects meet in a real cluster. What concerns storage, certificates,
// autoscaling and clouds is left out, for speed.
var controllers = []string{
	"clusterrole-aggregation-controller",
	"daemonset-controller",
	"deployment-controller",
	"endpoints-controller",
	"endpointslice-controller",
	"endpointslice-mirroring-controller",
	"garbage-collector-controller",
	"job-controller",
	"namespace-controller",
	"node-lifecycle-controller",
	"pod-garbage-collector-controller",
	"replicaset-controller",
	"root-ca-certificate-publisher-controller",
	"service-cidr-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"statefulset-controller",
}

// startControllerManager starts kube-controller-manager and waits until it has made what a first pod needs.
func (c *Cluster) startControllerManager(ctx context.Context) error {
	kubeconfig := c.kubeconfigPath("kube-controller-manager")
	if err := c.writeKubeconfig(kubeconfig, "system:kube-controller-manager"); err != nil {
		return err
	}
	args, err := c.controllerManagerArgs(kubeconfig)
	if err != nil {
		return err
	}
	if err := c.launch(&c.controllerManager, "kube-controller-manager", args); err != nil {
		return err
	}
	return c.await(ctx, &c.controllerManager, func(ctx context.Context) error {
		if _, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return err
		}
		_, err := c.client.CoreV1().ConfigMaps("default").Get(ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err
	})
}

func (c *Cluster) controllerManagerArgs(kubeconfig string) ([]string, error) {
	enabled := controllers
	args := []string{
		"--kubeconfig=" + kubeconfig,
		"--secure-port=0", // it serves nothing
		"--leader-elect=false",
		"--node-monitor-grace-period=10m",            // an API server that was away for long leaves no dead nodes behind
		"--kube-api-qps=500", "--kube-api-burst=500", // 20 and 30 are for API servers with more to do
		"--use-service-account-credentials", // each controller with its own role, as in a real cluster
		"--root-ca-file=" + filepath.Join(c.pki(), caFile),
		"--service-account-private-key-file=" + filepath.Join(c.pki(), signingKeyFile),
		"--service-cluster-ip-range=" + strings.Join(c.opts.ServiceCIDRs, ","),
	}
	if len(c.opts.PodCIDRs) > 0 {
		enabled = append(enabled[:len(enabled):len(enabled)], "node-ipam-controller")
		masks, err := nodeMasks(c.opts.PodCIDRs)
		if err != nil {
			return nil, err
		}
		args = append(args, "--allocate-node-cidrs", "--cluster-cidr="+strings.Join(c.opts.PodCIDRs, ","))
		args = append(args, masks...)
	}
	return append(args, "--controllers="+strings.Join(enabled, ",")), nil
}

// nodeMasks returns the arguments that give each node the usual /24 or /64 of its family, or a whole pod range where that
// is smaller.
func nodeMasks(podCIDRs []string) ([]string, error) {
	var args []string
	for _, cidr := range podCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("the pod ranges: %w", err)
		}
		if prefix.Addr().Is4() {
			args = append(args, fmt.Sprintf("--node-cidr-mask-size-ipv4=%d", max(24, prefix.Bits())))
		} else {
			args = append(args, fmt.Sprintf("--node-cidr-mask-size-ipv6=%d", max(64, prefix.Bits())))
		}
	}
	return args, nil
}
