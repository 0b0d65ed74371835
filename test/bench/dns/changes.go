package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// measureChanges prints how fast a change of one endpoint shows, and what changes cost. The servers run and are asked one at
// a time, in turns, so that neither waits for the other.
func measureChanges(ctx context.Context, set *clusterset, dir string, all ...contender) error {
	latencies := make([][]time.Duration, len(all))
	costs := map[string][]time.Duration{}
	const turns = 4
	for range turns {
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
	fmt.Printf("| changes | stock | ours | to reach |\n|---|---|---|---|\n")
	ms := func(d time.Duration) float64 { return float64(d) / 1e6 }
	fmt.Printf("| accepted by the API server to changed answer, p50 (ms) | %.2f | %.2f | <= 0.3 x stock |\n", ms(quantile(latencies[0], 0.5)), ms(quantile(latencies[1], 0.5)))
	fmt.Printf("| the same, p99 (ms) | %.2f | %.2f | <= stock |\n", ms(quantile(latencies[0], 0.99)), ms(quantile(latencies[1], 0.99)))
	for _, kind := range []string{"5 endpoints", "100 endpoints"} {
		fmt.Printf("| CPU per update of a slice with %s, at %d/s (ms) | %.2f | %.2f | <= 0.15 |\n", kind, updateRate,
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
	service := set.anyDB()
	api := set.kube.DiscoveryV1().EndpointSlices(namespace)
	es, err := api.Get(ctx, sliceName(dbName(service), 2), metav1.GetOptions{})
	if err != nil {
		return err
	}
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	for i := range n {
		es.Endpoints[0].Addresses = []string{fmt.Sprintf("10.99.%d.%d", i/250, i%250+1)}
		host := strings.ReplaceAll(es.Endpoints[0].Addresses[0], ".", "-")
		m, err := new(dns.Msg).SetQuestion(fqdn(host+"."+clusterName(2)+".", dbName(service)), dns.TypeA).Pack()
		if err != nil {
			return err
		}
		if es, err = api.Update(ctx, es, metav1.UpdateOptions{}); err != nil {
			return err
		}
		accepted := time.Now()
		if err := awaitRecord(conn, m, 30*time.Second); err != nil {
			return fmt.Errorf("a change at %s: %w", s.name, err)
		}
		*all = append(*all, time.Since(accepted))
	}
	es.Endpoints[0].Addresses = []string{address(2, service*headlessEach)}
	_, err = api.Update(ctx, es, metav1.UpdateOptions{})
	return err
}

// awaitRecord asks until there is a record.
func awaitRecord(conn net.Conn, m []byte, patience time.Duration) error {
	buf := make([]byte, dns.MaxMsgSize)
	const answers = 7 // where the count of answers has its low octet (RFC 1035 section 4.1.1)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if err := conn.SetDeadline(deadline); err != nil {
			return err
		}
		reply, err := exchange(conn, m, buf, false)
		if err != nil {
			return err
		}
		if len(reply) > answers && reply[answers] > 0 {
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
