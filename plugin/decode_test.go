package multicluster

import (
	"reflect"
	"testing"

	"github.com/clusterset/multicluster/internal/mcsapi"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
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
	return ordinary, leanImports(codecs).SupportedMediaTypes()[0].Serializer
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
	wantImport, _ := convertImport(want.(*mcs.ServiceImport))
	gotImport, _ := convertImport(got.(*mcs.ServiceImport))
	if !reflect.DeepEqual(gotImport, wantImport) || len(gotImport.Ports) != 1 || len(gotImport.IPs) != 2 || gotImport.Headless {
		t.Errorf("%+v, want %+v", gotImport, wantImport)
	}
	w, g := want.(*mcs.ServiceImport), got.(*mcs.ServiceImport)
	if g.Name != w.Name || g.Namespace != w.Namespace || g.ResourceVersion != w.ResourceVersion ||
		!changeTime(g).Equal(changeTime(w)) || changeTime(g).IsZero() || !reflect.DeepEqual(g.Annotations, w.Annotations) {
		t.Errorf("%+v, want %+v", g.ObjectMeta, w.ObjectMeta)
	}
}

// TestOtherKinds: lists, events and what is wrong are decoded as ever.
func TestOtherKinds(t *testing.T) {
	_, lean := decoders()
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
	event := &metav1.WatchEvent{}
	if decode(`{"type":"ADDED","object":`+importJSON+`}`, event); event.Type != "ADDED" || event.Object.Object.(*mcs.ServiceImport).Name != "web" {
		t.Errorf("an event became %+v", event)
	}
	event = &metav1.WatchEvent{}
	if decode(`{"type":"ERROR","object":`+status+`}`, event); event.Type != "ERROR" || string(event.Object.Raw) != status {
		t.Errorf("an error became %+v", event)
	}
	for _, text := range []string{"", "{", `{"kind":"ServiceImport"}`, `{"kind":"ServiceImport","apiVersion":"multicluster.x-k8s.io/v1beta1","spec":{"ips":7}}`} {
		if o, _, err := lean.Decode([]byte(text), nil, nil); err == nil && o.(*mcs.ServiceImport).Name != "" {
			t.Errorf("%s became %+v", text, o)
		}
	}
	if _, _, err := lean.Decode([]byte(`{"kind":"ServiceImport","apiVersion":"multicluster.x-k8s.io/v1beta1","spec":{"ips":7}}`), nil, nil); err == nil {
		t.Error("a wrong type is no error")
	}
}
