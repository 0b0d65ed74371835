package accept_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/accept"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/test/hostile"
)

// leaves calls f with the path of each field of typ that holds a value, as the API spells it, and with the paths above it.
func leaves(typ reflect.Type, path string, above []string, f func(path string, above []string)) {
	above = append(slices.Clone(above), path)
	switch {
	case typ.Kind() == reflect.Pointer:
		leaves(typ.Elem(), path, above, f)
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Uint8:
		leaves(typ.Elem(), path+"[]", above, f)
	case typ.Kind() == reflect.Struct:
		for i := range typ.NumField() {
			field := typ.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case field.Name == "TypeMeta" || !field.IsExported():
			case name == "" || name == "-":
				leaves(field.Type, path, above, f)
			default:
				separator := "."
				if strings.HasSuffix(path, " ") {
					separator = ""
				}
				leaves(field.Type, path+separator+name, above, f)
			}
		}
	default:
		f(path, above)
	}
}

// SPEC X2: each field of the types that are copied from has a rule, which says for which readers it was made; a rule for more
// than one field takes nothing.
func TestEachFieldIsJudged_X2(t *testing.T) {
	table := map[string]accept.Field{}
	for _, f := range accept.Fields() {
		if len(strings.Fields(f.Readers)) < 5 {
			t.Errorf("%s: %q does not say who reads it", f.Path, f.Readers)
		}
		if _, twice := table[f.Path]; twice {
			t.Errorf("%s has two rules", f.Path)
		}
		table[f.Path] = f
	}
	used := map[string]bool{}
	for _, kind := range []any{discoveryv1.EndpointSlice{}, corev1.Service{}} {
		typ, n := reflect.TypeOf(kind), 0
		leaves(typ, typ.Name()+" ", nil, func(path string, above []string) {
			n++
			for _, p := range above {
				f, judged := table[p]
				if judged && (p == path || !f.Taken) {
					used[p] = true
					return
				}
			}
			t.Errorf("%s has no rule", path)
		})
		if n < 20 {
			t.Errorf("%s: only %d fields were looked at", typ.Name(), n)
		}
	}
	for path := range table {
		if !used[path] {
			t.Errorf("there is a rule for %s, but no such field", path)
		}
	}
}

// SPEC X2: each field of the types that are written is made of fields that have a rule, or of nothing from another cluster.
func TestEachWrittenFieldHasAnOrigin_X2(t *testing.T) {
	taken := map[string]bool{"EndpointSlice addressType": true} // looked at by the caller
	for _, f := range accept.Fields() {
		taken[f.Path] = taken[f.Path] || f.Taken
	}
	used := map[string]bool{}
	for _, kind := range []any{discoveryv1.EndpointSlice{}, corev1.Service{}, mcs.ServiceImport{}} {
		typ := reflect.TypeOf(kind)
		leaves(typ, typ.Name()+" ", nil, func(path string, above []string) {
			for _, p := range above {
				for _, from := range accept.Made[p] {
					foreign := !strings.HasPrefix(from, "ours") && from != "never"
					used[p] = true
					if foreign && (p != path || !taken[from]) {
						t.Errorf("%s is made of %s, for which there is no rule that takes it", p, from)
					}
				}
				if len(accept.Made[p]) > 0 {
					return
				}
			}
			t.Errorf("what is %s made of?", path)
		})
	}
	for path := range accept.Made {
		if !used[path] {
			t.Errorf("%s is no field", path)
		}
	}
}

// ordinary are the Service and the slice that rows change.
func ordinary(r hostile.Row) (*corev1.Service, *discoveryv1.EndpointSlice) {
	yes, name, tcp, number := true, "http", corev1.ProtocolTCP, int32(8080)
	service := &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: name, Protocol: tcp, Port: 80}}}}
	slice := &discoveryv1.EndpointSlice{
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Protocol: &tcp, Port: &number}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{hostile.Address}, Conditions: discoveryv1.EndpointConditions{Ready: &yes}}},
	}
	slice.Labels = map[string]string{}
	if r.Service != nil {
		r.Service(service)
	}
	if r.Slice != nil {
		r.Slice(slice)
	}
	return service, slice
}

// SPEC X2: each row about a field that has a rule of its own is refused, or taken, as the row says; and each rule that refuses
// anything has a row that it refuses and one that it takes.
func TestRows_X2(t *testing.T) {
	refused, accepted := map[string]bool{}, map[string]bool{}
	for _, rows := range []map[string]hostile.Row{hostile.Slices, hostile.Services} {
		for name, row := range rows {
			if row.Refused != "" {
				refused[row.Field] = true
			} else {
				accepted[row.Field] = true
			}
			if row.Field == "EndpointSlice addressType" || row.Field == "Service" || name == "service-port-name-128" {
				continue // judged by the callers, whose tests have all rows
			}
			t.Run(name, func(t *testing.T) {
				service, slice := ordinary(row)
				var said []string
				judge := accept.Judge{
					Addresses: func(list []string) []string {
						return slices.DeleteFunc(slices.Clone(list), func(a string) bool {
							addr, err := netip.ParseAddr(a)
							switch {
							case err != nil || addr.Is4In6() || addr.Zone() != "":
								said = append(said, excerpt.Of(a, 80)+" (no "+string(slice.AddressType)+" address)")
							case addr.IsLoopback():
								said = append(said, a+" (loopback address)")
							default:
								return false
							}
							return true
						})
					},
					Refused: func(what, why string) {
						said = append(said, fmt.Sprintf("%s (%s)", excerpt.Of(what, 80), why), excerpt.Of(what, 80)+" is "+why)
					},
				}
				judge.Service(service)
				for i := range service.Spec.Ports {
					judge.ServicePort(new(corev1.ServicePort), &service.Spec.Ports[i])
				}
				known := func(p discoveryv1.EndpointPort) bool {
					return slices.ContainsFunc(service.Spec.Ports, func(s corev1.ServicePort) bool { return p.Name == nil || s.Name == *p.Name })
				}
				for i := range slice.Ports {
					if known(slice.Ports[i]) {
						judge.EndpointPort(new(discoveryv1.EndpointPort), &slice.Ports[i])
					}
				}
				copied := &discoveryv1.EndpointSlice{}
				for i := range slice.Endpoints {
					var to discoveryv1.Endpoint
					if judge.Endpoint(&to, &slice.Endpoints[i]) {
						copied.Endpoints = append(copied.Endpoints, to)
					}
				}
				if row.Field == "EndpointSlice" {
					if accept.TooLarge(copied) != (row.Refused != "") {
						t.Errorf("%d bytes", copied.Size())
					}
					return
				}
				if found := strings.Join(said, "; "); (row.Refused == "") != (found == "") || !strings.Contains(found, row.Refused) {
					t.Errorf("%q was said, want %q", found, row.Refused)
				}
			})
		}
	}
	for _, f := range accept.Fields() {
		if f.Path == "EndpointSlice endpoints[].nodeName" {
			continue // TestNode_S2
		}
		anything := strings.HasPrefix(f.Readers, "Any value") || strings.HasPrefix(f.Readers, "Only looked") || !f.Taken
		if !anything && !refused[f.Path] {
			t.Errorf("no row is refused for its %s", f.Path)
		}
		if !accepted[f.Path] && !slices.Contains(notInRows, f.Path) {
			t.Errorf("no row is accepted with its %s", f.Path)
		}
	}
}

// notInRows are fields that each ordinary Service has with values that are accepted, or that can't be without a cloud.
var notInRows = []string{"EndpointSlice addressType", "Service spec.ipFamilies[]", "Service spec.ports[].nodePort", "Service spec.clusterIPs",
	"Service spec.sessionAffinity", "Service spec.loadBalancerIP", "Service spec.loadBalancerClass", "Service spec.healthCheckNodePort",
	"Service spec.allocateLoadBalancerNodePorts"}

// SPEC S2, X2: only an endpoint of the importing cluster itself keeps its node, if it has the name of one.
func TestNode_S2(t *testing.T) {
	for _, c := range []struct {
		node string
		own  bool
		want string
		said bool
	}{
		{"node-1.example.org", true, "node-1.example.org", false}, {"node-1", false, "", false},
		{"Not a node", true, "", true}, {"Not a node", false, "", false}, {strings.Repeat("n", 300), true, "", true},
	} {
		said := false
		judge := accept.Judge{Own: c.own, Addresses: func(a []string) []string { return a }, Refused: func(string, string) { said = true }}
		var to discoveryv1.Endpoint
		judge.Endpoint(&to, &discoveryv1.Endpoint{Addresses: []string{hostile.Address}, NodeName: &c.node})
		got := ""
		if to.NodeName != nil {
			got = *to.NodeName
		}
		if got != c.want || said != c.said {
			t.Errorf("%s, own %v: %q, reported: %v", excerpt.Of(c.node, 20), c.own, got, said)
		}
	}
}

// The checks of text that are written out, for speed, agree with those of the API.
func TestText_X2(t *testing.T) {
	const letters = "aZ09-_./ \x00\xff\u00e9"
	texts := []string{"", hostile.Name63, hostile.Name63 + "4", "-a", "a-", "a.b", "A", "a_b", "_a"}
	for range 20000 {
		b := make([]byte, rand.IntN(5))
		for i := range b {
			b[i] = letters[rand.IntN(len(letters))]
		}
		texts = append(texts, string(b))
	}
	for _, text := range texts {
		hostname, zone := text, text
		from := discoveryv1.Endpoint{Hostname: &hostname, Zone: &zone}
		var to discoveryv1.Endpoint
		judge := accept.Judge{Addresses: func([]string) []string { return []string{hostile.Address} }}
		judge.Endpoint(&to, &from)
		if is := len(validation.IsDNS1123Label(text)) == 0; is != (to.Hostname != nil) {
			t.Errorf("%q as a hostname: %v, the API says %v", text, !is, is)
		}
		if is := len(validation.IsValidLabelValue(text)) == 0; is != (to.Zone != nil) {
			t.Errorf("%q as a zone: %v, the API says %v", text, !is, is)
		}
	}
}
