package multicluster

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/decode"
	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/coredns/plugin"
	clog "github.com/coredns/coredns/plugin/pkg/log"
	"github.com/coredns/coredns/plugin/test"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"
)

func init() { clog.Discard() }

const testZone = "clusterset.local."

// fixture is a plugin whose objects a test gives by hand, in place of an API server.
type fixture struct {
	*Multicluster
	t       testing.TB
	imports *importSink
	slices  *sliceSink
}

// newFixture returns a plugin that has read everything, for the given zones, with a TTL of 5.
func newFixture(t testing.TB, zones ...string) *fixture {
	t.Helper()
	v := view.New()
	f := &fixture{
		t: t, imports: &importSink{view: v, zone: &zoneLength{}, told: told{}}, slices: &sliceSink{view: v, zone: &zoneLength{}, told: told{}},
		Multicluster: &Multicluster{group: &group{}},
	}
	f.group.members = []*Multicluster{f.Multicluster}
	src := &source{view: v, health: newHealth(nil), ctx: t.Context(), users: map[*stanza]struct{}{}}
	src.health.synced.Store(true)
	for _, origin := range zones {
		z := &zone{Zone: view.Zone{Origin: origin, TTL: defaultTTL}, source: src}
		z.stand([]netip.Addr{netip.MustParseAddr("10.0.0.53"), netip.MustParseAddr("fd00::53")})
		f.zones = append(f.zones, z)
	}
	f.imports.zone.serve(f.zones)
	f.slices.zone.serve(f.zones)
	f.stanzas = []*stanza{{zones: f.zones, patience: time.Hour}}
	f.started.Store(true)
	return f
}

// apply adds or replaces the objects of a YAML with several documents.
func (f *fixture) apply(manifest string) {
	f.t.Helper()
	for _, doc := range strings.Split(manifest, "\n---\n") {
		switch o := fromWire(f.t, doc).(type) {
		case *mcs.ServiceImport:
			f.imports.set(o)
		case *discoveryv1.EndpointSlice:
			f.slices.set(o)
		}
	}
}

// remove removes the objects of a YAML.
func (f *fixture) remove(manifest string) {
	f.t.Helper()
	for _, doc := range strings.Split(manifest, "\n---\n") {
		switch o := fromWire(f.t, doc).(type) {
		case *mcs.ServiceImport:
			f.imports.remove(o)
		case *discoveryv1.EndpointSlice:
			f.slices.remove(o)
		}
	}
}

// fromWire returns the object of a YAML document as it comes from an API server: written in the media type that the server sends,
// and read by the decoder that the plugin has for it.
func fromWire(t testing.TB, doc string) runtime.Object {
	t.Helper()
	if strings.Contains(doc, "kind: ServiceImport") {
		codecs := decode.ImportCodecs(serializer.NewCodecFactory(mcsapi.NewScheme(mcs.GroupVersion.Version)).WithoutConversion())
		return throughWire(t, doc, &mcs.ServiceImport{}, codecs, runtime.ContentTypeJSON, schema.GroupVersion(mcs.GroupVersion))
	}
	return throughWire(t, doc, &discoveryv1.EndpointSlice{}, decode.SliceCodecs(), runtime.ContentTypeProtobuf, discoveryv1.SchemeGroupVersion)
}

func throughWire(t testing.TB, doc string, o runtime.Object, codecs runtime.NegotiatedSerializer, mediaType string, version schema.GroupVersion) runtime.Object {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(doc), o); err != nil {
		t.Fatalf("%v in:\n%s", err, doc)
	}
	info, ok := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), mediaType)
	if !ok {
		t.Fatalf("no %s", mediaType)
	}
	data, err := runtime.Encode(codecs.EncoderForVersion(info.Serializer, version), o)
	if err != nil {
		t.Fatal(err)
	}
	read, err := runtime.Decode(info.Serializer, data)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// client is who asks: over UDP with an EDNS size (0 means no EDNS), or over TCP.
type client struct {
	tcp  bool
	size uint16
}

var overTCP, roomy = client{tcp: true}, client{size: 4096}

// ask asks as the server does, and returns the reply as it comes off the wire, and what the handler returned.
func (f *fixture) ask(c client, name string, qtype uint16) (*dns.Msg, int) {
	f.t.Helper()
	r := new(dns.Msg).SetQuestion(name, qtype)
	if c.size > 0 {
		r.SetEdns0(c.size, false)
	}
	return f.exchange(f.Multicluster, c, r)
}

func (f *fixture) exchange(h plugin.Handler, c client, r *dns.Msg) (*dns.Msg, int) {
	f.t.Helper()
	w := &wire{t: f.t, tcp: c.tcp}
	rcode, err := h.ServeDNS(f.t.Context(), request.NewScrubWriter(r, w), r)
	if err != nil {
		f.t.Fatalf("%s: %v", r.Question[0].String(), err)
	}
	if plugin.ClientWrite(rcode) != (w.reply != nil) {
		f.t.Fatalf("%s: returned %s, and wrote %v", r.Question[0].String(), dns.RcodeToString[rcode], w.reply)
	}
	if limit := max(int(c.size), dns.MinMsgSize); !c.tcp && w.size > limit {
		f.t.Fatalf("%s: %d octets, the client takes %d", r.Question[0].String(), w.size, limit)
	}
	return w.reply, rcode
}

// wire is a client's connection: it packs what it is given, and unpacks it again.
type wire struct {
	test.ResponseWriter
	t     testing.TB
	tcp   bool
	size  int
	reply *dns.Msg
}

func (w *wire) RemoteAddr() net.Addr {
	if w.tcp {
		return &net.TCPAddr{IP: net.IPv4(10, 240, 0, 1), Port: 40212}
	}
	return &net.UDPAddr{IP: net.IPv4(10, 240, 0, 1), Port: 40212}
}

func (w *wire) WriteMsg(m *dns.Msg) error {
	octets, err := m.Pack()
	if err != nil {
		w.t.Fatalf("a reply that can't be packed: %v\n%v", err, m)
	}
	w.size, w.reply = len(octets), new(dns.Msg)
	if err := w.reply.Unpack(octets); err != nil {
		w.t.Fatalf("a reply that can't be unpacked: %v", err)
	}
	return nil
}

// texts are records as text, sorted, without OPT.
func texts(section []dns.RR) []string {
	all := []string{}
	for _, rr := range section {
		if rr.Header().Rrtype != dns.TypeOPT {
			all = append(all, strings.ReplaceAll(rr.String(), "\t", " "))
		}
	}
	slices.Sort(all)
	return all
}

// query is a question and what has to come of it.
type ask struct {
	name   string
	qtype  uint16
	answer string // records, one a line; owner "@" is the name, TTL and class are added; none means NODATA
	extra  string // likewise; "@" is not replaced
	absent bool   // NXDOMAIN
}

// run asks everything of a table, over UDP with room enough and over TCP.
func (f *fixture) run(table []ask) {
	f.t.Helper()
	for _, a := range table {
		for _, c := range []client{roomy, overTCP} {
			reply, rcode := f.ask(c, a.name, a.qtype)
			if reply == nil {
				f.t.Errorf("%s %s: no reply, %s", a.name, dns.TypeToString[a.qtype], dns.RcodeToString[rcode])
				continue
			}
			f.check(a, reply)
		}
	}
}

func (f *fixture) check(a ask, reply *dns.Msg) {
	f.t.Helper()
	question := a.name + " " + dns.TypeToString[a.qtype]
	want := dns.RcodeSuccess
	if a.absent {
		want = dns.RcodeNameError
	}
	if reply.Rcode != want || !reply.Authoritative || reply.Truncated || reply.Question[0].Name != a.name {
		f.t.Errorf("%s: header %v, question %v", question, reply.MsgHdr, reply.Question)
	}
	if got, want := texts(reply.Answer), parseRecords(f.t, a.answer, a.name); !slices.Equal(got, want) {
		f.t.Errorf("%s: answer\n  %s\nnot\n  %s", question, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	if got, want := texts(reply.Extra), parseRecords(f.t, a.extra, ""); !slices.Equal(got, want) {
		f.t.Errorf("%s: additional\n  %s\nnot\n  %s", question, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
	negative := len(reply.Ns) == 1 && reply.Ns[0].Header().Rrtype == dns.TypeSOA && len(reply.Answer) == 0
	if (a.answer == "") != negative {
		f.t.Errorf("%s: authority %v", question, reply.Ns)
	}
}

// parseRecords parses the records of a table, and gives them out like texts does.
func parseRecords(t testing.TB, lines, name string) []string {
	t.Helper()
	var rrs []dns.RR
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "@"); ok {
			line = name + strings.ReplaceAll(rest, "@", name)
		}
		rr, err := dns.NewRR("$TTL 5\n" + line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		rrs = append(rrs, rr)
	}
	return texts(rrs)
}
