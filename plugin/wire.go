package multicluster

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
			t := fields{rest: f.octets()}
			for t.next() {
				switch t.number {
				case 1:
					apiVersion = t.text()
				case 2:
					kind = t.text()
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
			event.Type = f.text()
		case 2:
			o := fields{rest: f.octets()}
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

func readSlice(raw []byte, es *discoveryv1.EndpointSlice) (ok bool) {
	endpoints := 0
	for f := (fields{rest: raw}); f.next(); {
		if f.number == 2 {
			endpoints++
		}
	}
	es.Endpoints = make([]discoveryv1.Endpoint, 0, endpoints)
	addresses := make([]string, endpoints) // one for each, which is all that there may be in practice
	f := fields{rest: raw}
	for f.next() {
		switch f.number {
		case 1:
			f.bad = !readMeta(f.octets(), &es.ObjectMeta) || f.bad
		case 2:
			i := len(es.Endpoints)
			es.Endpoints = append(es.Endpoints, discoveryv1.Endpoint{Addresses: addresses[i : i : i+1]})
			f.bad = !readEndpoint(f.octets(), &es.Endpoints[i]) || f.bad
		case 3:
			es.Ports = append(es.Ports, discoveryv1.EndpointPort{})
			f.bad = !readPort(f.octets(), &es.Ports[len(es.Ports)-1]) || f.bad
		case 4:
			es.AddressType = discoveryv1.AddressType(f.text())
		}
	}
	return !f.bad
}

func readMeta(raw []byte, m *metav1.ObjectMeta) (ok bool) {
	f := fields{rest: raw}
	for f.next() {
		switch f.number {
		case 1:
			m.Name = f.text()
		case 3:
			m.Namespace = f.text()
		case 6:
			m.ResourceVersion = f.text()
		case 11:
			f.bad = !readEntry(f.octets(), &m.Labels) || f.bad
		case 12:
			f.bad = !readEntry(f.octets(), &m.Annotations) || f.bad
		case 17:
			f.bad = !readManager(f.octets(), m) || f.bad
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
}(mcsapi.LabelServiceName, mcsapi.LabelSourceCluster, mcsapi.AnnotationRank, corev1.EndpointsLastChangeTriggerTime, metav1.InitialEventsAnnotationKey)

func readEntry(raw []byte, m *map[string]string) (ok bool) {
	var key, value []byte
	f := fields{rest: raw}
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
func readManager(raw []byte, m *metav1.ObjectMeta) (ok bool) {
	f := fields{rest: raw}
	for f.next() {
		if f.number != 4 {
			continue
		}
		seconds := uint64(0)
		t := fields{rest: f.octets()}
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

func readEndpoint(raw []byte, e *discoveryv1.Endpoint) (ok bool) {
	f := fields{rest: raw}
	for f.next() {
		switch f.number {
		case 1:
			e.Addresses = append(e.Addresses, f.text())
		case 2:
			c := fields{rest: f.octets()}
			for c.next() {
				if c.number == 1 {
					e.Conditions.Ready = &bools[min(c.varint(), 1)]
				}
			}
			f.bad = f.bad || c.bad
		case 3:
			host := f.text()
			e.Hostname = &host
		}
	}
	return !f.bad
}

var bools = [2]bool{false, true}

func readPort(raw []byte, p *discoveryv1.EndpointPort) (ok bool) {
	f := fields{rest: raw}
	for f.next() {
		switch f.number {
		case 1:
			name := f.text()
			p.Name = &name
		case 2:
			protocol := corev1.Protocol(f.text())
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
	number protowire.Number // of the present field
	kind   protowire.Type
	value  []byte // what follows the present field's number and type
	bad    bool   // something is wrong with the message
}

// next goes to the next field, if there is one.
func (f *fields) next() bool {
	if f.bad || len(f.rest) == 0 {
		return false
	}
	number, kind, head := protowire.ConsumeTag(f.rest)
	if head < 0 {
		f.bad = true
		return false
	}
	size := protowire.ConsumeFieldValue(number, kind, f.rest[head:])
	if size < 0 {
		f.bad = true
		return false
	}
	f.number, f.kind, f.value, f.rest = number, kind, f.rest[head:head+size], f.rest[head+size:]
	return true
}

// octets returns the present field, which has to be a string, octets or a message, without copying it.
func (f *fields) octets() []byte {
	f.bad = f.bad || f.kind != protowire.BytesType
	if f.bad {
		return nil
	}
	value, _ := protowire.ConsumeBytes(f.value)
	return value
}

func (f *fields) text() string { return string(f.octets()) }

// varint returns the present field, which has to be a number.
func (f *fields) varint() uint64 {
	f.bad = f.bad || f.kind != protowire.VarintType
	if f.bad {
		return 0
	}
	value, _ := protowire.ConsumeVarint(f.value)
	return value
}
