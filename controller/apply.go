package controller

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/plan"
)

// errNoClient means that the cluster serves no version of the kind that is to be written.
var errNoClient = errors.New("the cluster does not serve the kind at present")

// errNoNamespace says that the namespace of an object that was to be created is going or gone; its event will come (SPEC L6).
var errNoNamespace = errors.New("no such namespace")

// apply does one write: the only place of this package that changes an object in a member cluster. The outcome goes into the
// overlay of the caches, so that the next pass sees it.
func (l *lane) apply(ctx context.Context, a plan.Action) error {
	w, err := l.writer(a.Object)
	if err != nil {
		return l.wrap(a, err)
	}
	result, err := w.write(ctx, a)
	l.c.metrics.wrote(l.member.ID(), w.kind, string(a.Verb), err)
	l.c.opts.Log.Debug("wrote", "cluster", l.member.ID(), "verb", a.Verb, "kind", w.kind,
		"object", a.Object.GetNamespace()+"/"+a.Object.GetName(), "reason", a.Reason, "err", err)
	switch {
	case err == nil:
	case a.Verb == plan.Delete && apierrors.IsNotFound(err) && !unserved(err):
		l.member.Deleted(a.Object)
		return nil
	case a.Verb == plan.Create && noNamespace(err):
		return errNoNamespace
	default:
		l.learnRefused(a, err)
		return l.wrap(a, err)
	}
	if a.Verb == plan.Delete {
		l.member.Deleted(a.Object)
	} else {
		l.learnDropped(a, result)
		l.member.Wrote(result)
	}
	if l.member.Registration().Consumer { // in a cluster that only exports the identity writes nothing but statuses (SPEC X1)
		l.events.record(w.reference(a.Object, result), a.Events)
	}
	return nil
}

// wrap says of a failed write what was written where; log lines and nothing else carry it on.
func (l *lane) wrap(a plan.Action, err error) error {
	return fmt.Errorf("%s %T %s/%s in cluster %s (%s): %w", a.Verb, a.Object, a.Object.GetNamespace(), a.Object.GetName(),
		l.member.ID(), a.Reason, err)
}

// stale reports whether err only says that the caches were behind: the next try, on newer state, decides.
func stale(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
}

// noNamespace reports whether a create was refused because its namespace is missing or terminating.
func noNamespace(err error) bool {
	var answer apierrors.APIStatus
	missing := apierrors.IsNotFound(err) && errors.As(err, &answer) && answer.Status().Details != nil && answer.Status().Details.Kind == "namespaces"
	return missing || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// unserved reports whether there was no answer about an object, because the API server does not serve its kind at that version.
func unserved(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeUnexpectedServerResponse)
}

// writer does the writes of one kind.
type writer struct {
	kind, resource string
	gv             string // apiVersion, for references
	client         rest.Interface
	empty          func() object
}

type object interface {
	runtime.Object
	metav1.Object
}

// writer returns what writes objects of obj's kind into this lane's cluster.
func (l *lane) writer(obj metav1.Object) (writer, error) {
	var w writer
	kube := l.member.Kube()
	switch obj.(type) {
	case *corev1.Service:
		w = writer{kind: "Service", resource: "services", empty: func() object { return &corev1.Service{} }}
		if kube != nil {
			w.client = kube.CoreV1().RESTClient()
		}
	case *discoveryv1.EndpointSlice:
		w = writer{kind: "EndpointSlice", resource: "endpointslices", empty: func() object { return &discoveryv1.EndpointSlice{} }}
		if kube != nil {
			w.client = kube.DiscoveryV1().RESTClient()
		}
	case *mcs.ServiceImport:
		w = writer{kind: mcs.ServiceImportKindName, resource: mcs.ServiceImportPluralName, empty: func() object { return &mcs.ServiceImport{} }}
		w.client = l.member.Imports()
	case *mcs.ServiceExport:
		w = writer{kind: mcs.ServiceExportKindName, resource: mcs.ServiceExportPluralName, empty: func() object { return &mcs.ServiceExport{} }}
		w.client = l.member.Exports()
	default:
		return w, fmt.Errorf("no writer for %T", obj)
	}
	if w.client == nil {
		return w, errNoClient
	}
	w.gv = w.client.APIVersion().String()
	return w, nil
}

// write does a on the API server and returns the object as it is afterwards.
func (w writer) write(ctx context.Context, a plan.Action) (object, error) {
	out := w.empty()
	name, namespace := a.Object.GetName(), a.Object.GetNamespace()
	var request *rest.Request
	switch a.Verb {
	case plan.Create:
		request = w.client.Post().Body(a.Object)
	case plan.Update:
		request = w.client.Put().Name(name).Body(a.Object)
	case plan.Patch:
		request = w.client.Patch(types.MergePatchType).Name(name).Body(a.Patch)
	case plan.PatchStatus:
		request = w.client.Patch(types.MergePatchType).Name(name).SubResource("status").Body(a.Patch)
	case plan.Delete:
		request = w.client.Delete().Name(name).Body(&metav1.DeleteOptions{Preconditions: &metav1.Preconditions{
			UID: ptr.To(a.Object.GetUID()), ResourceVersion: ptr.To(a.Object.GetResourceVersion()),
		}})
		return out, request.Namespace(namespace).Resource(w.resource).Do(ctx).Error()
	default:
		return nil, fmt.Errorf("no such verb")
	}
	if err := request.Namespace(namespace).Resource(w.resource).Do(ctx).Into(out); err != nil {
		return out, err
	}
	if out.GetName() != name || out.GetNamespace() != namespace {
		return out, fmt.Errorf("the API server answered with %.80q in namespace %.80q", out.GetName(), out.GetNamespace())
	}
	return out, nil
}

// reference points at the object that was written, for Events.
func (w writer) reference(asked metav1.Object, got object) *corev1.ObjectReference {
	ref := &corev1.ObjectReference{
		APIVersion: w.gv, Kind: w.kind, Namespace: asked.GetNamespace(), Name: asked.GetName(), UID: asked.GetUID(),
	}
	if got != nil && got.GetUID() != "" && len(got.GetUID()) <= keep.MaxUID { // it is kept, to count Events
		ref.UID = got.GetUID()
	}
	return ref
}
