package plan

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC S4: each of cluster, slice and address type makes another name; nothing moves from one to the next.
func TestSliceNames_S4(t *testing.T) {
	seen := map[string]string{}
	for _, cluster := range []string{"a", "ab", "a.b"} {
		for _, source := range []string{"b", "bc", "c"} {
			for _, family := range []discoveryv1.AddressType{"IPv4", "IPv6"} {
				name, of := SliceName("amcs-x", cluster, source, family), fmt.Sprint(cluster, "/", source, "/", family)
				if other, taken := seen[name]; taken {
					t.Errorf("%s and %s are both %s", other, of, name)
				}
				seen[name] = of
			}
		}
	}
}

// SPEC X4: a slice that was itself imported, or claims another source cluster, is not imported again.
func TestImportedSlicesAreIgnored_X4(t *testing.T) {
	e := provider("east", time.Hour)
	claims := slice("service1-claims", discoveryv1.AddressTypeIPv4, []string{"http"}, "10.9.9.9")
	claims.Labels[mcsapi.LabelSourceCluster] = "west"
	e.slices = append(e.slices, claims)
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, e), noon)
	for _, s := range c.slices {
		if s.Endpoints[0].Addresses[0] == "10.9.9.9" {
			t.Errorf("imported as of %s", s.Labels[mcsapi.LabelSourceCluster])
		}
	}
	if len(c.slices) != 1 {
		t.Errorf("%d slices", len(c.slices))
	}
}

// SPEC E1: slices of a cluster that does not export the name are nobody's, whatever a caller hands over.
func TestSourceWithoutExport_E1(t *testing.T) {
	e := provider("east", time.Hour)
	e.service.ClusterIP = "None"
	w := wanted(t, e)
	w.Sources = append(w.Sources, Source{Cluster: "west", Slices: e.slices})
	c := newConsumer(t, defaultConsumer())
	c.settle(w, noon)
	for _, s := range c.slices {
		if s.Labels[mcsapi.LabelSourceCluster] == "west" {
			t.Error("west exports nothing, and is imported")
		}
	}
}

// SPEC S5: 1,000 endpoints in ten slices; one that changes costs one write, none that changes costs none, whenever.
func TestOneChangeOneWrite_S5(t *testing.T) {
	e := provider("east", time.Hour)
	e.slices = nil
	for s := range 10 {
		var addresses []string
		for a := range 100 {
			addresses = append(addresses, fmt.Sprintf("10.1.%d.%d", s, a))
		}
		e.slices = append(e.slices, slice(fmt.Sprintf("service1-%d", s), discoveryv1.AddressTypeIPv4, []string{"http"}, addresses...))
	}
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, e), noon)
	if len(c.slices) != 10 {
		t.Fatalf("%d slices", len(c.slices))
	}
	e.slices[3] = e.slices[3].DeepCopy()
	e.slices[3].Endpoints[7].Conditions.Ready = ptr(false)
	actions := c.settle(wanted(t, e), noon)
	if len(actions) != 1 || actions[0].Verb != Update {
		t.Errorf("%d writes: %v", len(actions), c.log)
	}
	if actions := c.settle(wanted(t, e), noon.Add(24*time.Hour)); len(actions) > 0 {
		t.Errorf("a day later: %v", c.log)
	}
}

// SPEC S5: every field of an endpoint counts in the comparison; one that a later API adds fails here first.
func TestEveryEndpointFieldIsCompared_S5(t *testing.T) {
	full := discoveryv1.Endpoint{}
	fill(reflect.ValueOf(&full).Elem())
	if !sameEndpoint(full, *full.DeepCopy()) {
		t.Fatal("an endpoint differs from its copy")
	}
	var paths []string
	vary(reflect.ValueOf(&full).Elem(), "", func(path string) {
		paths = append(paths, path)
		original := discoveryv1.Endpoint{}
		fill(reflect.ValueOf(&original).Elem())
		if sameEndpoint(original, full) {
			t.Errorf("%s is not compared", path)
		}
	})
	if len(paths) < 12 {
		t.Errorf("only %v were looked at", paths)
	}
}

// fill sets everything in v to something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), reflect.ValueOf("value"))
	case reflect.String:
		v.SetString("text")
	case reflect.Bool:
		v.SetBool(true)
	default:
		panic(v.Kind())
	}
}

// vary sets each leaf of v to another value in turn, calls look, and sets it back.
func vary(v reflect.Value, path string, look func(path string)) {
	switch v.Kind() {
	case reflect.Pointer:
		vary(v.Elem(), path, look)
	case reflect.Struct:
		for i := range v.NumField() {
			vary(v.Field(i), path+"."+v.Type().Field(i).Name, look)
		}
	case reflect.Slice:
		vary(v.Index(0), path+"[0]", look)
	default:
		before := reflect.ValueOf(v.Interface())
		v.SetZero()
		look(path)
		v.Set(before)
	}
}

// BenchmarkFor is a plan at rest, and the first plan of a service, with five endpoints as in the figures.
func BenchmarkFor(b *testing.B) {
	for _, exporters := range []int{1, 3} {
		var list []*exporter
		for n := range exporters {
			e := provider(fmt.Sprintf("cluster-%d", n), time.Duration(n)*time.Hour)
			e.slices = []*discoveryv1.EndpointSlice{slice("s", discoveryv1.AddressTypeIPv4, []string{"http"}, "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5")}
			list = append(list, e)
		}
		want := wanted(b, list...)
		c := newConsumer(b, defaultConsumer())
		c.settle(want, noon)
		held := c.held()
		b.Run(fmt.Sprintf("at rest/exporters=%d", exporters), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if len(For(c.Consumer, want, held, noon)) > 0 {
					b.Fatal("not at rest")
				}
			}
		})
		b.Run(fmt.Sprintf("children/exporters=%d", exporters), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				For(c.Consumer, want, Held{Namespace: true, Import: c.imp}, noon)
			}
		})
	}
}

// BenchmarkManyPorts is the first plan of a service whose exporters have 1000 ports each, all in one slice: under names that all can
// use, and under names of which each is refused.
func BenchmarkManyPorts(b *testing.B) {
	for name, port := range map[string]string{"accepted": "p", "refused": strings.Repeat("p", 58)} {
		b.Run(name, func(b *testing.B) {
			var list []*exporter
			for n := range 20 {
				e := provider(fmt.Sprintf("cluster-%d", n), time.Duration(n)*time.Hour)
				e.service.Ports = nil
				var names []string
				for i := range 1000 {
					names = append(names, fmt.Sprintf("%s%04d", port, i))
					e.service.Ports = append(e.service.Ports, corev1.ServicePort{Name: names[i], Protocol: "TCP", Port: int32(i + 1)})
					if name == "accepted" { // with names that long there is no room for more text
						e.service.Ports[i].AppProtocol = ptr("kubernetes.io/h2c")
					}
				}
				e.slices = []*discoveryv1.EndpointSlice{slice("s", discoveryv1.AddressTypeIPv4, names, "10.0.0.1")}
				list = append(list, e)
			}
			want := wanted(b, list...)
			want.Key.Name = strings.Repeat("n", 58)
			c := newConsumer(b, defaultConsumer())
			held := Held{Namespace: true, Import: &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Namespace: want.Key.Namespace, Name: want.Key.Name}}}
			b.ReportAllocs()
			for b.Loop() {
				if len(For(c.Consumer, want, held, noon)) == 0 {
					b.Fatal("nothing is planned")
				}
			}
		})
	}
}
