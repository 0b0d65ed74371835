package multicluster

import (
	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin/pkg/edns"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
)

// message is a reply with its question, and room for the OPT record that the server adds, in one allocation.
type message struct {
	dns.Msg
	question [1]dns.Question
	spare    [1]dns.RR
}

// reply makes the message that answers r with set, or with nothing. Its records are shared: who writes to them has to
// copy them first, as the plugins of CoreDNS do.
func (z *zone) reply(w dns.ResponseWriter, r *dns.Msg, set *view.RRset, exists bool) *dns.Msg {
	m := &message{}
	m.question[0] = r.Question[0]
	m.Question = m.question[:]
	m.Extra = m.spare[:0]
	m.MsgHdr = dns.MsgHdr{
		Id: r.Id, Response: true, Opcode: r.Opcode, Authoritative: true,
		RecursionDesired: r.RecursionDesired, CheckingDisabled: r.CheckingDisabled,
	}
	if set.Len() == 0 {
		if !exists {
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = z.authority().All() // RFC 2308 section 3
		return &m.Msg
	}
	used, room := space(w, r, set.Size())
	answer, extra, cut := set.Fit(used, room)
	m.Answer, m.Truncated = inCaseOf(m.question[0].Name, answer), cut
	if len(extra) > 0 {
		m.Extra = extra
	}
	return &m.Msg
}

// maxDatagram is the most octets that one UDP datagram carries over IPv4, whatever a client says that it accepts.
const maxDatagram = 65535 - 20 - 8

// space returns the octets that the reply to r has before its records, and how many are left for them: as many as every
// client accepts where wanted is not more, or else as many as this one does.
func space(w dns.ResponseWriter, r *dns.Msg, wanted int) (used, room int) {
	const header, fixed, plainOPT = 12, 4, 11
	used = header + len(r.Question[0].Name) + 1 + fixed
	reserved, size := used, uint16(0)
	if opt := r.IsEdns0(); opt != nil { // the server returns it
		reserved += plainOPT
		size = opt.UDPSize()
		if len(opt.Option) > 0 {
			reserved += dns.Len(opt) - plainOPT
		}
	}
	if room = dns.MinMsgSize - reserved; wanted > room {
		state := request.Request{W: w}
		limit := int(edns.Size(state.Proto(), size))
		if state.Proto() == "udp" {
			limit = min(limit, maxDatagram)
		}
		room = limit - reserved
	}
	return used, max(room, 0)
}

// inCaseOf returns records whose owner is spelled like qname (RFC 4343, and clients that check it), the same ones where
// it already is.
func inCaseOf(qname string, shared []dns.RR) []dns.RR {
	if len(shared) == 0 || shared[0].Header().Name == qname {
		return shared
	}
	switch shared[0].(type) {
	case *dns.A:
		return spelled[dns.A](qname, shared)
	case *dns.AAAA:
		return spelled[dns.AAAA](qname, shared)
	case *dns.SRV:
		return spelled[dns.SRV](qname, shared)
	}
	own := make([]dns.RR, len(shared))
	for i, rr := range shared {
		own[i] = dns.Copy(rr)
		own[i].Header().Name = qname
	}
	return own
}

// spelled copies records of one type into one block, with another spelling of their owner. Their data stays shared.
func spelled[T any, P interface {
	*T
	dns.RR
}](qname string, shared []dns.RR) []dns.RR {
	block := make([]T, len(shared))
	own := make([]dns.RR, len(shared))
	for i, rr := range shared {
		block[i] = *rr.(P)
		p := P(&block[i])
		p.Header().Name = qname
		own[i] = p
	}
	return own
}
