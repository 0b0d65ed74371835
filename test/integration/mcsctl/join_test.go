package mcsctl

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

const ipPoolCRD = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ippools.crd.projectcalico.org}
spec:
  group: crd.projectcalico.org
  scope: Cluster
  names: {kind: IPPool, listKind: IPPoolList, plural: ippools, singular: ippool}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

const ipPools = `apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: default-ipv4-ippool}
spec: {cidr: 10.244.0.0/16, disabled: true}
---
apiVersion: crd.projectcalico.org/v1
kind: IPPool
metadata: {name: more}
spec: {cidr: 10.245.0.0/16}
`

// system puts a ConfigMap into kube-system.
func (c *cluster) system(t *testing.T, name string, data map[string]string) {
	t.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
	maps := c.kube.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	_, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
	}
	kit.Must(t, err)
}

// TestJoinDeclares_X2_X5: join declares the ranges of endpoints where the network's configuration tells them and no endpoint
// speaks against it, and says why not where it can't; what was registered stays unless a flag changes it.
func TestJoinDeclares_X2_X5(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	joins := func(said string, flags ...string) outcome {
		t.Helper()
		o := mcsctl(t, append([]string{"join", "c1", "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c2"}, flags...)...)
		o.wants(t, 0, said)
		return o
	}
	registered := func(limit, want string) {
		t.Helper()
		s, err := c2.kube.CoreV1().Secrets(system).Get(t.Context(), "c1", getOptions)
		kit.Must(t, err)
		if got := s.Annotations[mcsapi.Domain+"/"+limit]; got != want {
			t.Errorf("%s is %q, want %q", limit, got, want)
		}
	}
	joins("endpoints of c1 can have any address: nothing in the cluster tells the ranges of its pods; --endpoint-cidrs declares the ranges that they must be in")
	registered(registration.LimitEndpointCIDRs, "")

	c1.system(t, "kubeadm-config", map[string]string{"ClusterConfiguration": "networking:\n  podSubnet: 10.244.0.0/16\n"})
	joins("kubeadm-config says 10.244.0.0/16, but no endpoint there shows that pods are in it")
	namespace(t, "shop", c1)
	c1.service(t, "shop", "web", "10.244.0.5")
	joins("c1: endpoints must be in 10.244.0.0/16 (kubeadm-config); --endpoint-cidrs changes it")
	registered(registration.LimitEndpointCIDRs, "10.244.0.0/16")

	c1.service(t, "shop", "far", "10.1.0.5")
	joins("c1 is a member now", "--exported-keys", "example.com,networking.istio.io/exportTo")
	registered(registration.LimitEndpointCIDRs, "10.244.0.0/16")
	registered(registration.LimitExportedKeys, "example.com,networking.istio.io/exportTo")
	if o := joins("c1 is a member now", "--endpoint-cidrs", "any"); strings.Contains(o.err, "endpoint-cidrs") {
		t.Errorf("it speaks of what was asked for: %s", o.err)
	}
	registered(registration.LimitEndpointCIDRs, "")
	registered(registration.LimitExportedKeys, "example.com,networking.istio.io/exportTo")
	joins("c1 is a member now") // what was said stands
	registered(registration.LimitEndpointCIDRs, "")
	joins("kubeadm-config says 10.244.0.0/16, but Service shop/far has endpoint 10.1.0.5", "--endpoint-cidrs", "")
	joins("--pod-cidrs says 10.244.0.0/16, but Service shop/far has endpoint 10.1.0.5", "--pod-cidrs", "10.244.0.0/16")
	registered(registration.LimitEndpointCIDRs, "")
	joins("c1 is a member now", "--endpoint-cidrs", "10.244.0.0/16,10.1.0.0/24")
	registered(registration.LimitEndpointCIDRs, "10.244.0.0/16,10.1.0.0/24")
	registered("pod-cidrs", "10.244.0.0/16")
	joins("c1 is a member now", "--endpoint-cidrs", "any")

	kit.Must(t, c1.kube.DiscoveryV1().EndpointSlices("shop").Delete(t.Context(), "far-x", metav1.DeleteOptions{}))
	c1.system(t, "cilium-config", map[string]string{"ipam": "cluster-pool", "cluster-pool-ipv4-cidr": "10.240.0.0/12", "cluster-pool-ipv6-cidr": "fd00:10::/104"})
	joins("c1 is a member now")
	registered(registration.LimitEndpointCIDRs, "")
	joins("c1: endpoints must be in 10.240.0.0/12,fd00:10::/104 (Cilium's configuration)", "--endpoint-cidrs", "", "--pod-cidrs", "")
	joins("c1 is a member now", "--endpoint-cidrs", "any")
	kit.Must(t, c1.ApplyYAML(t.Context(), []byte(ipPoolCRD)))
	kit.Must(t, c1.ApplyYAML(t.Context(), []byte(ipPools)))
	joins("c1: endpoints must be in 10.244.0.0/15 (Calico's IPPools)", "--endpoint-cidrs", "")
	joins("c1 is a member now", "--endpoint-cidrs", "any", "--role", "consumer")
	if o := joins("c1 is a member now", "--endpoint-cidrs", ""); strings.Contains(o.err, "endpoints") {
		t.Errorf("it declares what a cluster that only imports exports: %s", o.err)
	}
	registered("role", "consumer")

	for _, bad := range [][]string{{"--endpoint-cidrs", "10.1.0.0"}, {"--exported-keys", "*/x"}} {
		mcsctl(t, append([]string{"join", "c1", "--from", "c1", "--kubeconfig", kubeconfig, "--context", "c2"}, bad...)...).wants(t, 2, bad[0])
	}
}
