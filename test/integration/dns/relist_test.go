package dns

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/programs"

	"github.com/miekg/dns"
)

// TestExpired: the API server forgot since when to go on (410), and what happened meanwhile: everything is read again, and
// what is gone is gone. Nothing that stayed is missing for a moment.
func TestExpired(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web+"\n---"+db+"\n---"+dbEast+"\n---"+strings.Replace(web, "name: web", "name: stays", 1))
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	stays := webAnswer(ns)
	stays.name, stays.answer = "stays."+ns+".svc.clusterset.local.", []string{"stays." + ns + ".svc.clusterset.local. 5 IN A 10.96.1.1"}
	s.answers(webAnswer(ns))
	s.answers(stays)

	// While the plugin sleeps, the API server forgets its history by starting anew, with changes before and after.
	restart := func() {
		if err := c.KillAPIServer(); err != nil {
			t.Fatal(err)
		}
		if err := c.StartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := programs.Suspend(s.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	restart()
	remove(t, c, imports, ns, "web")
	remove(t, c, slicesV, ns, "db-east")
	apply(t, c, ns, strings.Replace(web, "name: web", "name: new", 1))
	restart()
	apply(t, c, ns, strings.Replace(web, "name: web", "name: newer", 1))
	before := reads(t, c)
	if err := programs.Resume(s.cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}

	load := startLoad(s, stays)
	s.answers(want{name: webAnswer(ns).name, qtype: dns.TypeA, rcode: dns.RcodeNameError})
	s.answers(want{name: "db." + ns + ".svc.clusterset.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError})
	for _, name := range []string{"new", "newer"} {
		name += "." + ns + ".svc.clusterset.local."
		s.answers(want{name: name, qtype: dns.TypeA, answer: []string{name + " 5 IN A 10.96.1.1"}})
	}
	load.end(t, "reading everything again")
	if now := reads(t, c); reflect.DeepEqual(now, before) {
		t.Errorf("it was not read again, so nothing was tested: %q", now)
	}
}
