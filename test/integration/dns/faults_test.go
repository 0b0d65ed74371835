package dns

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"

	"github.com/miekg/dns"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// besideOthers is a server block as clusters have it: another zone in it, which must not suffer.
func besideOthers(t *testing.T, kubeconfig string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zone")
	const zone = "@ 60 IN SOA ns hostmaster 1 7200 1800 86400 60\n@ 60 IN NS ns\nns 60 IN A 192.0.2.53\nhere 60 IN A 192.0.2.1\n"
	if err := os.WriteFile(path, []byte(zone), 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`.:{port} {
    bind 127.0.0.1
    errors
    ready 127.0.0.1:{port:ready}
    prometheus 127.0.0.1:{port:metrics}
    multicluster clusterset.local {
        kubeconfig %s
        startup_timeout 1s
    }
    file %s cluster.local
}
`, kubeconfig, path)
}

// get returns the status and the body of an HTTP endpoint of the server.
func (s *server) get(port, path string) (int, string) {
	s.t.Helper()
	reply, err := http.Get("http://127.0.0.1:" + s.port(port) + path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply.StatusCode, string(body)
}

func (s *server) ready() bool {
	status, _ := s.get("ready", "/ready")
	return status == http.StatusOK
}

// logged counts the lines that the plugin logged with a text.
func (s *server) logged(text string) int {
	n := 0
	for _, line := range strings.Split(s.log.String(), "\n") {
		if strings.Contains(line, "plugin/multicluster: ") && strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// othersAnswer checks that names outside the zone are answered, hits and misses.
func (s *server) othersAnswer() {
	s.t.Helper()
	const name, missing = "here.cluster.local.", "missing.cluster.local."
	if reply := s.ask(name, dns.TypeA); !slices.Equal(records(reply.Answer), []string{name + " 60 IN A 192.0.2.1"}) {
		s.t.Errorf("%s: %v", name, reply)
	}
	if reply := s.ask(missing, dns.TypeA); reply.Rcode != dns.RcodeNameError {
		s.t.Errorf("%s: %v", missing, reply)
	}
}

// unanswered checks that nothing is said about what exists in the zone, but what stands anyhow.
func (s *server) unanswered(ns string) {
	s.t.Helper()
	for _, name := range []string{"web." + ns + ".svc.", ns + ".svc.", "svc.", "nope.", "pod."} {
		s.answers(want{name: name + "clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeServerFailure})
	}
	s.answers(want{name: "dns-version.clusterset.local.", qtype: dns.TypeTXT, answer: []string{`dns-version.clusterset.local. 28800 IN TXT "1.0.0"`}})
	if soa := s.ask("clusterset.local.", dns.TypeSOA); len(soa.Answer) != 1 {
		s.t.Errorf("SOA: %v", soa)
	}
}

func webAnswer(ns string) want {
	name := "web." + ns + ".svc.clusterset.local."
	return want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.1"}}
}

// TestAPIServerAway_D10: the API server is away at the start, comes, goes, and comes back with changes made meanwhile.
func TestAPIServerAway_D10(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web)
	l, kubeconfig := linkTo(t, c, "admin", "system:masters")
	l.Set(link.Cut, 0)
	s := serve(t, besideOthers(t, kubeconfig)) // returns once it answers: the start does not wait for the API server
	s.unanswered(ns)
	s.othersAnswer()
	if s.ready() {
		t.Error("ready while nobody answers")
	}
	kit.Eventually(t, "the outage is logged", func() error { return logged(s, "can't read", 1) })

	l.Set(link.Passing, 0)
	s.answers(webAnswer(ns))
	kit.Eventually(t, "ready", func() error { return isReady(s) })
	kit.Eventually(t, "the recovery is logged", func() error { return logged(s, "the API server is back", 1) })

	l.Set(link.Cut, 0)
	kit.Eventually(t, "the second outage is logged", func() error { return logged(s, "can't read", 2) })
	apply(t, c, ns, db+"\n---\n"+dbEast) // while the plugin can't see it
	remove(t, c, imports, ns, "web")
	s.answers(webAnswer(ns))
	s.answers(want{name: "db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
	s.othersAnswer()
	l.Set(link.Passing, 0)
	s.answers(want{name: "db-0.east.db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA,
		answer: []string{"db-0.east.db." + ns + ".svc.clusterset.local. 5 IN A 10.1.0.1"}})
	s.answers(want{name: "web." + ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
	kit.Eventually(t, "the second recovery is logged", func() error { return logged(s, "the API server is back", 2) })
	if n := s.logged("can't read"); n != 2 {
		t.Errorf("%d lines about two outages", n)
	}
}

func logged(s *server, text string, lines int) error {
	if n := s.logged(text); n < lines {
		return fmt.Errorf("%d lines", n)
	}
	return nil
}

func isReady(s *server) error {
	if !s.ready() {
		return fmt.Errorf("not ready")
	}
	return nil
}

// TestWithoutCRD_D8: the CRD is missing, and is installed later; it is removed with its objects and comes back.
func TestWithoutCRD_D8(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{Name: "bare"})
	ns := namespaced(t, c)
	s := serve(t, besideOthers(t, c.Kubeconfig()))
	s.unanswered(ns)
	s.othersAnswer()
	kit.Eventually(t, "it is logged", func() error { return logged(s, "serviceimports.multicluster.x-k8s.io: not served", 1) })
	kit.Eventually(t, "ready all the same", func() error { return isReady(s) })
	s.unanswered(ns)
	if _, metrics := s.get("metrics", "/metrics"); !strings.Contains(metrics, "coredns_multicluster_synced{") ||
		!strings.Contains(metrics, "coredns_multicluster_watching{kind=\"serviceimports.multicluster.x-k8s.io\"") {
		t.Error("no metric says so")
	}
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, c, ns, web)
	s.answers(webAnswer(ns))
	kit.Eventually(t, "the recovery is logged", func() error { return logged(s, "can be read again", 1) })
	if n := s.logged("can't read"); n != 1 {
		t.Errorf("%d lines about one outage", n)
	}

	if err := c.UninstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone := webAnswer(ns)
	gone.rcode, gone.answer = dns.RcodeNameError, nil
	s.answers(gone)
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	apply(t, c, ns, web)
	s.answers(webAnswer(ns))
}

const onlyImports = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reader}
rules:
- {apiGroups: [multicluster.x-k8s.io], resources: [serviceimports], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: reader}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: coredns}]`

// TestForbidden_D8: EndpointSlices may not be read, until they may.
func TestForbidden_D8(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, onlyImports+"\n---"+web)
	kubeconfig, err := c.KubeconfigFor("coredns")
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, besideOthers(t, kubeconfig))
	s.unanswered(ns) // not even of what can be read
	s.othersAnswer()
	kit.Eventually(t, "it is logged", func() error { return logged(s, "endpointslices", 1) })
	kit.Eventually(t, "ready all the same", func() error { return isReady(s) })
	apply(t, c, ns, strings.Replace(onlyImports, "rules:", "rules:\n- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}", 1))
	s.answers(webAnswer(ns))

	noEndpoints := serve(t, strings.Replace(besideOthers(t, kubeconfig), "startup_timeout", "noendpoints\nstartup_timeout", 1))
	apply(t, c, ns, onlyImports+"\n---"+db+"\n---"+dbEast) // SPEC D13: slices are neither read nor waited for
	noEndpoints.answers(webAnswer(ns))
	noEndpoints.answers(want{name: "db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
	if !noEndpoints.ready() {
		t.Error("waits for slices")
	}
}

// TestUnauthorized_D8: the API server doesn't know who asks, which no waiting mends: others must not suffer.
func TestUnauthorized_D8(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web)
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: "nobody"}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		t.Fatal(err)
	}
	s := serve(t, besideOthers(t, kubeconfig))
	s.unanswered(ns)
	s.othersAnswer()
	kit.Eventually(t, "it is logged", func() error { return logged(s, "can't read", 1) })
	kit.Eventually(t, "ready all the same", func() error { return isReady(s) })
	s.unanswered(ns)
}

// TestOlderVersion_A7: a server that has v1alpha1 only.
func TestOlderVersion_A7(t *testing.T) {
	c := controlplane.ForTest(t, controlplane.Options{Name: "older"})
	if err := c.InstallCRDsV010(t.Context()); err != nil {
		t.Fatal(err)
	}
	ns := namespaced(t, c)
	apply(t, c, ns, strings.Replace(web, "v1beta1", "v1alpha1", 1)+"\n---"+strings.Replace(db, "v1beta1", "v1alpha1", 1)+"\n---"+dbEast)
	s := serve(t, besideOthers(t, c.Kubeconfig()))
	s.answers(webAnswer(ns))
	s.answers(want{name: "db-1.east.db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA,
		answer: []string{"db-1.east.db." + ns + ".svc.clusterset.local. 5 IN A 10.1.0.2"}})
}

// TestVersionSwitched_D15: the version that is read stops being served, either way, under constant load: every question is
// answered. The API server lets watches of that version go on for a while, so the connection is cut, too.
func TestVersionSwitched_D15(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web)
	l, kubeconfig := linkTo(t, c, "admin", "system:masters")
	s := serve(t, besideOthers(t, kubeconfig))
	s.answers(webAnswer(ns))
	load := startLoad(s, webAnswer(ns))
	for i, version := range []string{"v1alpha1", "v1beta1", "v1alpha1"} {
		if err := c.SetServedVersions(t.Context(), version); err != nil {
			t.Fatal(err)
		}
		l.Set(link.Cut, 0)
		kit.Eventually(t, "the connection is lost", func() error { return logged(s, "can't read", i+1) })
		l.Set(link.Passing, 0)
		name := fmt.Sprintf("web%d", i)
		apply(t, c, ns, strings.NewReplacer("v1beta1", version, "name: web", "name: "+name).Replace(web))
		w := webAnswer(ns)
		w.name, w.answer = name+"."+ns+".svc.clusterset.local.", []string{name + "." + ns + ".svc.clusterset.local. 5 IN A 10.96.1.1"}
		s.answers(w)
		kit.Eventually(t, "the outage is over", func() error { return logged(s, "the API server is back", i+1) })
	}
	load.end(t, "switching versions")
}
