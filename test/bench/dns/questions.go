package main

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/miekg/dns"
)

// question is one row of the table: many different messages of one kind.
type question struct {
	row    string
	tcp    bool
	qtype  uint16
	size   uint16 // of EDNS; 0 is none
	name   func(*clusterset) string
	expect func(*dns.Msg) error
	reach  float64
}

func records(n int) func(*dns.Msg) error {
	return func(m *dns.Msg) error {
		if len(m.Answer) != n || m.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("%d records, %s", len(m.Answer), dns.RcodeToString[m.Rcode])
		}
		return nil
	}
}

func atLeast(n int) func(*dns.Msg) error {
	return func(m *dns.Msg) error {
		if len(m.Answer) < n || m.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("%d records, %s", len(m.Answer), dns.RcodeToString[m.Rcode])
		}
		return nil
	}
}

func denial(m *dns.Msg) error {
	if m.Rcode != dns.RcodeNameError || len(m.Ns) != 1 {
		return fmt.Errorf("%s", dns.RcodeToString[m.Rcode])
	}
	return nil
}

func web(labels string) func(*clusterset) string {
	return func(s *clusterset) string { return fqdn(labels, webName(s.anyWeb())) }
}

func db(labels string) func(*clusterset) string {
	return func(s *clusterset) string { return fqdn(labels, dbName(s.anyDB())) }
}

func missing(s *clusterset) string { return fqdn("", fmt.Sprintf("none-%05d", rand.IntN(100000))) }

func endpoint(s *clusterset) string {
	service, cluster := s.anyDB(), rand.IntN(headlessClusters)+2
	host := strings.ReplaceAll(address(cluster, service*headlessEach+rand.IntN(headlessEach)), ".", "-")
	return fqdn(host+"."+clusterName(cluster)+".", dbName(service))
}

// questions are the rows, with the ratio to the floor that is to be reached.
var questions = []question{
	{"A of a ClusterSetIP name, UDP", false, dns.TypeA, 1232, web(""), records(1), 1.10},
	{"AAAA, NODATA", false, dns.TypeAAAA, 1232, web(""), records(0), 1.10},
	{"SRV _port._proto of a ClusterSetIP name", false, dns.TypeSRV, 1232, web("_http._tcp."), records(1), 1.15},
	{"NXDOMAIN", false, dns.TypeA, 1232, missing, denial, 1.10},
	{"endpoint host name", false, dns.TypeA, 1232, endpoint, records(1), 1.15},
	{"headless A, 300 endpoints, UDP 1232", false, dns.TypeA, 1232, db(""), atLeast(70), 2.4},
	{"headless SRV, 300 endpoints, UDP 1232", false, dns.TypeSRV, 1232, db("_http._tcp."), atLeast(12), 2.7},
	{"headless A, 300 endpoints, TCP, whole", true, dns.TypeA, 0, db(""), records(300), 8.5},
	{"headless SRV, 300 endpoints, TCP, whole", true, dns.TypeSRV, 0, db("_http._tcp."), records(300), 29},
}

// messages packs n questions of a row, and the ones that the floor is asked for it: A records of the same names.
func (q question) messages(s *clusterset, n int, floor bool) ([][]byte, error) {
	all := make([][]byte, n)
	for i := range all {
		m := new(dns.Msg).SetQuestion(q.name(s), q.qtype)
		if floor {
			m.SetQuestion(fqdn("", webName(s.anyWeb())), dns.TypeA)
		}
		if q.size > 0 {
			m.SetEdns0(q.size, false)
		}
		packed, err := m.Pack()
		if err != nil {
			return nil, err
		}
		all[i] = packed
	}
	return all, nil
}
