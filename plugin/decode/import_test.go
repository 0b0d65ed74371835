package decode

import (
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/internal/mcsapi"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/watch"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

const importJSON = `{"apiVersion":"multicluster.x-k8s.io/v1beta1","kind":"ServiceImport","metadata":{"name":"web","namespace":"ns",
"resourceVersion":"7","uid":"u","generation":2,"labels":{"a":"b"},"annotations":{"k8s.io/initial-events-end":"true"},
"managedFields":[{"manager":"m","operation":"Apply","time":"2026-01-02T03:04:05Z","fieldsV1":{"f:spec":{"f:ports":{}}}},{"manager":"n"}]},
"spec":{"type":"ClusterSetIP","ips":["10.0.0.1","fd00::1"],"ports":[{"name":"http","port":80,"protocol":"TCP","appProtocol":"h2c"}],
"sessionAffinity":"ClientIP"},"status":{"clusters":[{"cluster":"a"}]}}`

// decoders returns the ordinary decoder and the lean one, as a client has them for v1beta1.
func decoders() (ordinary, lean runtime.Decoder) {
	codecs := serializer.NewCodecFactory(mcsapi.NewScheme("v1beta1")).WithoutConversion()
	for _, info := range codecs.SupportedMediaTypes() {
		if info.MediaType == runtime.ContentTypeJSON {
			ordinary = info.Serializer
		}
	}
	return ordinary, ImportCodecs(codecs).SupportedMediaTypes()[0].Serializer
}

// TestLeanImport: what DNS, the stream and the metrics need of a ServiceImport is what the ordinary decoder reads.
func TestLeanImport(t *testing.T) {
	ordinary, lean := decoders()
	want, _, err := ordinary.Decode([]byte(importJSON), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := lean.Decode([]byte(importJSON), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantImport, _ := Import(want.(*mcs.ServiceImport))
	gotImport, _ := Import(got.(*mcs.ServiceImport))
	if !reflect.DeepEqual(gotImport, wantImport) || len(gotImport.Ports) != 1 || len(gotImport.IPs) != 2 || gotImport.Headless {
		t.Errorf("%+v, want %+v", gotImport, wantImport)
	}
	w, g := want.(*mcs.ServiceImport), got.(*mcs.ServiceImport)
	if g.Name != w.Name || g.Namespace != w.Namespace || g.ResourceVersion != w.ResourceVersion ||
		!ChangeTime(g).Equal(ChangeTime(w)) || ChangeTime(g).IsZero() || !reflect.DeepEqual(g.Annotations, w.Annotations) {
		t.Errorf("%+v, want %+v", g.ObjectMeta, w.ObjectMeta)
	}
}

// TestOtherKinds: the ordinary decoder reads what is no ServiceImport, and reports what is wrong with one.
func TestOtherKinds(t *testing.T) {
	ordinary, lean := decoders()
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410}`
	decode := func(text string, into runtime.Object) runtime.Object {
		o, _, err := lean.Decode([]byte(text), nil, into)
		if err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return o
	}
	if err := apierrors.FromObject(decode(status, nil)); !apierrors.IsResourceExpired(err) {
		t.Errorf("a status became %v", err)
	}
	list, ok := decode(`{"kind":"ServiceImportList","apiVersion":"multicluster.x-k8s.io/v1beta1","metadata":{"continue":"c"},"items":[`+importJSON+`]}`, nil).(*mcs.ServiceImportList)
	if !ok || len(list.Items) != 1 || list.Continue != "c" || list.Items[0].Name != "web" {
		t.Errorf("a list became %+v", list)
	}
	if o, ok := decode(importJSON, &mcs.ServiceImport{}).(*mcs.ServiceImport); !ok || o.Labels["a"] != "b" || len(o.Status.Clusters) != 1 {
		t.Errorf("into an object that a caller gave, not everything was read: %+v", o)
	}
	for name, text := range map[string]string{
		"nothing":                  "",
		"cut off":                  importJSON[:len(importJSON)/2],
		"no kind":                  strings.Replace(importJSON, `"kind":"ServiceImport",`, "", 1),
		"an unknown kind":          strings.Replace(importJSON, `"kind":"ServiceImport",`, `"kind":"Pod",`, 1),
		"a wrong type in spec":     strings.Replace(importJSON, `["10.0.0.1","fd00::1"]`, "7", 1),
		"a wrong type in metadata": strings.Replace(importJSON, `"name":"web"`, `"name":7`, 1),
	} {
		_, _, want := ordinary.Decode([]byte(text), nil, nil)
		if text == importJSON || want == nil {
			t.Fatalf("%s: nothing is wrong with %s", name, text)
		}
		if o, _, err := lean.Decode([]byte(text), nil, nil); err == nil || err.Error() != want.Error() {
			t.Errorf("%s: decoded to %+v, %v; want the error %v", name, o, err, want)
		}
	}
}

// TestImportFeed: events come one by one, imports and what is wrong alike; what is no event ends the watch.
func TestImportFeed(t *testing.T) {
	const expired = `{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"too old","reason":"Expired","code":410,"details":{"causes":[{"reason":"X"}]}}}`
	pretty := strings.ReplaceAll(importJSON, ",", ",\n  ")
	f := NewImportFeed(io.NopCloser(strings.NewReader(`{"type":"ADDED","object":` + importJSON + "}\n" +
		`{"object":` + pretty + `,"type":"DELETED"}` + expired + `{"type":"ADDED","object":{"kind":"Pod"}}`)))
	defer f.Close()
	for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
		got, o, err := f.Next()
		if err != nil || got != want {
			t.Fatalf("%s %v, want %s", got, err, want)
		}
		if si := o.(*mcs.ServiceImport); si.Name != "web" || si.ResourceVersion != "7" || len(si.Spec.IPs) != 2 || si.Annotations[metav1.InitialEventsAnnotationKey] != "true" {
			t.Errorf("%+v", si)
		}
	}
	got, o, err := f.Next()
	if err != nil || got != watch.Error || !apierrors.IsResourceExpired(apierrors.FromObject(o)) || !apierrors.HasStatusCause(apierrors.FromObject(o), "X") {
		t.Errorf("%s %+v %v", got, o, err)
	}
	for range 2 {
		if _, o, err := f.Next(); err == nil {
			t.Errorf("%+v is an event", o)
		}
	}
}
