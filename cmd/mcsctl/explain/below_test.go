package explain

import (
	"strings"
	"testing"

	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"

	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// headless is a clusterset in which all is well, of a headless service: c1 exports web-0, which is ready, web-1, which is not, and a pod
// without a hostname.
func headless() *Facts {
	f := well()
	c1, c2 := &f.Clusters[0], &f.Clusters[1]
	c1.Service.Spec.ClusterIP = "None"
	there, here := slice("", "10.1.1.5", "10.1.1.6", "10.1.1.7"), slice("c1", "10.1.1.5", "10.1.1.6", "10.1.1.7")
	for i, host := range []string{"web-0", "web-1"} {
		there.Endpoints[i].Hostname, here.Endpoints[i].Hostname = ptr.To(host), ptr.To(host)
	}
	there.Endpoints[1].Conditions.Ready, here.Endpoints[1].Conditions.Ready = ptr.To(false), ptr.To(false)
	c1.Slices[0], c2.Imported[0] = there, here
	c2.Import.Spec.Type, c2.Import.Spec.IPs = mcs.Headless, nil
	c2.Derived.Spec.ClusterIPs = []string{"None"}
	return f
}

// TestPodsName_D3_D4_D5: of a pod's own name, explain says whether it exists, its address, or why it does not.
func TestPodsName_D3_D4_D5(t *testing.T) {
	for _, c := range []struct {
		name, sub string
		break_    func(c1, c2 *Cluster)
		want      string // "verdict: part of what is found → part of the advice" of the pod's step
		dns       string // addresses that DNS answers, or a code
		answer    string // the verdict on that
	}{
		{name: "a pod", sub: "web-0.c1", want: "ok: web-0 of c1 has 10.1.1.5", dns: "10.1.1.5", answer: "ok"},
		{name: "a pod, of which DNS knows nothing", sub: "web-0.c1", want: "ok: web-0 of c1 has 10.1.1.5", dns: "NXDOMAIN", answer: "wrong"},
		{name: "a pod without a hostname", sub: "10-1-1-7.c1", want: "ok: 10-1-1-7 of c1 has 10.1.1.7", dns: "10.1.1.7", answer: "ok"},
		{name: "one that is not ready", sub: "web-1.c1", want: "wrong: web-1 of c1 has 10.1.1.6, but is not ready, so its name does not exist → kubectl get pods -n provider-ns -l app=web --context c1", dns: "NXDOMAIN", answer: "none"},
		{name: "one that is not ready, which is not imported", sub: "web-1.c1", break_: func(_, c2 *Cluster) { c2.Imported[0].Endpoints = c2.Imported[0].Endpoints[:1] },
			want: "wrong: but is not ready → look at the pods", dns: "NXDOMAIN", answer: "none"},
		{name: "no such hostname", sub: "web-9.c1", want: "wrong: no endpoint of c1 has the hostname web-9; there are 10-1-1-7, web-0 → StatefulSet with serviceName service1", dns: "NXDOMAIN", answer: "none"},
		{name: "no hostnames at all", sub: "web-0.c1", break_: func(c1, c2 *Cluster) {
			c1.Slices[0].Endpoints[0].Hostname, c2.Imported[0].Endpoints[0].Hostname = nil, nil
		}, want: "wrong: no endpoint of c1 has a hostname; their names are made from their addresses: 10-1-1-5, 10-1-1-7 → spec.subdomain service1", dns: "NXDOMAIN", answer: "none"},
		{name: "no such cluster", sub: "web-0.c9", want: "wrong: no endpoints here are from a cluster with the id c9; there are endpoints from c1 → the form is HOSTNAME.CLUSTER-ID.service1.provider-ns.svc.clusterset.local; the ids: mcsctl status --context c2", dns: "NXDOMAIN", answer: "none"},
		{name: "a cluster's pods as a set (D4)", sub: "c1", want: "wrong: c1 is a cluster, whose pods have no common name → the form is", dns: "NOERROR", answer: "none"},
		{name: "the cluster is left out", sub: "web-0", want: "wrong: web-0 is not the id of a cluster with endpoints here; those are c1 → the form is", dns: "NXDOMAIN", answer: "none"},
		{name: "not headless", sub: "web-0.c1", break_: func(_, c2 *Cluster) {
			c2.Import.Spec.Type, c2.Import.Spec.IPs, c2.Derived.Spec.ClusterIPs = mcs.ClusterSetIP, []string{ip}, []string{ip}
		}, want: "wrong: provider-ns/service1 is not headless (ClusterSetIP) → ask for service1.provider-ns.svc.clusterset.local; pods have names where the exported Service has clusterIP: None", dns: "NXDOMAIN", answer: "none"},
		{name: "one that is ready, but not imported", sub: "web-9.c1", break_: func(c1, _ *Cluster) {
			refused := slice("", "192.0.2.9")
			refused.Endpoints[0].Hostname = ptr.To("web-9")
			c1.Slices = append(c1.Slices, refused)
		}, want: "wrong: c1 has web-9, ready, but it is not imported; see condition Refused → kubectl get serviceimport -n provider-ns service1 -o yaml", dns: "NXDOMAIN", answer: "none"},
		{name: "slices that can't be read", sub: "web-0.c1", break_: func(_, c2 *Cluster) {
			c2.Imported, c2.Unread = nil, map[string]string{"endpointslices": "these credentials may not"}
		}, want: "unknown: endpointslices can't be read", dns: "NXDOMAIN", answer: "unknown"},
		{name: "a server that refuses", sub: "web-1.c1", want: "wrong: not ready → ", dns: "REFUSED", answer: "wrong"},
		{name: "a stale answer", sub: "web-1.c1", want: "wrong: not ready → ", dns: "10.1.1.6", answer: "wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := headless()
			f.Sub, f.Look = c.sub, " --context c2"
			if c.break_ != nil {
				c.break_(&f.Clusters[0], &f.Clusters[1])
			}
			reply := &nameserver.Reply{Via: "pod coredns-x", Rcode: c.dns}
			if strings.Contains(c.dns, ".") {
				reply.Rcode, reply.Addresses = "NOERROR", []string{c.dns}
			}
			f.Clusters[1].Reply = reply
			r := Diagnose(*f)
			if want := c.sub + ".service1.provider-ns.svc.clusterset.local"; r.Domain != want {
				t.Errorf("it explains %s, want %s", r.Domain, want)
			}
			verdict, rest, _ := strings.Cut(c.want, ": ")
			found, do, _ := strings.Cut(rest, " → ")
			steps := map[string]int{}
			for i, s := range r.Steps {
				steps[s.Link] = i
			}
			pod, dns := r.Steps[steps["pod"]], r.Steps[steps["dns"]]
			if pod.Link != "pod" || string(pod.Verdict) != verdict || !strings.Contains(pod.Found, found) || !strings.Contains(pod.Do, do) {
				t.Errorf("got %+v, want %s", pod, c.want)
			}
			if dns.Link != "dns" || string(dns.Verdict) != c.answer {
				t.Errorf("of DNS: %+v, want %s", dns, c.answer)
			}
			if wrong := verdict == "wrong"; wrong && (r.Problem == nil || r.Problem.Link != "pod") {
				t.Errorf("the problem is %+v", r.Problem)
			}
		})
	}
}

// TestNoneImported_D3: the exporting cluster tells of an endpoint also where none of its endpoints is imported.
func TestNoneImported_D3(t *testing.T) {
	f := headless()
	f.Sub, f.Clusters[1].Imported = "web-0.c1", nil
	for _, s := range Diagnose(*f).Steps {
		if s.Link == "pod" && strings.HasPrefix(s.Found, "c1 has web-0, ready, but it is not imported") {
			return
		}
	}
	t.Errorf("nothing says so: %+v", Diagnose(*f).Steps)
}

func TestLabel_D3(t *testing.T) {
	for address, want := range map[string]string{"10.1.1.5": "10-1-1-5", "fd00::1": "fd00--1", "::1": "0--1", "fd00::": "fd00--0", "no": ""} {
		if got := label(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
