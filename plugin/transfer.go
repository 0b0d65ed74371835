package multicluster

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

// Bounds of transfers (SPEC X7, L11). The plugin transfer does not tell when a secondary hangs up, and waits for one that stops
// reading as long as its connection stands. Meanwhile a transfer keeps all services as they were when it began.
const (
	maxTransfers     = 16               // at once, of one source; beyond, SERVFAIL
	transferPatience = 30 * time.Second // without progress
	transferTime     = 30 * time.Minute // in all: the secondary asks again by then, the SOA says (Retry)
)

var (
	errNotSynced        = errors.New("not everything has been read yet")
	errTooManyTransfers = errors.New("too many zone transfers at once")
)

// Transfer implements transfer.Transferer: it sends what queries are answered with, each record once, all of one moment. A
// transfer that has to be given up ends without its second SOA record, so nobody takes it for a whole one.
func (m *Multicluster) Transfer(origin string, serial uint32) (<-chan []dns.RR, error) {
	at := slices.IndexFunc(m.zones, func(z *zone) bool { return z.Origin == origin })
	if at < 0 {
		return nil, transfer.ErrNotAuthoritative
	}
	z := m.zones[at]
	if !z.source.synced() {
		return nil, errNotSynced
	}
	if !z.source.transfers.begin() {
		return nil, errTooManyTransfers
	}
	current, _ := z.source.serial.at(z.source.view.Changes()) // first: a later state is no harm, its serial will be greater
	services := z.source.view.Snapshot()
	ch := make(chan []dns.RR)
	go func() {
		defer z.source.transfers.end()
		defer close(ch)
		ctx, cancel := context.WithTimeout(z.source.ctx, transferTime)
		defer cancel()
		s := &sender{ctx, ch, time.NewTimer(transferPatience)}
		defer s.patience.Stop()
		soa := z.newSOA(current).All()
		if !s.send(soa) || serial != 0 && !older(serial, current) {
			return // nothing new (RFC 1995 section 2)
		}
		if z.transfer(services, s.send) {
			s.send(soa)
		}
	}()
	return ch, nil
}

// transfer sends all records but the SOA, as long as send takes them, and reports whether it took all.
func (z *zone) transfer(services []*view.Service, send func([]dns.RR) bool) bool {
	for _, set := range []*view.RRset{z.ns, z.addresses.a, z.addresses.aaaa, z.version} {
		if set.Len() > 0 && !send(set.All()) {
			return false
		}
	}
	for i, s := range services {
		services[i] = nil // it need not be kept any longer
		for rrs := range s.Walk(z.Zone) {
			if !send(rrs) {
				return false
			}
		}
	}
	return true
}

// sender hands the records of one transfer on for as long as somebody takes them.
type sender struct {
	ctx      context.Context
	ch       chan<- []dns.RR
	patience *time.Timer
}

// send reports whether the records were taken.
func (s *sender) send(rrs []dns.RR) bool {
	if s.ctx.Err() != nil {
		return false
	}
	s.patience.Reset(transferPatience)
	select {
	case s.ch <- rrs:
		return true
	case <-s.patience.C:
	case <-s.ctx.Done():
	}
	return false
}

// counter counts the transfers under way.
type counter struct{ n atomic.Int32 }

// begin counts one more, unless there are as many as there may be.
func (c *counter) begin() bool {
	if c.n.Add(1) > maxTransfers {
		c.end()
		return false
	}
	return true
}

func (c *counter) end() { c.n.Add(-1) }

// older reports whether serial a comes before serial b (RFC 1982 section 3.2).
func older(a, b uint32) bool { return int32(b-a) > 0 }
