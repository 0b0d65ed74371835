package decode

import (
	"bytes"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"

	"google.golang.org/protobuf/encoding/protowire"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// sliceDecoder decodes EndpointSlices and the events that carry them from protobuf, of each only what this plugin needs:
// topology, hints, references and what managers own are the greater part of a slice. Everything else, and whatever looks
// unusual, is left to the ordinary decoder. Field numbers are those of generated.proto beside the Go types.
type sliceDecoder struct{ runtime.Serializer }

// Decode implements runtime.Decoder. What is decoded into an event shares its octets with data.
func (d sliceDecoder) Decode(data []byte, kind *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	if event, ok := into.(*metav1.WatchEvent); ok && readEvent(data, event) {
		return event, kind, nil
	}
	if into == nil {
		if raw := sliceIn(data); raw != nil {
			es := &discoveryv1.EndpointSlice{}
			if readSlice(raw, es) {
				return es, kind, nil
			}
		}
	}
	return d.Serializer.Decode(data, kind, into)
}

// envelopePrefix begins every object (runtime/serializer/protobuf: "k8s" and a zero).
var envelopePrefix = []byte("k8s\x00")

// sliceIn returns the EndpointSlice in an envelope (runtime.Unknown), or nil where something else is in it.
func sliceIn(data []byte) (raw []byte) {
	data, ok := bytes.CutPrefix(data, envelopePrefix)
	var apiVersion, kind string
	f := fields{rest: data}
	for ok && f.next() {
		switch f.number {
		case 1:
			t := f.message()
			for t.next() {
				switch t.number {
				case 1:
					apiVersion = t.string()
				case 2:
					kind = t.string()
				}
			}
			f.bad = f.bad || t.bad
		case 2:
			raw = f.octets()
		case 3, 4:
			f.bad = f.bad || len(f.octets()) > 0 // an encoding
		}
	}
	if !ok || f.bad || kind != "EndpointSlice" || apiVersion != discoveryv1.SchemeGroupVersion.String() {
		return nil
	}
	return raw
}

func readEvent(data []byte, event *metav1.WatchEvent) (ok bool) {
	f := fields{rest: data}
	for f.next() {
		switch f.number {
		case 1:
			event.Type = f.string()
		case 2:
			o := f.message()
			for o.next() {
				if o.number == 1 {
					event.Object.Raw = o.octets()
				}
			}
			f.bad = f.bad || o.bad
		}
	}
	return !f.bad
}

// readSlice reads a slice. Its texts, but for those of its metadata, are parts of one: whoever keeps one copies it.
func readSlice(raw []byte, es *discoveryv1.EndpointSlice) (ok bool) {
	endpoints := 0
	for f := (fields{rest: raw}); f.next(); {
		if f.number == 2 {
			endpoints++
		}
	}
	es.Endpoints = make([]discoveryv1.Endpoint, 0, endpoints)
	addresses := make([]string, endpoints) // one for each, which is all that there may be in practice
	f := fields{rest: raw, same: string(raw)}
	for f.next() {
		switch f.number {
		case 1:
			f.bad = !readMeta(fields{rest: f.octets()}, &es.ObjectMeta) || f.bad
		case 2:
			i := len(es.Endpoints)
			es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{Addresses: addresses[i : i : i+1]})
			f.bad = !readEndpoint(f.message(), &es.Endpoints[i]) || f.bad
		case 3:
			es.Ports = append(es.Ports, discoveryv1.EndpointPort{})
			f.bad = !readPort(f.message(), &es.Ports[len(es.Ports)-1]) || f.bad
		case 4:
			es.AddressType = discoveryv1.AddressType(f.string())
		}
	}
	return !f.bad
}

func readMeta(f fields, m *metav1.ObjectMeta) (ok bool) {
	for f.next() {
		switch f.number {
		case 1:
			m.Name = f.string()
		case 3:
			m.Namespace = f.string()
		case 6:
			m.ResourceVersion = f.string()
		case 11:
			f.bad = !readEntry(f.message(), &m.Labels) || f.bad
		case 12:
			f.bad = !readEntry(f.message(), &m.Annotations) || f.bad
		case 17:
			f.bad = !readManager(f.message(), m) || f.bad
		}
	}
	return !f.bad
}

// read are the labels and annotations that somebody looks at, by their names.
var read = func(keys ...string) map[string]string {
	m := map[string]string{}
	for _, key := range keys {
		m[key] = key
	}
	return m
}(mcsapi.LabelServiceName, mcsapi.LabelReserve, mcsapi.LabelSourceCluster, mcsapi.AnnotationRank, corev1.EndpointsLastChangeTriggerTime, metav1.InitialEventsAnnotationKey)

func readEntry(f fields, m *map[string]string) (ok bool) {
	var key, value []byte
	for f.next() {
		switch f.number {
		case 1:
			key = f.octets()
		case 2:
			value = f.octets()
		}
	}
	if name, ok := read[string(key)]; ok {
		if *m == nil {
			*m = map[string]string{}
		}
		(*m)[name] = string(value)
	}
	return !f.bad
}

// readManager reads when an owner of fields wrote last.
func readManager(f fields, m *metav1.ObjectMeta) (ok bool) {
	for f.next() {
		if f.number != 4 {
			continue
		}
		seconds := uint64(0)
		t := f.message()
		for t.next() {
			if t.number == 1 {
				seconds = t.varint()
			}
		}
		m.ManagedFields = append(m.ManagedFields, metav1.ManagedFieldsEntry{Time: &metav1.Time{Time: time.Unix(int64(seconds), 0)}})
		f.bad = f.bad || t.bad
	}
	return !f.bad
}

func readEndpoint(f fields, e *discoveryv1.Endpoint) (ok bool) {
	for f.next() {
		switch f.number {
		case 1:
			e.Addresses = append(e.Addresses, f.string())
		case 2:
			c := f.message()
			for c.next() {
				if c.number == 1 {
					e.Conditions.Ready = &bools[min(c.varint(), 1)]
				}
			}
			f.bad = f.bad || c.bad
		case 3:
			host := f.string()
			e.Hostname = &host
		}
	}
	return !f.bad
}

var bools = [2]bool{false, true}

func readPort(f fields, p *discoveryv1.EndpointPort) (ok bool) {
	for f.next() {
		switch f.number {
		case 1:
			name := f.string()
			p.Name = &name
		case 2:
			protocol := corev1.Protocol(f.string())
			p.Protocol = &protocol
		case 3:
			number := int32(f.varint())
			p.Port = &number
		}
	}
	return !f.bad
}

// fields goes through the fields of one protobuf message.
type fields struct {
	rest   []byte
	same   string           // the octets of rest, if texts may be parts of them rather than copies
	number protowire.Number // of the present field
	kind   protowire.Type
	value  []byte // of the present field, if it is a string, octets or a message
	text   string // the same, where texts may be parts
	count  uint64 // of the present field, if it is a number
	bad    bool   // something is wrong with the message
}

// next goes to the next field, if there is one.
func (f *fields) next() bool {
	if f.bad || len(f.rest) == 0 {
		return false
	}
	var head, size int
	f.number, f.kind, head = protowire.ConsumeTag(f.rest)
	if f.bad = head < 0; f.bad {
		return false
	}
	f.value = nil
	switch f.kind {
	case protowire.BytesType:
		f.value, size = protowire.ConsumeBytes(f.rest[head:])
	case protowire.VarintType:
		f.count, size = protowire.ConsumeVarint(f.rest[head:])
	default:
		size = protowire.ConsumeFieldValue(f.number, f.kind, f.rest[head:])
	}
	if f.bad = size < 0; f.bad {
		return false
	}
	end := head + size
	f.rest = f.rest[end:]
	if f.same != "" {
		f.text, f.same = f.same[end-len(f.value):end], f.same[end:]
	}
	return true
}

// octets returns the present field, which has to be a string, octets or a message, without copying it.
func (f *fields) octets() []byte {
	if f.kind != protowire.BytesType {
		f.bad = true
		return nil
	}
	return f.value
}

// message returns the present field, which has to be a message.
func (f *fields) message() fields { return fields{rest: f.octets(), same: f.text} }

// string returns the present field, which has to be a string.
func (f *fields) string() string {
	octets := f.octets()
	if f.text != "" {
		return f.text
	}
	return string(octets)
}

// varint returns the present field, which has to be a number.
func (f *fields) varint() uint64 {
	if f.kind != protowire.VarintType {
		f.bad = true
		return 0
	}
	return f.count
}
