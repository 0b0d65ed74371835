package provider

import (
	"cmp"
	stdjson "encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// kind is one of the resources.
type kind struct {
	metav1.TypeMeta
	prefix   string // of its path
	protobuf bool   // served so to those who ask, as a kube-apiserver does for its own kinds
	list     func() listObject
	names    func(c *Cluster) []string // sorted; c.mu is held
	object   func(c *Cluster, t metav1.TypeMeta, name string, at change) object
}

type object interface {
	runtime.Object
	metav1.Object
}

type listObject interface {
	runtime.Object
	metav1.ListInterface
}

const group = "/apis/multicluster.x-k8s.io/v1beta1"

// ServeHTTP implements http.Handler.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.requests.Add(1)
	path := strings.TrimSuffix(r.URL.Path, "/")
	switch {
	case c.down.Load():
		fail(w, apierrors.NewServiceUnavailable("down"))
		return
	case path == group:
		answer(w, r, false, discovered)
		return
	case path == "/api/v1/namespaces/kube-system":
		answer(w, r, true, &corev1.Namespace{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"},
			ObjectMeta: metav1.ObjectMeta{Name: "kube-system", UID: types.UID("uid-" + c.ID)},
		})
		return
	}
	path = strings.Replace(path, "/namespaces/"+Namespace, "", 1)
	resource := path[strings.LastIndex(path, "/")+1:]
	k, ok := kinds[resource]
	switch {
	case !ok || path != k.prefix+"/"+resource || r.Method != http.MethodGet:
		fail(w, apierrors.NewNotFound(schema.GroupResource{Resource: resource}, path))
	case r.URL.Query().Get("watch") == "true" || r.URL.Query().Get("watch") == "1":
		c.watch(w, r, k)
	default:
		c.serveList(w, r, k)
	}
}

var discovered = &metav1.APIResourceList{
	TypeMeta:     metav1.TypeMeta{APIVersion: "v1", Kind: "APIResourceList"},
	GroupVersion: mcs.GroupVersion.String(),
	APIResources: []metav1.APIResource{{
		Name: mcs.ServiceExportPluralName, Kind: "ServiceExport", Namespaced: true, Verbs: metav1.Verbs{"create", "get", "list", "watch"},
	}},
}

// serveList answers a list, page by page; a page begins after the name that the last one ended with.
func (c *Cluster) serveList(w http.ResponseWriter, r *http.Request, k kind) {
	query := r.URL.Query()
	selector, err := labels.Parse(query.Get("labelSelector"))
	if err != nil {
		fail(w, apierrors.NewBadRequest(err.Error()))
		return
	}
	limit, _ := strconv.Atoi(query.Get("limit"))
	list := k.list()
	list.GetObjectKind().SetGroupVersionKind(schema.FromAPIVersionAndKind(k.APIVersion, k.Kind+"List"))
	items, version, next := c.page(k, query.Get("continue"), named(selector, query.Get("fieldSelector")), limit)
	list.SetResourceVersion(strconv.Itoa(version))
	list.SetContinue(next)
	items = slices.DeleteFunc(items, func(o runtime.Object) bool { return !selector.Matches(labels.Set(o.(object).GetLabels())) })
	if err := meta.SetList(list, items); err != nil {
		fail(w, apierrors.NewInternalError(err))
		return
	}
	answer(w, r, k.protobuf, list)
}

// page returns up to limit objects after a name, or the one object of the name only, and the name to go on after.
func (c *Cluster) page(k kind, after, only string, limit int) (items []runtime.Object, version int, next string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := k.names(c)
	if i, found := slices.BinarySearch(names, cmp.Or(only, after)); only != "" {
		names = names[i:min(i+1, len(names))]
		if !found {
			names = nil
		}
	} else if found {
		names = names[i+1:]
	} else {
		names = names[i:]
	}
	if limit > 0 && len(names) > limit {
		names = names[:limit]
		next = names[limit-1]
	}
	for _, name := range names {
		items = append(items, k.object(c, k.TypeMeta, name, c.last(k.Kind, name)))
	}
	return items, c.version, next
}

// named returns the name that selectors narrow a list to, if they do: a Service's own, or that of a slice's Service.
func named(selector labels.Selector, fields string) string {
	if name, ok := strings.CutPrefix(fields, "metadata.name="); ok {
		return name
	}
	name, _ := selector.RequiresExactMatch(discoveryv1.LabelServiceName)
	return name
}

// encoder writes what the client wants to read, and names it.
func encoder(r *http.Request, binary bool) (encode runtime.Encoder, contentType string) {
	if binary && strings.Contains(r.Header.Get("Accept"), runtime.ContentTypeProtobuf) {
		return protobuf.NewSerializer(scheme.Scheme, scheme.Scheme), runtime.ContentTypeProtobuf
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, nil, nil, json.SerializerOptions{}), runtime.ContentTypeJSON
}

func answer(w http.ResponseWriter, r *http.Request, binary bool, o runtime.Object) {
	encode, contentType := encoder(r, binary)
	w.Header().Set("Content-Type", contentType)
	_ = encode.Encode(o, w) // fails when the client is gone
}

func fail(w http.ResponseWriter, err *apierrors.StatusError) {
	w.Header().Set("Content-Type", runtime.ContentTypeJSON)
	w.WriteHeader(int(err.ErrStatus.Code))
	_ = stdjson.NewEncoder(w).Encode(status(err))
}

func status(err *apierrors.StatusError) *metav1.Status {
	s := err.Status()
	s.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return &s
}
