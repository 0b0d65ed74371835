package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

// exportingEnv is what the exporting cluster's pods say of themselves: ENV_NAME of app-meta.yaml.
const exportingEnv = "cluster1-beijing"

// firstAnswer waits for the import to work and notes how long that took. The name is not asked before the import has its
// address: "no such name" would be cached.
func (s *story) firstAnswer(ctx context.Context) error {
	err := kit.Await(ctx, func(ctx context.Context) error {
		object, err := s.consumer.ServiceImport(ctx, "provider-ns", "service1")
		if err == nil && len(object.Spec.IPs) == 0 {
			err = errors.New("the ServiceImport has no address")
		}
		return err
	})
	if err != nil {
		return err
	}
	err = kit.Await(ctx, func(ctx context.Context) error { // kube-proxy may need a moment more
		_, err := s.try(ctx, "service1.provider-ns.svc.clusterset.local")
		return err
	})
	s.reached = time.Since(s.applied)
	if err != nil {
		return err
	}
	return kit.Await(ctx, func(ctx context.Context) error { // and so may who answers for cluster.local
		_, err := s.try(ctx, "amcs-service1.provider-ns")
		return err
	})
}

// call shows a curl from the client pod, or without packets what dig would ask there, and checks who answered.
func (s *story) call(ctx context.Context, name string) error {
	line := "curl " + name
	if s.client == nil {
		line = "dig +search " + name
	}
	s.out.command("client-pod", line)
	answer, err := s.try(ctx, name)
	if err != nil {
		return fmt.Errorf("`%s`: %w", line, err)
	}
	s.out.output(answer)
	return nil
}

// try calls a name once, and returns what answered.
func (s *story) try(ctx context.Context, name string) (string, error) {
	if s.client == nil {
		return s.resolve(ctx, name)
	}
	line, err := s.client.Run(ctx, "curl", "-sS", "--max-time", "15", name)
	if err != nil {
		return "", err
	}
	answer, err := webdemo.Parse(line)
	if err == nil && answer.Cluster != exportingEnv {
		err = fmt.Errorf("%s answered, not a pod of %s", answer.Pod, exportingEnv)
	}
	return line, err
}

// resolve asks DNS for what a resolver would, in the client pod's order, and returns the first answer.
func (s *story) resolve(ctx context.Context, name string) (string, error) {
	service, err := s.consumer.Client.CoreV1().Services("provider-ns").Get(ctx, "amcs-service1", metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	for _, candidate := range s.candidates(name) {
		reply, err := s.consumer.Ask(ctx, candidate, dns.TypeA)
		if err != nil {
			return "", err
		}
		for _, rr := range reply.Answer {
			a, ok := rr.(*dns.A)
			if !ok {
				continue
			}
			if !slices.Contains(service.Spec.ClusterIPs, a.A.String()) {
				return "", fmt.Errorf("%s is %s, not the address of amcs-service1, %v", candidate, a.A, service.Spec.ClusterIPs)
			}
			return rr.String() + "\n", nil
		}
	}
	return "", &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// candidates are the names that a resolver with the client pod's resolv.conf asks for until one has an address.
func (s *story) candidates(name string) []string {
	searches := []string{"consumer-ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "svc.clusterset.local", "clusterset.local"}
	if strings.Count(name, ".") >= 5 { // ndots
		return []string{name}
	}
	var names []string
	for _, search := range searches {
		names = append(names, name+"."+search)
	}
	return append(names, name)
}
