package mcsctl

import (
	"errors"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

const stock = ".:53 {\n  kubernetes cluster.local\n  forward . /etc/resolv.conf\n}\n"

// TestJoinExplainLeave is the way of a newcomer: two clusters, one join, an export, and an explanation at every step.
func TestJoinExplainLeave(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true, PodCIDRs: []string{"10.1.0.0/16"}},
		controlplane.Options{Name: "c2", ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	at := func(args ...string) []string { return append(args, "--kubeconfig", kubeconfig, "--context", "c2") }

	mcsctl(t, at("join", "c1", "--from", "c1", "--dry-run", "--pod-cidrs", "10.1.0.0/16")...).golden(t, "join-dry-run")
	if _, err := c1.kube.CoreV1().Namespaces().Get(t.Context(), system, getOptions); err == nil {
		t.Error("a dry run made something")
	}
	mcsctl(t, at("join", "c1", "--from", "c1", "--pod-cidrs", "10.97.3.0/24")...).golden(t, "join-overlap")
	mcsctl(t, at("join", "c2", "--from", "c1")...).golden(t, "join-id-taken")
	mcsctl(t, at("join", "c9", "--from", "c2")...).golden(t, "join-itself")
	mcsctl(t, at("join", "c1", "--from", "c1", "--pod-cidrs", "10.1.0.0/16")...).golden(t, "join")
	mcsctl(t, at("join", "again", "--from", "c1")...).golden(t, "join-twice")
	run(t, c2, true)

	const ns = "provider-ns"
	explain := at("explain", "service1.provider-ns", "--no-dns")
	mcsctl(t, explain...).golden(t, "explain-nobody")
	namespace(t, ns, c1)
	c1.service(t, ns, "service1", "10.1.0.5", "10.1.0.6")
	mcsctl(t, explain...).golden(t, "explain-not-exported")
	c1.export(t, ns, "service1")
	kit.Eventually(t, "the importing cluster's missing namespace is named", func() error {
		if o := mcsctl(t, explain...); !strings.Contains(o.out, "there is no namespace provider-ns") {
			return errors.New(o.out + o.err)
		}
		return nil
	})
	namespace(t, ns, c2)
	kit.Eventually(t, "both clusters import it whole", func() error {
		if o := mcsctl(t, explain...); o.code != 0 || strings.Count(o.out, "2 from c1") != 2 {
			return errors.New(o.out + o.err)
		}
		return nil
	})
	c2.corefile(t, stock)
	mcsctl(t, explain...).golden(t, "explain-no-line")
	c2.corefile(t, balanced)
	mcsctl(t, explain...).golden(t, "explain-well")
	mcsctl(t, append(explain, "-o", "yaml")...).golden(t, "explain-yaml")

	mcsctl(t, at("leave", "c1", "--from", "c1")...).golden(t, "leave")
	mcsctl(t, at("leave", "c1")...).golden(t, "leave-twice")
	kit.Eventually(t, "what c1 exported is gone (L3)", func() error {
		return c2.gone(t, ns, "service1")
	})
}
