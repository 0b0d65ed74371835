package kubeclient

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// TestShortFields_X6: an object in protobuf of a few megabytes that has millions of short messages within is not decoded, as the
// answer, in a list or as an event, however their tags and lengths are written; and what passes takes a bounded amount of memory.
func TestShortFields_X6(t *testing.T) {
	const media = "application/vnd.kubernetes.protobuf"
	envelope := func(kind string, raw []byte) []byte {
		unknown := kuberuntime.Unknown{TypeMeta: kuberuntime.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: kind}, Raw: raw}
		b, err := unknown.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return append([]byte("k8s\x00"), b...)
	}
	inside := func(field byte, raw []byte) []byte {
		return append(binary.AppendUvarint([]byte{field<<3 | 2}, uint64(len(raw))), raw...)
	}
	for name, c := range map[string]struct {
		record []byte // an endpoint of a slice, but for one
		passes bool
	}{
		"empty endpoints":         {record: []byte{2<<3 | 2, 0}},
		"with a field of no use":  {record: []byte{2<<3 | 2, 2, 15 << 3, 0x7f}},
		"with a long length":      {record: []byte{2<<3 | 2, 0x80, 0}},
		"with a long tag":         {record: []byte{2<<3 | 2 | 0x80, 0, 0}},
		"empty managed fields":    {record: []byte{1<<3 | 2, 3, 17<<3&0x7f | 2 | 0x80, 1, 0}},
		"of as many bytes as may": {record: []byte{2<<3 | 2, 3, 15 << 3, 0xff, 0x7f}, passes: true},
	} {
		slice := bytes.Repeat(c.record, (answerBytes-kib)/len(c.record))
		list := envelope("EndpointSliceList", inside(2, slice))
		event := metav1.WatchEvent{Type: "ADDED", Object: kuberuntime.RawExtension{Raw: envelope("EndpointSlice", slice)}}
		frame, err := event.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		frame = append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		for question, body := range map[string][]byte{"list": list, "watch": frame} {
			t.Run(name+"/"+question, func(t *testing.T) {
				s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", media)
					if question == "watch" {
						w.Header().Set("Content-Type", media+";stream=watch")
					}
					_, _ = w.Write(body)
				})
				_, kube := reach(t, s, media)
				if c.passes && question == "list" {
					var before, after runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&before)
					got, err := kube.DiscoveryV1().EndpointSlices("").List(t.Context(), metav1.ListOptions{Limit: 50})
					runtime.GC()
					runtime.ReadMemStats(&after)
					if held := int64(after.HeapAlloc) - int64(before.HeapAlloc); err != nil || len(got.Items) != 1 || held > 128*mib {
						t.Errorf("it takes %d MiB: %v", held/mib, err)
					} else {
						t.Logf("%d endpoints take %d MiB", len(got.Items[0].Endpoints), held/mib)
					}
					return
				}
				if c.passes {
					return
				}
				took, err := measured(func() error { return questions[question](t, kube) })
				var exceeded *Exceeded
				if !errors.As(err, &exceeded) || took > 100*mib {
					t.Errorf("got %v, allocated %d MiB", excerpt.Error(err), took/mib)
				}
			})
		}
	}
}

// TestHonestShortFields_X6: Services and slices whose fields are as short as they can be are no abuse.
func TestHonestShortFields_X6(t *testing.T) {
	service := corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}}
	for p := range int32(1500) {
		port := 128 + p%512
		service.Spec.Ports = append(service.Spec.Ports, corev1.ServicePort{
			Name: strconv.Itoa(int(p)), Protocol: []corev1.Protocol{"TCP", "UDP", "SCTP"}[p/512], Port: port, TargetPort: intstr.FromInt32(port),
		})
	}
	one := service
	one.UID, one.ResourceVersion, one.CreationTimestamp = "01234567-89ab-cdef-0123-456789abcdef", "1234567", metav1.Now()
	one.Spec = corev1.ServiceSpec{ClusterIP: "10.0.0.1", ClusterIPs: []string{"10.0.0.1"}, Type: "ClusterIP", SessionAffinity: "None", IPFamilies: []corev1.IPFamily{"IPv4"}}
	one.Labels, one.Spec.Selector = map[string]string{"app.kubernetes.io/name": "x"}, map[string]string{"app.kubernetes.io/name": "x"}
	one.Spec.Ports = []corev1.ServicePort{{Protocol: "TCP", Port: 443, TargetPort: intstr.FromInt32(443)}}
	slice := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}, AddressType: "IPv4"}
	yes := true
	for range 1000 {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{"1.1.1.1"}, Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}})
	}
	services, one500, slices := &corev1.ServiceList{}, &corev1.ServiceList{}, &discoveryv1.EndpointSliceList{}
	for range 20 {
		services.Items, slices.Items = append(services.Items, service), append(slices.Items, slice)
	}
	for range 5000 {
		one500.Items = append(one500.Items, one)
	}
	for name, list := range map[string]kuberuntime.Object{"many ports": services, "one port": one500, "endpoints": slices} {
		f := shortFields{}
		text := encoded(t, "application/vnd.kubernetes.protobuf", list)
		if what, most := f.take(text); what != "" {
			t.Errorf("%s: %s has more than %s", name, what, most)
		}
		t.Logf("%s: a short field per %.1f bytes", name, float64(len(text))/float64(f.short))
	}
}
