package members

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// The resources of [mcsapi.Group].
const (
	exportResource = mcs.ServiceExportPluralName
	importResource = mcs.ServiceImportPluralName
)

// Selectors of the EndpointSlices that a provider offers and of those that we manage in a consumer. A slice that is itself
// imported carries the source-cluster label and is never exported again (SPEC X4).
const (
	sourceSelector   = "!" + mcsapi.LabelSourceCluster + "," + discoveryv1.LabelServiceName
	importedSelector = discoveryv1.LabelManagedBy + "=" + mcsapi.ManagedBy
)

func exportKind(c rest.Interface, version string) mirror.Kind[*mcs.ServiceExport] {
	return mirror.Kind[*mcs.ServiceExport]{
		Resource: exportResource + "." + mcsapi.Group + "/" + version,
		Source:   resource(c, exportResource, ""),
		Trim:     func(e *mcs.ServiceExport) { *e = *keep.Export(e) },
	}
}

func importKind(c rest.Interface, version string) mirror.Kind[*mcs.ServiceImport] {
	return mirror.Kind[*mcs.ServiceImport]{
		Resource: importResource + "." + mcsapi.Group + "/" + version,
		Source:   resource(c, importResource, ""),
		Trim:     func(i *mcs.ServiceImport) { *i = *keep.Import(i) },
	}
}

// serviceKind watches every Service: an export may name any, a derived name may be taken by one that is not ours (SPEC X5),
// and a ClusterIP here must not be taken from elsewhere (SPEC X2). Only an importing cluster has derived Services; another's labels
// don't make it keep more (SPEC X6).
func serviceKind(kube kubernetes.Interface, consumer bool) mirror.Kind[*corev1.Service] {
	kept := keep.Service
	if consumer {
		kept = keep.WholeService
	}
	return mirror.Kind[*corev1.Service]{
		Resource: "services",
		Source:   resource(kube.CoreV1().RESTClient(), "services", ""),
		About:    func(opts *metav1.ListOptions, name string) { opts.FieldSelector = "metadata.name=" + name },
		Trim:     func(s *corev1.Service) { *s = *kept(s) },
	}
}

// sourceKind watches the slices that may be exported. The node of an endpoint is kept only where the cluster also consumes:
// only slices imported from the consumer itself keep it (SPEC S2).
func sourceKind(kube kubernetes.Interface, consumer bool) mirror.Kind[*discoveryv1.EndpointSlice] {
	k := sliceKind(kube, sourceSelector)
	k.Trim = func(s *discoveryv1.EndpointSlice) { *s = *keep.Slice(s, consumer) }
	return k
}

// importedKind watches the slices that we manage in a consumer; those are compared and updated as a whole.
func importedKind(kube kubernetes.Interface) mirror.Kind[*discoveryv1.EndpointSlice] {
	k := sliceKind(kube, importedSelector)
	k.Resource = "imported " + k.Resource
	k.Trim = func(s *discoveryv1.EndpointSlice) { *s = *keep.ImportedSlice(s) }
	return k
}

func sliceKind(kube kubernetes.Interface, selector string) mirror.Kind[*discoveryv1.EndpointSlice] {
	return mirror.Kind[*discoveryv1.EndpointSlice]{
		Resource: "endpointslices.discovery.k8s.io",
		Source:   resource(kube.DiscoveryV1().RESTClient(), "endpointslices", selector),
		About: func(opts *metav1.ListOptions, name string) {
			opts.LabelSelector = discoveryv1.LabelServiceName + "=" + name // besides the selector of all
		},
	}
}

func namespaceKind(kube kubernetes.Interface) mirror.Kind[*corev1.Namespace] {
	return mirror.Kind[*corev1.Namespace]{
		Resource: "namespaces", ClusterWide: true,
		Source: resource(kube.CoreV1().RESTClient(), "namespaces", ""),
		Trim:   func(n *corev1.Namespace) { *n = *keep.Namespace(n) },
	}
}

// nodeKind watches a consumer's nodes for their addresses, and keeps nothing else of them: no endpoint of another cluster can
// have one (SPEC X2). Their pod ranges are not used: what spec.podCIDR says is not what pods get in many networks.
func nodeKind(kube kubernetes.Interface) mirror.Kind[*corev1.Node] {
	return mirror.Kind[*corev1.Node]{
		Resource: "nodes", ClusterWide: true,
		Source: resource(kube.CoreV1().RESTClient(), "nodes", ""),
		Trim:   func(n *corev1.Node) { *n = *keep.Node(n) },
	}
}

// resource returns the sources of a resource, of what of it a selector selects.
func resource(c rest.Interface, name, selector string) func(namespace string) follow.Source {
	return func(namespace string) follow.Source {
		return &follow.REST{Client: c, Resource: name, Namespace: namespace, Selector: selector}
	}
}

// Groups: the names that objects belong to.

// bySource gives the exported Service of a slice.
func bySource(s *discoveryv1.EndpointSlice) (types.NamespacedName, bool) {
	return byLabel(s, discoveryv1.LabelServiceName)
}

// byService gives the multi-cluster service of an imported slice, in use or in reserve, or of a derived Service.
func byService[T mirror.Object](o T) (types.NamespacedName, bool) {
	name, _ := mcsapi.ServiceOf(o.GetLabels())
	return called(o, name)
}

// byDerived gives the name of the derived Service of an import.
func byDerived(i *mcs.ServiceImport) (types.NamespacedName, bool) {
	name := i.Annotations[mcsapi.AnnotationDerivedService]
	return types.NamespacedName{Namespace: i.Namespace, Name: name}, mcsapi.IsSubdomain(name)
}

func byLabel(o metav1.Object, label string) (types.NamespacedName, bool) {
	return called(o, o.GetLabels()[label])
}

// called gives the name in the namespace of o, if it is one: a label may be empty, or what no object is called.
func called(o metav1.Object, name string) (types.NamespacedName, bool) {
	return types.NamespacedName{Namespace: o.GetNamespace(), Name: name}, mcsapi.IsSubdomain(name)
}
