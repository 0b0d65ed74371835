package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/miekg/dns"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// relisted is what it took a server to read everything again.
type relisted struct {
	took time.Duration // since the API server was back
	peak int           // resident memory, in octets
}

// measureRelist has the API server forget its history, by starting anew, and prints what reading everything again costs.
func measureRelist(ctx context.Context, set *clusterset, dir string, all ...contender) error {
	var results []relisted
	for _, c := range all {
		err := c.changes(ctx, set, dir, func(s *server) error {
			r, err := s.relist(ctx, set)
			results = append(results, r)
			return err
		})
		if err != nil {
			return err
		}
	}
	stock, ours := results[0], results[1]
	fmt.Printf("| everything is read again | stock | ours | to reach |\n|---|---|---|---|\n")
	fmt.Printf("| peak RSS (MiB) | %d | %d | <= 160 |\n", stock.peak>>20, ours.peak>>20)
	fmt.Printf("| from the API server's return to an import that is new (s) | %.2f | %.2f | |\n", stock.took.Seconds(), ours.took.Seconds())
	fmt.Println()
	return nil
}

func (s *server) relist(ctx context.Context, set *clusterset) (r relisted, err error) {
	if err := set.cluster.KillAPIServer(); err != nil {
		return r, err
	}
	if err := set.cluster.StartAPIServer(ctx); err != nil {
		return r, err
	}
	began := time.Now()
	fresh := fmt.Sprintf("fresh-%d", began.UnixNano())
	spec := mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, IPs: []string{"10.201.0.1"}, Ports: []mcs.ServicePort{{Name: "http", Port: 80}}}
	if err := set.addImport(ctx, fresh, spec); err != nil {
		return r, err
	}
	conn, err := net.Dial("udp", s.addr)
	if err != nil {
		return r, err
	}
	defer conn.Close()
	m, err := new(dns.Msg).SetQuestion(fqdn("", fresh), dns.TypeA).Pack()
	if err != nil {
		return r, err
	}
	const patience = 5 * time.Minute // stock CoreDNS may come back late
	if err := askUntil(conn, m, patience, hasRecord); err != nil {
		return r, fmt.Errorf("after a restart of the API server, at %s: %w", s.name, err)
	}
	r.took = time.Since(began)
	<-time.After(settle) // the other kinds too
	_, r.peak, err = s.process.Memory()
	return r, err
}
