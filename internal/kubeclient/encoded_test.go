package kubeclient

import (
	"bytes"
	"testing"

	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// encoded is an object as an API server sends it.
func encoded(t *testing.T, media string, o kuberuntime.Object) []byte {
	t.Helper()
	info, _ := kuberuntime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), media)
	var b bytes.Buffer
	kinds, _, err := scheme.Scheme.ObjectKinds(o)
	if err == nil {
		o = o.DeepCopyObject()
		o.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind(kinds[0]))
		err = info.Serializer.Encode(o, &b)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
