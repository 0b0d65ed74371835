package dns

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/link"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	"github.com/miekg/dns"
	"k8s.io/client-go/kubernetes"

	_ "github.com/clusterset/multicluster/plugin"
	"github.com/clusterset/multicluster/test/kit"
)

func init() {
	dnsserver.Directives = slices.Insert(slices.Clone(dnsserver.Directives), slices.Index(dnsserver.Directives, "kubernetes"), "multicluster")
	caddy.Quiet, dnsserver.Quiet = true, true
}

// readsOf returns how often an API server was asked for all objects of a resource, as it counts: as lists, or as watches that
// begin with all objects.
func readsOf(t testing.TB, c *controlplane.Cluster, resource string) []string {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	body, err := client.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	counts := regexp.MustCompile(`(?m)^(apiserver_watch_list_duration_seconds_count|apiserver_request_total)\{.*resource="`+resource+`".*$`).
		FindAllString(string(body), -1)
	counts = slices.DeleteFunc(counts, func(line string) bool {
		return strings.HasPrefix(line, "apiserver_request_total") && !strings.Contains(line, `verb="LIST"`)
	})
	slices.Sort(counts)
	return counts
}

// reads are all that the plugin asks for.
func reads(t testing.TB, c *controlplane.Cluster) [2][]string {
	t.Helper()
	return [2][]string{readsOf(t, c, "serviceimports"), readsOf(t, c, "endpointslices")}
}

// load asks for a name without a pause until it is stopped, and counts what was not answered.
type load struct {
	stop          chan struct{}
	done          chan struct{}
	asked, failed atomic.Int64
	last          atomic.Value // the last failure
}

// startLoad starts it. Where there are several answers to want, each is right.
func startLoad(s *server, either ...want) *load {
	l := &load{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			reply, err := s.exchange("udp", new(dns.Msg).SetQuestion(either[0].name, either[0].qtype))
			if err == nil && !slices.ContainsFunc(either, func(w want) bool { return w.check(reply) == nil }) {
				err = either[0].check(reply)
			}
			l.asked.Add(1)
			if err != nil {
				l.failed.Add(1)
				l.last.Store(err.Error())
			}
		}
	}()
	return l
}

// end stops the load and fails the test if a question was not answered right.
func (l *load) end(t testing.TB, what string) {
	t.Helper()
	close(l.stop)
	<-l.done
	if l.failed.Load() > 0 || l.asked.Load() == 0 {
		t.Errorf("%s: %d of %d questions were not answered: %v", what, l.failed.Load(), l.asked.Load(), l.last.Load())
	}
}

// TestReload_D8_D14: signals and the plugin reload change the configuration under constant load: every question is answered,
// nothing is read twice, the serial goes on, and what is configured then counts.
func TestReload_D8_D14(t *testing.T) {
	c := ownCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web+"\n---\n"+db+"\n---\n"+dbEast)
	const text = `.:{port} {
    bind 127.0.0.1
    reload 2s 1s
    multicluster clusterset.local {
        kubeconfig %s
        ttl %d
    }
}
`
	s := serve(t, fmt.Sprintf(text, c.Kubeconfig(), 5))
	s.answers(webAnswer(ns))
	before := reads(t, c)
	if len(before[0]) == 0 || len(before[1]) == 0 {
		t.Fatalf("the API server does not count what it is asked: %q", before)
	}
	serial := s.serial()
	load := startLoad(s, want{name: webAnswer(ns).name, qtype: dns.TypeAAAA}) // the same with either TTL
	s.write(fmt.Sprintf(text, c.Kubeconfig(), 77))                            // the plugin reload sees that
	w := webAnswer(ns)
	w.answer = []string{strings.Replace(w.answer[0], " 5 IN", " 77 IN", 1)}
	s.answers(w)
	reloads := strings.Count(s.log.String(), "Reloading complete")
	for n := range 10 {
		if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		kit.Eventually(t, "the server was reloaded", func() error {
			if got := strings.Count(s.log.String(), "Reloading complete"); got <= reloads+n {
				return fmt.Errorf("%d times", got)
			}
			return nil
		})
	}
	load.end(t, "reloading")
	if now := s.serial(); now != serial {
		t.Errorf("the serial was %d, and is %d although nothing changed", serial, now)
	}
	if now := reads(t, c); !reflect.DeepEqual(now, before) {
		t.Errorf("read before the reloads: %q, and after: %q", before, now)
	}
	apply(t, c, ns, strings.Replace(web, "10.96.1.1", "10.96.1.9", 1)) // still followed
	w.answer = []string{strings.Replace(w.answer[0], "10.96.1.1", "10.96.1.9", 1)}
	s.answers(w)
	if now := s.serial(); now <= serial {
		t.Errorf("the serial was %d, and is %d after a change", serial, now)
	}
}

// serial returns the serial of what is answered now: a change right after another has its serial when that second is over.
func (s *server) serial() (serial uint32) {
	s.t.Helper()
	s.await("a serial that stands", func() error {
		reply := s.ask("clusterset.local.", dns.TypeSOA)
		if len(reply.Answer) != 1 {
			s.t.Fatalf("SOA: %v", reply)
		}
		serial = reply.Answer[0].(*dns.SOA).Serial
		if age := time.Now().Unix() - int64(serial); age < 2 {
			return fmt.Errorf("it is %d s old", age)
		}
		return nil
	})
	return serial
}

// TestReloadWhileAway_D8: a reload while the API server is away changes no answer, nor does one with other credentials.
func TestReloadWhileAway_D8(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, web)
	l, kubeconfig := linkTo(t, c, "admin", "system:masters")
	s := serve(t, besideOthers(t, kubeconfig))
	s.answers(webAnswer(ns))
	l.Set(link.Cut, 0)
	kit.Eventually(t, "the outage is noticed", func() error { return logged(s, "can't read", 1) })
	load := startLoad(s, webAnswer(ns))
	for n := range 2 {
		if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		kit.Eventually(t, "the server was reloaded", func() error {
			if strings.Count(s.log.String(), "Reloading complete") <= n {
				return fmt.Errorf("not yet")
			}
			return nil
		})
		content, err := os.ReadFile(kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(kubeconfig, append(content, "# other credentials\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	load.end(t, "reloading without the API server")
	if !s.ready() {
		t.Error("not ready")
	}
	apply(t, c, ns, strings.Replace(web, "10.96.1.1", "10.96.1.9", 1))
	l.Set(link.Passing, 0)
	w := webAnswer(ns)
	w.answer = []string{strings.Replace(w.answer[0], "10.96.1.1", "10.96.1.9", 1)}
	s.answers(w)
}

// TestReloadsLeaveNothing: 50 reloads in this process, some of which fail, and what they leave behind: not one goroutine, and
// no memory.
func TestReloadsLeaveNothing(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	apply(t, c, ns, bigYAML(100)+"\n---"+web)
	port := freePort(t)
	text := func(ttl int) caddy.Input {
		return caddy.CaddyfileInput{ServerTypeName: "dns", Contents: fmt.Appendf(nil, ".:%d {\nbind 127.0.0.1\nerrors\nmulticluster clusterset.local {\nkubeconfig %s\nttl %d\n}\n}\n",
			port, c.Kubeconfig(), ttl)}
	}
	s := &server{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port)}
	instance, err := caddy.Start(text(5))
	if err != nil {
		t.Fatal(err)
	}
	reload := func(n int) {
		ttl := 5 + n%3
		w := webAnswer(ns)
		if n%10 == 9 { // another server block can't listen: the new instance fails after it started to follow
			taken := caddy.CaddyfileInput{ServerTypeName: "dns", Contents: slices.Concat(text(5).Body(),
				[]byte(".:1 {\nbind 192.0.2.1\nmulticluster clusterset.local {\nkubeconfig "+c.Kubeconfig()+"\nnamespaces x\n}\n}\n"))}
			if instance, err = instance.Restart(taken); err == nil {
				t.Fatal("that can't be listened to")
			}
			ttl = 5 + (n-1)%3
		} else if instance, err = instance.Restart(text(ttl)); err != nil {
			t.Fatal(err)
		}
		w.answer = []string{strings.Replace(w.answer[0], " 5 IN", fmt.Sprintf(" %d IN", ttl), 1)}
		s.answers(w)
		s.ask("big."+ns+".svc.clusterset.local.", dns.TypeSRV)
	}
	for n := range 10 {
		reload(n)
	}
	kit.Eventually(t, "only one instance follows the API server", oneFollows)
	bytes, goroutines := heap(), runtime.NumGoroutine()
	const more = 40
	for n := range more {
		reload(n)
	}
	kit.Eventually(t, "nothing is left behind", func() error {
		// Those of the last reload, and of other tests' connections, end after a while; nothing here starts others.
		if now := runtime.NumGoroutine(); now > goroutines {
			return fmt.Errorf("%d goroutines after 10 reloads, %d after %d more:\n%s", goroutines, now, more, stacks())
		}
		if now := heap(); now > bytes+1<<20 {
			return fmt.Errorf("%d KiB on the heap after 10 reloads, %d KiB after %d more", bytes>>10, now>>10, more)
		}
		return nil
	})
	for _, err := range instance.ShutdownCallbacks() {
		t.Error(err)
	}
	if err := instance.Stop(); err != nil {
		t.Error(err)
	}
	kit.Eventually(t, "nothing follows the API server any longer", func() error {
		if text := stacks(); strings.Contains(text, streamRuns) {
			return fmt.Errorf("a stream runs:\n%s", text)
		}
		return nil
	})
}

const streamRuns = "multicluster/plugin.(*stream).run(" // as stacks name it, by its import path

// oneFollows returns an error unless three streams run: of imports, of slices of ours and of others.
func oneFollows() error {
	if text := stacks(); strings.Count(text, streamRuns) != 3 {
		return fmt.Errorf("%d streams run:\n%s", strings.Count(text, streamRuns), text)
	}
	return nil
}

// stacks are those of all goroutines.
func stacks() string {
	buf := make([]byte, 4<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// heap returns what is live on the heap, in octets.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestChangedKubeconfig: a reload takes up a kubeconfig whose content changed, reading anew before it replaces the old data.
func TestChangedKubeconfig(t *testing.T) {
	one, two := sharedCluster(t), ownCluster(t)
	ns := namespaced(t, one)
	apply(t, one, ns, web)
	apply(t, two, "other", "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+"}")
	apply(t, two, ns, strings.Replace(web, "10.96.1.1", "10.96.2.2", 1))
	path := filepath.Join(t.TempDir(), "kubeconfig")
	use := func(c *controlplane.Cluster) {
		content, err := os.ReadFile(c.Kubeconfig())
		if err == nil {
			err = os.WriteFile(path, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use(one)
	s := serve(t, fmt.Sprintf(corefile, path))
	s.answers(webAnswer(ns))
	serial := s.serial()
	use(two)
	if err := s.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	w := webAnswer(ns)
	w.answer = []string{strings.Replace(w.answer[0], "10.96.1.1", "10.96.2.2", 1)}
	s.answers(w)
	if now := s.serial(); now <= serial {
		t.Errorf("the serial was %d, and is %d", serial, now)
	}
}
