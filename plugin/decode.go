package multicluster

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// leanCodecs are ordinary codecs, with another decoder in front of theirs for one media type.
type leanCodecs struct {
	runtime.NegotiatedSerializer
	mediaType string
	lean      func(runtime.Serializer) runtime.Serializer
}

// SupportedMediaTypes implements runtime.NegotiatedSerializer.
func (c leanCodecs) SupportedMediaTypes() []runtime.SerializerInfo {
	infos := slices.Clone(c.NegotiatedSerializer.SupportedMediaTypes())
	for i, info := range infos {
		if info.MediaType == c.mediaType {
			stream := *info.StreamSerializer
			stream.Serializer = c.lean(stream.Serializer)
			infos[i].Serializer, infos[i].StreamSerializer = c.lean(info.Serializer), &stream
		}
	}
	return infos
}

func leanImports(codecs runtime.NegotiatedSerializer) leanCodecs {
	return leanCodecs{codecs, runtime.ContentTypeJSON, func(s runtime.Serializer) runtime.Serializer { return importDecoder{s} }}
}

func leanSlices(codecs runtime.NegotiatedSerializer) leanCodecs {
	return leanCodecs{codecs, runtime.ContentTypeProtobuf, func(s runtime.Serializer) runtime.Serializer { return sliceDecoder{s} }}
}

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

// importFeed is a watch of ServiceImports, whose events are read off the connection in one go.
type importFeed struct {
	body    io.Closer
	decoder *json.Decoder
}

func newImportFeed(body io.ReadCloser) feed { return &importFeed{body, json.NewDecoder(body)} }

func (f *importFeed) close() { f.body.Close() }

// leanEvent carries an import, or says what is wrong (metav1.Status).
type leanEvent struct {
	Type   watch.EventType `json:"type"`
	Object struct {
		leanImport
		Code    int32                 `json:"code"`
		Reason  metav1.StatusReason   `json:"reason"`
		Message string                `json:"message"`
		Details *metav1.StatusDetails `json:"details"`
	} `json:"object"`
}

func (f *importFeed) next() (watch.EventType, runtime.Object, error) {
	var event leanEvent
	if err := f.decoder.Decode(&event); err != nil {
		return "", nil, err
	}
	o := &event.Object
	switch o.Kind {
	case importKind:
		return event.Type, o.serviceImport(), nil
	case "Status":
		return event.Type, &metav1.Status{Code: o.Code, Reason: o.Reason, Message: o.Message, Details: o.Details}, nil
	}
	return "", nil, fmt.Errorf("a %q came in place of a ServiceImport", o.Kind)
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
