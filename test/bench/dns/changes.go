package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
)

// measureChanges prints how fast a change of one endpoint shows, and what changes cost. The servers run and are asked one at
// a time, in turns, so that neither waits for the other. The floor is a bare watch in place of the plugin.
func measureChanges(ctx context.Context, set *clusterset, dir string, floor contender, all ...contender) error {
	var least []time.Duration
	latencies := make([][]time.Duration, len(all))
	costs := map[string][]time.Duration{}
	const turns = 4
	for range turns {
		if err := floor.bareWatch(ctx, set, dir, set.changes/turns, &least); err != nil {
			return err
		}
		for i, c := range all {
			err := c.changes(ctx, set, dir, func(s *server) error {
				if err := s.latency(ctx, set, set.changes/turns, &latencies[i]); err != nil {
					return err
				}
				for _, kind := range []string{"5 endpoints", "100 endpoints"} {
					cost, err := s.updates(ctx, set, kind == "100 endpoints")
					if err != nil {
						return err
					}
					costs[kind+c.name] = append(costs[kind+c.name], cost)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	fmt.Printf("| changes | floor | stock | ours | to reach |\n|---|---|---|---|---|\n")
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	row := func(what string, p float64, reach string) {
		fmt.Printf("| %s (ms) | %.2f | %.2f | %.2f | %s |\n", what, ms(quantile(least, p)), ms(quantile(latencies[0], p)), ms(quantile(latencies[1], p)), reach)
	}
	row("accepted by the API server to changed answer, p50", 0.5, "<= 0.3 x stock")
	row("the same, p99", 0.99, "<= stock")
	for _, kind := range []string{"5 endpoints", "100 endpoints"} {
		fmt.Printf("| CPU per update of a slice with %s, at %d/s (ms) | | %.2f | %.2f | <= 0.15 |\n", kind, updateRate,
			ms(median(costs[kind+all[0].name])), ms(median(costs[kind+all[1].name])))
	}
	fmt.Println()
	return nil
}

// changes runs a contender that knows everything.
func (c contender) changes(ctx context.Context, set *clusterset, dir string, do func(*server) error) error {
	s, err := c.start(dir, false)
	if err != nil {
		return err
	}
	defer s.stop()
	if err := s.awaitSync(ctx, set); err != nil {
		return err
	}
	return do(s)
}

// latency moves one endpoint of a headless service n times, and appends how long after the API server's reply the answer
// changes.
func (s *server) latency(ctx context.Context, set *clusterset, n int, all *[]time.Duration) error {
	return set.moves(ctx, s.addr, n, all, hasRecord)
}

func hasRecord(reply []byte) bool {
	const answers = 7 // where the count of answers has its low octet (RFC 1035 section 4.1.1)
	return len(reply) > answers && reply[answers] > 0
}

// bareWatch does the same with a server that answers whatever it is asked, and looks for the change at a watch instead.
func (c contender) bareWatch(ctx context.Context, set *clusterset, dir string, n int, all *[]time.Duration) error {
	s, err := c.start(dir, false)
	if err != nil {
		return err
	}
	defer s.stop()
	m, err := new(dns.Msg).SetQuestion(zone, dns.TypeA).Pack()
	if err != nil {
		return err
	}
	if err := s.await(ctx, func() error { _, err := s.reply(m, false); return err }); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	list, err := set.kube.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return err
	}
	body, err := set.kube.DiscoveryV1().RESTClient().Get().Namespace(namespace).Resource("endpointslices").
		VersionedParams(&metav1.ListOptions{Watch: true, ResourceVersion: list.ResourceVersion}, scheme.ParameterCodec).Stream(ctx)
	if err != nil {
		return err
	}
	defer body.Close()
	var come atomic.Int64
	go func() {
		buf, kept := make([]byte, 1<<20), 0
		for {
			n, err := body.Read(buf[kept:])
			if err != nil {
				return
			}
			n += kept
			come.Add(int64(bytes.Count(buf[:n], []byte(moved)))) // once in each event
			kept = copy(buf, buf[max(n-len(moved)+1, 0):n])
		}
	}()
	seen := int64(0)
	return set.moves(ctx, s.addr, n, all, func([]byte) bool {
		if come.Load() == seen {
			return false
		}
		seen++
		return true
	})
}

// moved begins the addresses that an endpoint moves to.
const moved = "10.99."

// moves moves one endpoint of a headless service n times, asks a server for it until a reply will do, and appends how long
// after the API server's reply that was.
func (set *clusterset) moves(ctx context.Context, server string, n int, all *[]time.Duration, enough func(reply []byte) bool) error {
	service := set.anyDB()
	api := set.kube.DiscoveryV1().EndpointSlices(namespace)
	es, err := api.Get(ctx, sliceName(dbName(service), 2), metav1.GetOptions{})
	if err != nil {
		return err
	}
	conn, err := net.Dial("udp", server)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range n {
		es.Endpoints[0].Addresses = []string{fmt.Sprintf(moved+"%d.%d", i/250, i%250+1)}
		host := strings.ReplaceAll(es.Endpoints[0].Addresses[0], ".", "-")
		m, err := new(dns.Msg).SetQuestion(fqdn(host+"."+clusterName(2)+".", dbName(service)), dns.TypeA).Pack()
		if err != nil {
			return err
		}
		if es, err = api.Update(ctx, es, metav1.UpdateOptions{}); err != nil {
			return err
		}
		accepted := time.Now()
		if err := askUntil(conn, m, 30*time.Second, enough); err != nil {
			return fmt.Errorf("a change at %s: %w", server, err)
		}
		*all = append(*all, time.Since(accepted))
	}
	es.Endpoints[0].Addresses = []string{address(2, service*headlessEach)}
	_, err = api.Update(ctx, es, metav1.UpdateOptions{})
	return err
}

// askUntil asks until a reply will do. A question that gets none is asked again.
func askUntil(conn net.Conn, m []byte, patience time.Duration, enough func(reply []byte) bool) error {
	buf := make([]byte, dns.MaxMsgSize)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		reply, err := exchange(conn, m, buf, false)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return err
		case enough(reply):
			return nil
		}
	}
	return fmt.Errorf("not seen within %s", patience)
}

const updateRate = 200 // per second

// updates changes slices at a steady rate and returns the CPU time that each took the server.
func (s *server) updates(ctx context.Context, set *clusterset, big bool) (time.Duration, error) {
	const n = 5 * updateRate
	api := set.kube.DiscoveryV1().EndpointSlices(namespace)
	services, cluster, serviceName := set.clusterSetIP, 0, webName
	if big {
		services, cluster, serviceName = set.headless, 3, dbName
	}
	slices := make([]*discoveryv1.EndpointSlice, min(20, services))
	for i := range slices {
		name := sliceName(serviceName(i*services/len(slices)), cluster)
		var err error
		if slices[i], err = api.Get(ctx, name, metav1.GetOptions{}); err != nil {
			return 0, err
		}
	}
	before, err := s.process.CPU()
	if err != nil {
		return 0, err
	}
	ticker := time.NewTicker(time.Second / updateRate)
	defer ticker.Stop()
	for i := range n {
		es := slices[i%len(slices)]
		ready := !*es.Endpoints[0].Conditions.Ready
		es.Endpoints[0].Conditions.Ready = &ready
		if slices[i%len(slices)], err = api.Update(ctx, es, metav1.UpdateOptions{}); err != nil {
			return 0, err
		}
		<-ticker.C
	}
	after, err := s.process.CPU()
	return (after - before) / n, err
}
