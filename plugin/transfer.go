package multicluster

import (
	"errors"
	"slices"

	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin/transfer"
	"github.com/miekg/dns"
)

var errNotSynced = errors.New("not everything has been read yet")

// Transfer implements transfer.Transferer: it sends what queries are answered with, each record once, all of one moment.
func (m *Multicluster) Transfer(origin string, serial uint32) (<-chan []dns.RR, error) {
	at := slices.IndexFunc(m.zones, func(z *zone) bool { return z.Origin == origin })
	if at < 0 {
		return nil, transfer.ErrNotAuthoritative
	}
	z := m.zones[at]
	if !z.source.synced() {
		return nil, errNotSynced
	}
	current := z.source.serial.at(z.source.view.Changes()) // first: a later state is no harm, its serial will be greater
	services := z.source.view.Snapshot()
	soa := z.newSOA(current).All()
	ch := make(chan []dns.RR)
	go func() {
		defer close(ch)
		ch <- soa
		if serial != 0 && !older(serial, current) {
			return // nothing new (RFC 1995 section 2)
		}
		for _, set := range []*view.RRset{z.ns, z.addresses.a, z.addresses.aaaa, z.version} {
			if set.Len() > 0 {
				ch <- set.All()
			}
		}
		for _, s := range services {
			for rrs := range s.Walk(z.Zone) {
				ch <- rrs
			}
		}
		ch <- soa
	}()
	return ch, nil
}

// older reports whether serial a comes before serial b (RFC 1982 section 3.2).
func older(a, b uint32) bool { return int32(b-a) > 0 }
