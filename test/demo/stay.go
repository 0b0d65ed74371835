package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/clusterset/multicluster/test/controlplane"
)

// stay leaves everything up until ctx is done, and says what can be done with it.
func (s *story) stay(ctx context.Context) error {
	kubeconfig := filepath.Join(s.dir, "kubeconfig")
	if err := controlplane.MergedKubeconfig(kubeconfig, s.provider.Cluster, s.consumer.Cluster); err != nil {
		return err
	}
	s.out.chapter("Both clusters stay up until Ctrl-C. In another terminal:")
	lines := []string{
		"cd " + s.dir + "    # the manifests",
		"export KUBECONFIG=" + kubeconfig + " PATH=" + s.set.Programs.Kubernetes.Dir + ":$PATH",
		"kubectl --context provider get serviceexports,pods -A -o wide",
		"kubectl --context consumer get serviceimports,services,endpointslices -A",
		"kubectl --context provider scale deployment web-demo -n provider-ns --replicas=5",
	}
	if s.client != nil {
		client := fmt.Sprintf("nsenter -t %d -n -m ", s.client.PID())
		lines = append(lines,
			client+"curl service1.provider-ns    # in the client pod",
			client+"cat /etc/resolv.conf",
			fmt.Sprintf("nsenter -t %d -n nft list table ip kube-proxy    # on the consumer's node", s.consumer.Node.PID()),
		)
	} else {
		lines = append(lines, fmt.Sprintf("dig @%s -p %d service1.provider-ns.svc.clusterset.local", s.consumer.DNS.Addr(), s.consumer.DNS.Port()))
	}
	for _, line := range lines {
		s.out.printf("  %s\n", line)
	}
	<-ctx.Done()
	s.out.note("removing everything")
	return nil
}
