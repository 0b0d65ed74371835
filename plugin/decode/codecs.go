package decode

import (
	"slices"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
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

// ImportCodecs returns the codecs for ServiceImports in the version that the ordinary ones given are for.
func ImportCodecs(ordinary runtime.NegotiatedSerializer) runtime.NegotiatedSerializer {
	return leanCodecs{ordinary, runtime.ContentTypeJSON, func(s runtime.Serializer) runtime.Serializer { return importDecoder{s} }}
}

// SliceCodecs returns the codecs for EndpointSlices.
func SliceCodecs() runtime.NegotiatedSerializer {
	return leanCodecs{ordinarySliceCodecs(), runtime.ContentTypeProtobuf, func(s runtime.Serializer) runtime.Serializer { return sliceDecoder{s} }}
}

func ordinarySliceCodecs() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(discoveryv1.SchemeGroupVersion, &discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{})
	metav1.AddToGroupVersion(scheme, discoveryv1.SchemeGroupVersion)
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}
