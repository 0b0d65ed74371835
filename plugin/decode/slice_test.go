package decode

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/utils/ptr"
)

// wireCodecs returns the encoder of an API server, and both decoders of objects and of events.
func wireCodecs() (encoder runtime.Encoder, ordinary, lean, ordinaryEvents, leanEvents runtime.Decoder) {
	for _, info := range ordinarySliceCodecs().SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeProtobuf {
			encoder, ordinary, ordinaryEvents = ordinarySliceCodecs().EncoderForVersion(info.Serializer, discoveryv1.SchemeGroupVersion), info.Serializer, info.StreamSerializer.Serializer
		}
	}
	for _, info := range SliceCodecs().SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeProtobuf {
			lean, leanEvents = info.Serializer, info.StreamSerializer.Serializer
		}
	}
	return encoder, ordinary, lean, ordinaryEvents, leanEvents
}

// wireSlice is a slice as the controller writes it, and as an API server sends it, with everything that nobody needs.
func wireSlice(endpoints int) *discoveryv1.EndpointSlice {
	es := &discoveryv1.EndpointSlice{
		TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"},
		ObjectMeta: metav1.ObjectMeta{
			Name: "amcs-web-1", Namespace: "ns", UID: "4f1c", ResourceVersion: "812", Generation: 3,
			Labels: map[string]string{
				mcsapi.LabelServiceName: "web", mcsapi.LabelSourceCluster: "a", mcsapi.LabelClusterSet: "default",
				discoveryv1.LabelServiceName: "amcs-web", discoveryv1.LabelManagedBy: mcsapi.ManagedBy,
			},
			Annotations: map[string]string{
				mcsapi.AnnotationRank: "1", corev1.EndpointsLastChangeTriggerTime: "2026-01-02T03:04:05.6Z", "other": "x",
			},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "multicluster.x-k8s.io/v1beta1", Kind: "ServiceImport", Name: "web", UID: "7"}},
			ManagedFields: []metav1.ManagedFieldsEntry{
				{Manager: "m", Operation: "Apply", Time: &metav1.Time{Time: time.Unix(1767323045, 0)}, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:endpoints":{}}`)},
				{Manager: "n"},
			},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports: []discoveryv1.EndpointPort{
			{Name: ptr.To("http"), Port: ptr.To[int32](80), Protocol: ptr.To(corev1.ProtocolTCP), AppProtocol: ptr.To("h2c")},
			{Name: ptr.To(""), Port: ptr.To[int32](81)}, {Name: ptr.To("none")},
		},
	}
	for i := range endpoints {
		e := discoveryv1.Endpoint{
			Addresses: []string{fmt.Sprintf("10.1.%d.%d", i/250, i%250+1)}, Zone: ptr.To("z1"), NodeName: ptr.To("node-1"),
			Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(i%7 != 3), Serving: ptr.To(true), Terminating: ptr.To(false)},
			Hints:      &discoveryv1.EndpointHints{ForZones: []discoveryv1.ForZone{{Name: "z1"}}},
			TargetRef:  &corev1.ObjectReference{Kind: "Pod", Name: "p"},
		}
		switch i % 5 {
		case 1:
			e.Hostname = ptr.To(fmt.Sprintf("web-%d", i))
		case 2:
			e.Conditions = discoveryv1.EndpointConditions{}
		}
		es.Endpoints = append(es.Endpoints, e)
	}
	return es
}

// sameSlice fails unless DNS, the stream and the metrics learn the same of both.
func sameSlice(t *testing.T, got, want *discoveryv1.EndpointSlice) {
	t.Helper()
	gotService, gotSlice, gotOdd := Slice(got.Name, got)
	wantService, wantSlice, wantOdd := Slice(want.Name, want)
	if gotService != wantService || !reflect.DeepEqual(gotSlice, wantSlice) || !reflect.DeepEqual(gotOdd, wantOdd) {
		t.Fatalf("%s %+v %v\nnot\n%s %+v %v", gotService, gotSlice, gotOdd, wantService, wantSlice, wantOdd)
	}
	const bookmark = metav1.InitialEventsAnnotationKey
	if got.Name != want.Name || got.Namespace != want.Namespace || got.ResourceVersion != want.ResourceVersion ||
		!ChangeTime(got).Equal(ChangeTime(want)) || got.Annotations[bookmark] != want.Annotations[bookmark] {
		t.Fatalf("%+v\nnot\n%+v", got.ObjectMeta, want.ObjectMeta)
	}
}

// FuzzSliceWire: whatever comes over the wire, where the ordinary decoder reads a slice, the lean one reads the same.
func FuzzSliceWire(f *testing.F) {
	encoder, ordinary, lean, ordinaryEvents, leanEvents := wireCodecs()
	add := func(o runtime.Object) {
		raw, err := runtime.Encode(encoder, o)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
		for cut := 1; cut < len(raw); cut += 37 {
			f.Add(raw[:cut])
		}
		event, err := (&metav1.WatchEvent{Type: string(watch.Added), Object: runtime.RawExtension{Raw: raw}}).Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(event)
	}
	for _, n := range []int{0, 1, 12} {
		add(wireSlice(n))
	}
	six := wireSlice(0)
	six.AddressType, six.Endpoints = discoveryv1.AddressTypeIPv6, []discoveryv1.Endpoint{{Addresses: []string{"fd00::1", "nonsense"}, Hostname: ptr.To("Web-0")}}
	six.Labels = map[string]string{mcsapi.LabelReserve: "web", mcsapi.LabelSourceCluster: "a", mcsapi.LabelClusterSet: "default"}
	add(six)
	add(&discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "9", Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"}}})
	add(&discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{Continue: "c"}, Items: []discoveryv1.EndpointSlice{*wireSlice(2)}})
	status := apierrors.NewResourceExpired("too old").ErrStatus
	add(&status)
	f.Fuzz(func(t *testing.T, data []byte) {
		for range 2 { // what may be an event, and what may be in it
			got, _, gotErr := lean.Decode(data, nil, nil)
			want, _, err := ordinary.Decode(data, nil, nil)
			if err == nil {
				if gotErr != nil {
					t.Fatalf("%v, the ordinary decoder reads %+v", gotErr, want)
				}
				if slice, ok := want.(*discoveryv1.EndpointSlice); ok {
					sameSlice(t, got.(*discoveryv1.EndpointSlice), slice)
				} else if !reflect.DeepEqual(got, want) {
					t.Fatalf("%+v\nnot\n%+v", got, want)
				}
			}
			var gotEvent, wantEvent metav1.WatchEvent
			_, _, gotErr = leanEvents.Decode(data, nil, &gotEvent)
			if _, _, err := ordinaryEvents.Decode(data, nil, &wantEvent); err != nil {
				return
			}
			if gotErr != nil || gotEvent.Type != wantEvent.Type || string(gotEvent.Object.Raw) != string(wantEvent.Object.Raw) {
				t.Fatalf("%+v %v\nnot\n%+v", gotEvent, gotErr, wantEvent)
			}
			data = wantEvent.Object.Raw
		}
	})
}

// TestLeanSlice: a slice is read by the lean decoder itself, not by the ordinary one that stands behind it.
func TestLeanSlice(t *testing.T) {
	encoder, _, lean, _, _ := wireCodecs()
	want := wireSlice(12)
	raw, err := runtime.Encode(encoder, want)
	if err != nil {
		t.Fatal(err)
	}
	o, _, err := lean.Decode(raw, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := o.(*discoveryv1.EndpointSlice)
	sameSlice(t, got, want)
	if got.OwnerReferences != nil || got.Labels[mcsapi.LabelClusterSet] != "" || got.Endpoints[0].TargetRef != nil {
		t.Errorf("more was read than is needed: %+v", got)
	}
	if len(got.Endpoints) != 12 || *got.Endpoints[3].Conditions.Ready || got.Endpoints[2].Conditions.Ready != nil || *got.Endpoints[1].Hostname != "web-1" {
		t.Errorf("%+v", got.Endpoints)
	}
}

// BenchmarkDecodeSlice is what one slice costs off the wire, by either decoder.
func BenchmarkDecodeSlice(b *testing.B) {
	encoder, ordinary, lean, _, _ := wireCodecs()
	for _, n := range []int{5, 100} {
		raw, err := runtime.Encode(encoder, wireSlice(n))
		if err != nil {
			b.Fatal(err)
		}
		for _, d := range []struct {
			name string
			runtime.Decoder
		}{{"ordinary", ordinary}, {"lean", lean}} {
			b.Run(fmt.Sprintf("%s/%d", d.name, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, _, err := d.Decode(raw, nil, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
