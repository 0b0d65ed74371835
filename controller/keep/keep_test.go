package keep_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func trusted(string) bool { return true }

// full returns an export and a Service with a value in each field.
func full() (*mcs.ServiceExport, *corev1.Service) {
	export, service := &mcs.ServiceExport{}, &corev1.Service{}
	fill(reflect.ValueOf(export).Elem())
	fill(reflect.ValueOf(service).Elem())
	for _, m := range []*metav1.ObjectMeta{&export.ObjectMeta, &service.ObjectMeta} {
		m.Namespace, m.Name, m.DeletionTimestamp = "shop", "web", nil
	}
	export.Labels = map[string]string{mcsapi.LabelByRule: "true", mcsapi.LabelClusterSet: "demo", "app": "web"}
	export.Annotations = map[string]string{mcsapi.AnnotationConsumers: "east, west", mcsapi.AnnotationPrefer: "west", "team": "x"}
	export.Spec = mcs.ServiceExportSpec{
		ExportedLabels: map[string]string{"app": "web", "bad": "a b"}, ExportedAnnotations: map[string]string{"example.org/a": "text"},
	}
	service.Labels = map[string]string{"app": "web"}
	s := &service.Spec
	s.Type, s.ClusterIP, s.IPFamilies = corev1.ServiceTypeClusterIP, "10.0.0.1", []corev1.IPFamily{"IPv4", "IPv6"}
	s.SessionAffinity = corev1.ServiceAffinityClientIP
	*s.InternalTrafficPolicy = corev1.ServiceInternalTrafficPolicyLocal
	s.Ports[0].Protocol = corev1.ProtocolUDP
	return export, service
}

// said is what all readers of a member's exports and Services make of one of each.
func said(export *mcs.ServiceExport, service *corev1.Service) string {
	e, invalid := merge.Of("east", export, service, trusted)
	v := plan.Verdict{Invalid: invalid, Refused: merge.RefusedKeys(export, trusted)}
	status, needed := plan.ExportStatus(export, v, noon)
	o := status.Object
	if o == nil {
		o = export
	}
	derived := keep.Derived(service)
	var owners []string
	for _, r := range service.OwnerReferences {
		if r.Kind == mcs.ServiceImportKindName {
			owners = append(owners, r.APIVersion+" "+r.Name)
		}
	}
	offered, _ := json.Marshal(e)
	out := fmt.Sprintf("%s\n%v\n%+v\n%v %s\n%v\n", offered, e.Refused, invalid, needed, status.Patch, status.Events)
	for _, m := range []metav1.Object{o, service} {
		out += fmt.Sprint(m.GetNamespace(), m.GetName(), m.GetUID(), m.GetResourceVersion(), m.GetDeletionTimestamp(), "\n")
	}
	return out + fmt.Sprint(rules.Rules{ClusterSet: "demo"}.Made(export), merge.Consumers(export), service.Spec.ClusterIPs, derived, owners,
		service.Labels[mcsapi.LabelServiceName], service.Labels[mcsapi.LabelReserve])
}

// TestKeepsWhatIsRead_X6: whatever field of an export or a Service has another value, the readers make the same of what is kept as of
// the object, and nothing is kept that none of them reads.
func TestKeepsWhatIsRead_X6(t *testing.T) {
	export, service := full()
	read, kept := map[string]bool{}, map[string]bool{}
	was := said(export, service)
	mine, its := keep.Export(export), keep.Service(service)
	look := func(path string) {
		is := said(export, service)
		if got := said(keep.Export(export), keep.Service(service)); got != is {
			t.Errorf("with another %s: what is kept says\n%s\nwant\n%s", path, got, is)
		}
		if is != was {
			read[path] = true
		}
		if !reflect.DeepEqual(keep.Export(export), mine) || !reflect.DeepEqual(keep.Service(service), its) {
			kept[path] = true
		}
	}
	look("nothing")
	vary(reflect.ValueOf(export).Elem(), "export", look)
	vary(reflect.ValueOf(service).Elem(), "service", look)
	set := func(path string, change func(*corev1.ServiceSpec)) { // what is read only for some values
		before := service.Spec
		change(&service.Spec)
		look(path)
		service.Spec = before
	}
	set("service.Spec.Type", func(s *corev1.ServiceSpec) { s.Type = corev1.ServiceTypeExternalName })
	set("service.Spec.ClusterIP", func(s *corev1.ServiceSpec) { s.ClusterIP = corev1.ClusterIPNone })
	set("service.Spec.ClusterIP", func(s *corev1.ServiceSpec) { s.IPFamilies, s.ClusterIP = nil, "fd00::1" })
	set("service.Spec.IPFamilies", func(s *corev1.ServiceSpec) { s.IPFamilies = slices.Repeat(s.IPFamilies, 10) })
	if len(read) < 25 {
		t.Errorf("only %d fields are read: %v", len(read), read)
	}
	for path := range kept {
		if !read[path] && !slices.Contains([]string{"service.ObjectMeta.CreationTimestamp", "service.ObjectMeta.Generation"}, path) {
			t.Errorf("%s is kept, and read by nobody", path)
		}
	}
}

// TestKeepsSlices_X6: the same for EndpointSlices, whose nodes are read where the cluster imports from itself.
func TestKeepsSlices_X6(t *testing.T) {
	export, service := full()
	export.Annotations = nil
	service.Spec.Ports[0].Protocol, service.Spec.TrafficDistribution = corev1.ProtocolTCP, nil
	*service.Spec.InternalTrafficPolicy = corev1.ServiceInternalTrafficPolicyCluster
	offered, invalid := merge.Of("east", export, service, trusted)
	if invalid != nil {
		t.Fatal(invalid)
	}
	merged := merge.Merge([]merge.Export{offered}, noon)
	key := types.NamespacedName{Namespace: "shop", Name: "web"}
	imported := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{
		Namespace: key.Namespace, Name: key.Name, Labels: map[string]string{mcsapi.LabelAutomatic: "true", mcsapi.LabelClusterSet: "demo"},
	}}
	planned := func(s *discoveryv1.EndpointSlice, here string) string {
		actions := plan.For(plan.Consumer{Cluster: here, ClusterSet: "demo", Automatic: true, ImportVersion: "v1beta1", Families: []corev1.IPFamily{"IPv4"}},
			plan.Wanted{Key: key, Service: &merged, Sources: []plan.Source{{Cluster: "east", Slices: []*discoveryv1.EndpointSlice{s}}}},
			plan.Held{Namespace: true, Import: imported}, noon)
		text, err := json.Marshal(actions)
		if err != nil || len(actions) == 0 {
			t.Fatalf("%d actions: %v", len(actions), err)
		}
		return string(text)
	}
	s := &discoveryv1.EndpointSlice{}
	fill(reflect.ValueOf(s).Elem())
	s.Namespace, s.Name, s.AddressType = key.Namespace, "web-1", discoveryv1.AddressTypeIPv4
	s.Labels = map[string]string{discoveryv1.LabelServiceName: "web"}
	s.Endpoints[0].Addresses[0] = "10.1.0.1"
	*s.Ports[0].Protocol = corev1.ProtocolTCP
	read := map[string]bool{}
	for _, here := range []string{"east", "west"} {
		was := planned(s, here)
		look := func(path string) {
			is := planned(s, here)
			if got := planned(keep.Slice(s, here == "east"), here); got != is {
				t.Errorf("in %s, with another %s: of what is kept comes\n%s\nwant\n%s", here, path, got, is)
			}
			read[path] = read[path] || is != was
		}
		look("nothing")
		vary(reflect.ValueOf(s).Elem(), "slice", look)
		s.Labels[mcsapi.LabelSourceCluster] = "east"
		look("a source cluster")
		delete(s.Labels, mcsapi.LabelSourceCluster)
	}
	for _, path := range []string{"slice.AddressType", "slice.Endpoints[0].NodeName", "slice.Endpoints[0].Conditions.Serving", "slice.Ports[0].Port", "a source cluster"} {
		if !read[path] {
			t.Errorf("%s makes no difference", path)
		}
	}
	lean := keep.Slice(s, false)
	if e := lean.Endpoints[0]; e.NodeName != nil || e.TargetRef != nil || lean.Annotations != nil || lean.ManagedFields != nil {
		t.Errorf("%v is kept", lean)
	}
}

// TestWeigh_X6: nothing that is kept of a slice is free of weight.
func TestWeigh_X6(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for name, s := range map[string]discoveryv1.EndpointSlice{
		"addresses": {Endpoints: []discoveryv1.Endpoint{{Addresses: make([]string, 1<<16)}}},
		"address":   {Endpoints: []discoveryv1.Endpoint{{Addresses: []string{long}}}},
		"hostname":  {Endpoints: []discoveryv1.Endpoint{{Hostname: &long}}},
		"zone":      {Endpoints: []discoveryv1.Endpoint{{Zone: &long}}},
		"node":      {Endpoints: []discoveryv1.Endpoint{{NodeName: &long}}},
		"port":      {Ports: []discoveryv1.EndpointPort{{Name: &long}}},
		"protocol":  {Ports: []discoveryv1.EndpointPort{{Protocol: (*corev1.Protocol)(&long)}}},
		"endpoints": {Endpoints: make([]discoveryv1.Endpoint, 1<<14)},
		"ports":     {Ports: make([]discoveryv1.EndpointPort, 1<<15)},
	} {
		w := keep.Weigh(&s)
		endpoints := len(s.Endpoints)
		if name == "addresses" { // each counts
			endpoints = 1 << 16
		}
		if w[0] != 1 || int(w[1]) != endpoints || int(w[2]) != len(s.Ports) || w[3] < 1<<20 {
			t.Errorf("%s: %v", name, w)
		}
	}
}

// TestLabelsOfDerived_X6: what tells a derived Service is kept of each, whoever has it.
func TestLabelsOfDerived_X6(t *testing.T) {
	for _, label := range []string{mcsapi.LabelClusterSet, mcsapi.LabelServiceName, mcsapi.LabelReserve} {
		export, service := full()
		service.Labels = map[string]string{label: "web"}
		service.OwnerReferences = []metav1.OwnerReference{{APIVersion: mcsapi.Group + "/v1", Kind: mcs.ServiceImportKindName, Name: "web"}, {Kind: "Pod"}}
		if got, want := said(export, keep.Service(service)), said(export, service); got != want {
			t.Errorf("%s: what is kept says\n%s\nwant\n%s", label, got, want)
		}
		whole := keep.WholeService(service)
		if whole.ManagedFields != nil || whole.Annotations == nil || whole.Spec.Selector == nil {
			t.Errorf("%s: a derived Service is not whole: %v", label, whole)
		}
		service.Annotations = map[string]string{"big": strings.Repeat("x", keep.MaxDerived)}
		if keep.WholeService(service).Annotations != nil {
			t.Errorf("%s: a derived Service of any size is kept", label)
		}
	}
	if _, service := full(); keep.WholeService(service).Spec.Selector != nil {
		t.Error("a Service that is not derived is whole")
	}
}

// TestTooLarge_X6: an export or a Service that is larger than is kept becomes a stub, whose export is refused with the reason; what
// is large in a field that is refused anyway makes no difference to the verdict.
func TestTooLarge_X6(t *testing.T) {
	big := strings.Repeat("x", 1<<20)
	many := func(n, size int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprintf("k%05d", i)] = big[:size]
		}
		return m
	}
	for name, c := range map[string]struct {
		change func(*mcs.ServiceExport, *corev1.Service)
		reason mcs.ServiceExportConditionReason // "" for a valid export
		words  string
		silent bool // no verdict can be written
	}{
		"ordinary": {change: func(*mcs.ServiceExport, *corev1.Service) {}},
		"metadata": {change: func(e *mcs.ServiceExport, s *corev1.Service) {
			e.Annotations["x"], s.Annotations["x"], s.Spec.Selector["x"] = big, big, big
		}},
		"a label and an annotation": {change: func(e *mcs.ServiceExport, _ *corev1.Service) {
			e.Spec.ExportedLabels["x"], e.Spec.ExportedAnnotations["x"] = big, big
		}},
		"annotations": {func(e *mcs.ServiceExport, _ *corev1.Service) { e.Spec.ExportedAnnotations = many(3, 30<<10) }, merge.TooLarge, "91 KiB of labels and annotations; want at most 64", false},
		"keys":        {func(e *mcs.ServiceExport, _ *corev1.Service) { e.Spec.ExportedLabels = many(20_000, 1) }, merge.TooLarge, "labels and annotations", false},
		"a choice":    {func(e *mcs.ServiceExport, _ *corev1.Service) { e.Annotations[mcsapi.AnnotationConsumers] = big }, merge.InvalidChoice, "more than 16384 bytes", false},
		"conditions of others": {func(e *mcs.ServiceExport, _ *corev1.Service) {
			e.Status.Conditions = []metav1.Condition{{Type: "Theirs", Message: big}}
		}, merge.TooLarge, "conditions", true},
		"ports":              {func(_ *mcs.ServiceExport, s *corev1.Service) { s.Spec.Ports = make([]corev1.ServicePort, 10_000) }, merge.InvalidPorts, "10000 ports, of which at most 1000", false},
		"the name of a port": {func(_ *mcs.ServiceExport, s *corev1.Service) { s.Spec.Ports[0].Name = big }, merge.TooLarge, "1025 KiB of ports and properties", false},
		"as many ports as can be": {change: func(_ *mcs.ServiceExport, s *corev1.Service) {
			s.Spec.Ports = nil
			for i := range int32(1000) {
				s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%04d%s", i, big[:58]), Port: i + 1, Protocol: "TCP"})
			}
		}},
		"a forged mark": {change: func(e *mcs.ServiceExport, s *corev1.Service) {
			e.Annotations["kept:refused"], s.Annotations["kept:refused"], s.Annotations["kept:ports"] = "no", "no", "10000"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			export, service := full()
			c.change(export, service)
			e, s := keep.Export(export), keep.Service(service)
			_, invalid := merge.Of("east", e, s, trusted)
			if invalid == nil && c.reason != "" || invalid != nil && (invalid.Reason != c.reason || !strings.Contains(invalid.Message, c.words)) {
				t.Errorf("the verdict is %+v, want %s: %s", invalid, c.reason, c.words)
			}
			if invalid == nil {
				if got, want := merge.RefusedKeys(e, trusted), merge.RefusedKeys(export, trusted); !slices.Equal(got, want) {
					t.Errorf("refused: %q, want %q", got, want)
				}
			}
			if merge.Consumers(e) == nil {
				t.Error("an export that names its consumers names none")
			}
			if e.UID != export.UID || e.ResourceVersion != export.ResourceVersion || e.Generation != export.Generation || s.UID != service.UID {
				t.Errorf("the stub is of another object: %v, %v", e.ObjectMeta, s.ObjectMeta)
			}
			if keep.Status(e) == c.silent || !c.silent && len(e.Status.Conditions) != len(export.Status.Conditions) {
				t.Errorf("a verdict can be written: %v, over %v", keep.Status(e), e.Status.Conditions)
			}
			if n := memory(reflect.ValueOf(e).Elem()) + memory(reflect.ValueOf(s).Elem()); n > 4*keep.MaxBytes {
				t.Errorf("%d bytes are kept", n)
			}
		})
	}
}

// memory is about what texts and lists take, without what all objects share: a value that is only too long.
func memory(v reflect.Value) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			n = memory(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				n += memory(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			n += int(v.Type().Elem().Size()) + memory(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			n += memory(key) + memory(v.MapIndex(key))
		}
	case reflect.String:
		if v.Len() != keep.MaxValue+1 && v.String() != strings.Repeat("x", 64) { // those are shared
			n = v.Len()
		}
	}
	return n
}

// fill sets everything in v to something.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.Time]() {
			v.Set(reflect.ValueOf(metav1.NewTime(noon.Add(-time.Hour))))
			return
		}
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
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8:
		v.SetUint(7)
	default:
		panic(v.Kind())
	}
}

// vary sets each leaf of v to another value in turn, calls look, and sets it back; of a map it changes, and then removes, each key.
func vary(v reflect.Value, path string, look func(path string)) {
	before := reflect.ValueOf(v.Interface())
	try := func(value reflect.Value, path string) {
		v.Set(value)
		look(path)
		v.Set(before)
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			value := reflect.New(v.Type().Elem())
			fill(value.Elem())
			try(value, path)
			return
		}
		vary(v.Elem(), path, look)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[metav1.Time]() {
			try(reflect.ValueOf(metav1.NewTime(noon.Add(-2*time.Hour))), path)
			return
		}
		for i := range v.NumField() {
			vary(v.Field(i), path+"."+v.Type().Field(i).Name, look)
		}
	case reflect.Slice:
		vary(v.Index(0), path+"[0]", look)
	case reflect.Map:
		for _, key := range v.MapKeys() {
			was := v.MapIndex(key)
			v.SetMapIndex(key, reflect.ValueOf("other"))
			look(path + "/" + key.String())
			v.SetMapIndex(key, reflect.Value{})
			look(path + "/" + key.String() + " gone")
			v.SetMapIndex(key, was)
		}
	case reflect.String:
		try(reflect.ValueOf("other").Convert(v.Type()), path)
	case reflect.Bool:
		try(reflect.ValueOf(false).Convert(v.Type()), path)
	default:
		try(reflect.ValueOf(8).Convert(v.Type()), path)
	}
}

// TestLongValues_X6: a value that is refused for its length is kept one byte too long, not longer: whoever judges it looks at each
// byte. Such values take nothing of the budget of the others.
func TestLongValues_X6(t *testing.T) {
	e := &mcs.ServiceExport{Spec: mcs.ServiceExportSpec{ExportedLabels: map[string]string{}}}
	for i := range 4096 {
		e.Spec.ExportedLabels[strconv.Itoa(i)] = strings.Repeat("v", 64)
	}
	kept := keep.Export(e)
	if why := keep.Refused(kept); why != "" || len(kept.Spec.ExportedLabels) != 4096 {
		t.Fatalf("%d are kept: %s", len(kept.Spec.ExportedLabels), why)
	}
	for key, value := range kept.Spec.ExportedLabels {
		if len(value) != 64 {
			t.Fatalf("%s has %d bytes", key, len(value))
		}
	}
}
