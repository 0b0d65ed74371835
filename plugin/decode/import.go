package decode

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// importDecoder decodes ServiceImports in one go, without asking first what they are, and leaves everything else to the
// ordinary decoder. Custom resources come as JSON, whatever is asked for, and reading them is much of the work of the initial
// sync.
type importDecoder struct{ runtime.Serializer }

// leanImport is what is read of a ServiceImport.
type leanImport struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name            string            `json:"name"`
		Namespace       string            `json:"namespace"`
		ResourceVersion string            `json:"resourceVersion"`
		Annotations     map[string]string `json:"annotations"`
		ManagedFields   []struct {
			Time *metav1.Time `json:"time"`
		} `json:"managedFields"`
	} `json:"metadata"`
	Spec struct {
		Type  mcs.ServiceImportType `json:"type"`
		IPs   []string              `json:"ips"`
		Ports []mcs.ServicePort     `json:"ports"`
	} `json:"spec"`
}

// Decode implements runtime.Decoder.
func (d importDecoder) Decode(data []byte, kind *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	var lean leanImport
	if into != nil || json.Unmarshal(data, &lean) != nil || lean.Kind != importKind {
		return d.Serializer.Decode(data, kind, into)
	}
	return lean.serviceImport(), kind, nil
}

const importKind = "ServiceImport"

func (lean *leanImport) serviceImport() *mcs.ServiceImport {
	si := &mcs.ServiceImport{}
	si.Name, si.Namespace = lean.Metadata.Name, lean.Metadata.Namespace
	si.ResourceVersion, si.Annotations = lean.Metadata.ResourceVersion, lean.Metadata.Annotations
	for _, f := range lean.Metadata.ManagedFields {
		si.ManagedFields = append(si.ManagedFields, metav1.ManagedFieldsEntry{Time: f.Time})
	}
	si.Spec.Type, si.Spec.IPs, si.Spec.Ports = lean.Spec.Type, lean.Spec.IPs, lean.Spec.Ports
	return si
}
