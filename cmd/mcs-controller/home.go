package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

// namespaceFile says which namespace a pod is in.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// home is the cluster that holds the members' Secrets and the leader's Lease, if there is one.
type home struct {
	config    *rest.Config // nil if there is none
	namespace string
	pod       bool // this program runs in a pod
}

// known says whether Secrets can be read and Leases held.
func (h *home) known() bool { return h.config != nil && h.namespace != "" }

// client returns a client of the own cluster, for cfg, which is config or what was made of it.
func (h *home) client(cfg *rest.Config) (kubernetes.Interface, error) {
	client, err := kubeclient.New(cfg)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfigAndClient(client.Config, client.HTTP)
}

// findHome looks for the own cluster: --kubeconfig, else that of the pod.
func findHome(o *options) (*home, error) {
	h := &home{namespace: o.namespace}
	if h.namespace == "" {
		h.namespace = os.Getenv("POD_NAMESPACE")
	}
	cfg, err := rest.InClusterConfig()
	switch {
	case err == nil:
		h.config, h.pod = cfg, true
		if file, err := os.ReadFile(namespaceFile); err == nil && h.namespace == "" {
			h.namespace = strings.TrimSpace(string(file))
		}
	case !errors.Is(err, rest.ErrNotInCluster):
		return nil, fmt.Errorf("the pod's credentials: %w", err)
	}
	if o.kubeconfig != "" {
		if h.config, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig); err != nil {
			return nil, fmt.Errorf("--kubeconfig %s: %w; want a readable kubeconfig", o.kubeconfig, err)
		}
	}
	if o.namespace != "" && h.config == nil {
		return nil, fmt.Errorf("--namespace %s: in which cluster? want --kubeconfig, or a pod", o.namespace)
	}
	return h, nil
}
