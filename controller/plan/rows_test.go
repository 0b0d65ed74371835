package plan

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/test/hostile"
)

// hostileName is what a consumer is told of a row, whose cluster is called evil, beside a good one.
func hostileName(t *testing.T, name string, row hostile.Row) (Wanted, *merge.Invalid) {
	t.Helper()
	if row.Name != "" {
		name = row.Name
	}
	w := Wanted{Key: types.NamespacedName{Namespace: "hostile", Name: name}}
	export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-time.Hour))}}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: name}, Spec: provider("evil", time.Hour).service}
	slice := slice(name+"-x", discoveryv1.AddressTypeIPv4, []string{"http"}, hostile.Address)
	slice.Endpoints[0].Zone = nil
	if row.Service != nil {
		row.Service(service)
	}
	if row.Slice != nil {
		row.Slice(slice)
	}
	e, invalid := merge.Of("evil", export, service, nil)
	if invalid != nil {
		return w, invalid
	}
	result := merge.Merge([]merge.Export{e}, noon)
	w.Service = &result
	w.Sources = []Source{{Cluster: "evil", Slices: []*discoveryv1.EndpointSlice{slice}}}
	return w, nil
}

// SPEC X2: of each row that is imported which can be, the rest is said on the import, and nothing that is written would be
// refused by an API server or by kube-proxy, or comes from a field that is never taken.
func TestHostileRows_X2(t *testing.T) {
	written := 0
	for _, rows := range []map[string]hostile.Row{hostile.Slices, hostile.Services} {
		for name, row := range rows {
			t.Run(name, func(t *testing.T) {
				w, invalid := hostileName(t, name, row)
				if (invalid != nil) != row.Invalid || row.Invalid && !strings.Contains(invalid.Message, row.Refused) {
					t.Fatalf("invalid: %+v", invalid)
				}
				if invalid != nil {
					if len(invalid.Message) > 300 || !utf8.ValidString(invalid.Message) {
						t.Errorf("said in %d bytes: %q", len(invalid.Message), invalid.Message)
					}
					return
				}
				c := newConsumer(t, defaultConsumer())
				c.settle(w, noon)
				if c.imp == nil {
					t.Fatal("there is no import")
				}
				said := conditionOf(c.imp, ConditionRefused).Message
				if (said == "") != (row.Refused == "") || !strings.Contains(said, row.Refused) {
					t.Errorf("the import says %q, want %q", said, row.Refused)
				}
				got := map[string]bool{}
				for _, s := range c.slices {
					for _, e := range s.Endpoints {
						for _, a := range e.Addresses {
							got[a] = true
						}
					}
					sane(t, s)
					written++
				}
				if len(got) != len(row.Endpoints) || slices.ContainsFunc(row.Endpoints, func(a string) bool { return !got[a] }) {
					t.Errorf("%d addresses are imported, want %d", len(got), len(row.Endpoints))
				}
				sane(t, c.imp)
				if c.svc != nil {
					sane(t, c.svc)
					if size := c.svc.Size(); size > 1<<20 {
						t.Errorf("the Service has %d bytes", size)
					}
				}
			})
		}
	}
	if written < 30 {
		t.Errorf("only %d slices were looked at", written)
	}
}

// sane walks an object that is written: no text is long, odd or from a field that is never taken, no port out of range, and
// no field set that the table of package accept does not know.
func sane(t *testing.T, object any) {
	t.Helper()
	value := reflect.ValueOf(object).Elem()
	eachValue(value, value.Type().Name()+" ", nil, func(path string, above []string, v reflect.Value) {
		if v.IsZero() {
			return
		}
		known := slices.ContainsFunc(above, func(p string) bool {
			from := accept.Made[p]
			return len(from) > 0 && from[0] != "never"
		})
		if !known {
			t.Errorf("%s is set", path)
		}
		switch v.Kind() {
		case reflect.String:
			limit := 330
			if strings.HasPrefix(path, "ServiceImport metadata") || strings.HasSuffix(path, "message") {
				limit = 256 << 10
			}
			if text := v.String(); len(text) > limit || !utf8.ValidString(text) || strings.Contains(text, hostile.Marker) {
				t.Errorf("%s is %s", path, excerpt.Of(text, 200))
			}
		case reflect.Int32:
			if strings.HasSuffix(strings.ToLower(path), "port") && (v.Int() < 1 || v.Int() > 65535) {
				t.Errorf("%s is %d", path, v.Int())
			}
		}
	})
}

// eachValue calls f for each value in v that holds no others.
func eachValue(v reflect.Value, path string, above []string, f func(string, []string, reflect.Value)) {
	above = append(slices.Clone(above), path)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachValue(v.Elem(), path, above, f)
		}
	case reflect.Slice:
		for i := range v.Len() {
			eachValue(v.Index(i), path+"[]", above, f)
		}
	case reflect.Map:
		for i := v.MapRange(); i.Next(); {
			eachValue(i.Key(), path+"[]", above, f)
			eachValue(i.Value(), path+"[]", above, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			field := v.Type().Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case field.Name == "TypeMeta" || !field.IsExported():
			case name == "" || name == "-":
				eachValue(v.Field(i), path, above, f)
			default:
				separator := "."
				if strings.HasSuffix(path, " ") {
					separator = ""
				}
				eachValue(v.Field(i), path+separator+name, above, f)
			}
		}
	default:
		f(path, above, v)
	}
}

// SPEC X2, X6: of more ports than a Service may have, those of the exports of highest precedence are served.
func TestTooManyPorts_X2(t *testing.T) {
	var exporters []*exporter
	for i := range 3 {
		e := provider(fmt.Sprintf("c%d", i), time.Duration(3-i)*time.Hour)
		e.service.Ports = nil
		for n := range 600 {
			e.service.Ports = append(e.service.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d-%d", i, n), Port: int32(i*1000 + n + 1), Protocol: corev1.ProtocolTCP})
		}
		exporters = append(exporters, e)
	}
	w := wanted(t, exporters...)
	c := newConsumer(t, defaultConsumer())
	c.settle(w, noon)
	if n := len(c.svc.Spec.Ports); n != accept.MaxServicePorts || c.svc.Spec.Ports[0].Name != "p0-0" || len(c.imp.Spec.Ports) != n {
		t.Errorf("%d ports, %d in the import", n, len(c.imp.Spec.Ports))
	}
	if len(w.Service.Ports) != 1800 {
		t.Error("what other consumers see was changed")
	}
	if said := conditionOf(c.imp, ConditionRefused).Message; !strings.Contains(said, "c1: port p1-400 1401/TCP (too many)") || !strings.Contains(said, "c2: port p2-0 2001/TCP (too many)") {
		t.Errorf("the import says %q", said)
	}
}

// SPEC X2: a port that an earlier version let through goes from a slice whose cluster can't be asked.
func TestHeldPortIsJudged_X2(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	w := wanted(t, provider("east", 2*time.Hour), provider("west", time.Hour))
	c.settle(w, noon)
	for _, s := range c.slices {
		if s.Labels["multicluster.kubernetes.io/source-cluster"] == "west" {
			s.Ports[0].Port = ptr(int32(70000))
		}
	}
	w.Sources, w.Unsure = w.Sources[:1], map[string]bool{"west": true}
	c.settle(w, noon)
	if len(c.slices) != 2 {
		t.Fatalf("%d slices", len(c.slices))
	}
	for _, s := range c.slices {
		for _, port := range s.Ports {
			if *port.Port > 65535 {
				t.Errorf("port %d is kept", *port.Port)
			}
		}
	}
}
