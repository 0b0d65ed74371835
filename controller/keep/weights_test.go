package keep_test

import (
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// TestEachFieldWeighs_X6: whichever text of an object is long, and whichever list or map has many elements, what is kept of the object
// takes no more than twice what it counts for.
func TestEachFieldWeighs_X6(t *testing.T) {
	derived := func() *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{mcsapi.LabelClusterSet: "demo"}}}
	}
	slice := func() *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv6}
	}
	node := func() *corev1.Node {
		return &corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "::1"}}}}
	}
	exported := func(s *discoveryv1.EndpointSlice) *discoveryv1.EndpointSlice { return keep.Slice(s, true) }
	weigh := func(s *discoveryv1.EndpointSlice) int { return int(keep.Weigh(s)[3]) }
	fields := 0
	for _, test := range []func(){
		func() {
			fields += eachField(t, func() *mcs.ServiceImport { return &mcs.ServiceImport{} }, keep.Import, keep.WeighImport)
		},
		func() { fields += eachField(t, slice, keep.ImportedSlice, keep.WeighImported) },
		func() { fields += eachField(t, derived, keep.WholeService, keep.WeighService) },
		func() {
			fields += eachField(t, func() *corev1.Service { return &corev1.Service{} }, keep.WholeService, keep.WeighService)
		},
		func() { fields += eachField(t, slice, exported, weigh) },
		func() { fields += eachField(t, node, keep.Node, keep.WeighNode) },
		func() {
			fields += eachField(t, func() *corev1.Namespace { return &corev1.Namespace{} }, keep.Namespace, keep.WeighNamespace)
		},
	} {
		test()
	}
	if fields < 400 {
		t.Errorf("only %d fields were made large", fields)
	}
}

// eachField makes one field of an object large at a time, and returns how many there are.
func eachField[T any](t *testing.T, object func() *T, kept func(*T) *T, weigh func(*T) int) int {
	const (
		copies, noise  = 2, 8 << 10
		text, elements = 48 << 10, 900 // such as are kept in some places
	)
	list := largeFields(reflect.TypeFor[T](), reflect.TypeFor[T]().Name(), func(root reflect.Value) reflect.Value { return root })
	for _, field := range list {
		var held [copies]*T
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range held {
			o := object()
			field.enlarge(reflect.ValueOf(o).Elem(), text, elements)
			held[i] = kept(o)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		takes, counted := (int(after.HeapAlloc)-int(before.HeapAlloc))/copies, weigh(held[0])
		runtime.KeepAlive(&held)
		if takes > 2*counted+noise {
			t.Errorf("%s: it takes %d bytes and counts for %d", field.path, takes, counted)
		}
	}
	return len(list)
}

// largeField is a field that can be large in a way. Texts are addresses, with a zone.
type largeField struct {
	path    string
	enlarge func(object reflect.Value, text, elements int)
}

// largeFields returns the fields below a type, which of returns, of an object.
func largeFields(of reflect.Type, path string, at func(object reflect.Value) reflect.Value) (list []largeField) {
	add := func(how string, enlarge func(field reflect.Value, text, elements int)) {
		list = append(list, largeField{path + how, func(o reflect.Value, text, elements int) { enlarge(at(o), text, elements) }})
	}
	long := func(n int) string { return "::%" + strings.Repeat("x", n) }
	switch of.Kind() {
	case reflect.String:
		add("", func(field reflect.Value, text, _ int) { field.SetString(long(text)) })
	case reflect.Pointer:
		return largeFields(of.Elem(), path, func(o reflect.Value) reflect.Value { return made(at(o)).Elem() })
	case reflect.Map:
		set := func(field reflect.Value, key, value string) {
			made(field).SetMapIndex(reflect.ValueOf(key).Convert(of.Key()), reflect.ValueOf(value).Convert(of.Elem()))
		}
		if of.Elem().Kind() != reflect.String {
			return nil // of what is never kept
		}
		add("/key", func(field reflect.Value, text, _ int) { set(field, long(text), "") })
		add("/value", func(field reflect.Value, text, _ int) { set(field, "key", long(text)) })
		add("/keys", func(field reflect.Value, _, elements int) {
			for i := range elements {
				set(field, strconv.Itoa(i), "")
			}
		})
	case reflect.Slice:
		many := func(field reflect.Value, n int) {
			elements := reflect.MakeSlice(of, n, n)
			for i := range min(n, n*field.Len()) {
				elements.Index(i).Set(field.Index(0))
			}
			field.Set(elements)
		}
		add("[]", func(field reflect.Value, _, elements int) { many(field, elements) })
		for i := range fieldsOf(of.Elem()) {
			if f := of.Elem().Field(i); f.Type.Kind() == reflect.Pointer || f.Type.Kind() == reflect.Map {
				add("[]."+f.Name, func(field reflect.Value, _, elements int) {
					many(field, elements)
					for n := range elements {
						made(field.Index(n).Field(i))
					}
				})
			}
		}
		list = append(list, largeFields(of.Elem(), path+"[0]", func(o reflect.Value) reflect.Value {
			field := at(o)
			if field.Len() == 0 {
				many(field, 1)
			}
			return field.Index(0)
		})...)
	case reflect.Struct:
		for i := range fieldsOf(of) {
			switch f := of.Field(i); {
			case of == reflect.TypeFor[metav1.ObjectMeta]() && (f.Name == "Name" || f.Name == "Namespace"): // looked at before
			default:
				list = append(list, largeFields(f.Type, path+"."+f.Name, func(o reflect.Value) reflect.Value { return at(o).Field(i) })...)
			}
		}
	}
	return list
}

// fieldsOf returns the number of fields of a struct; of a time, which has a size of its own, there are none.
func fieldsOf(of reflect.Type) int {
	if of.Kind() != reflect.Struct || of == reflect.TypeFor[metav1.Time]() {
		return 0
	}
	return of.NumField()
}

// made returns a pointer or a map, which it makes where there is none.
func made(field reflect.Value) reflect.Value {
	switch {
	case !field.IsNil():
	case field.Kind() == reflect.Map:
		field.Set(reflect.MakeMap(field.Type()))
	default:
		field.Set(reflect.New(field.Type().Elem()))
	}
	return field
}
