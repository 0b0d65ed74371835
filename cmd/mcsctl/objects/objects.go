// Package objects writes a person's ServiceExports and ServiceImports, and waits until a controller has done its part.
//
// It writes what the person could write with kubectl, no more: spec.ips and statuses are the controller's. What a wait came
// to is told by the conditions, whose meaning is the API's.
package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Writer writes objects of one name into one cluster.
type Writer struct {
	Cluster *members.Cluster
	Key     types.NamespacedName
	// Namespace is where a controller of the cluster's own would run.
	Namespace string
	// Zone is the one of the clusterset.
	Zone string
	// Wait is how long to wait for a controller; 0 means not at all.
	Wait     time.Duration
	Progress func(format string, args ...any)
}

// Export makes the ServiceExport, where there is none, and waits for the controller's verdict.
func (w *Writer) Export(ctx context.Context) error {
	service, err := w.Cluster.Service(ctx, w.Key)
	if err != nil {
		return fmt.Errorf("reading Service %s: %w", w.Key, err)
	}
	if service == nil {
		return fmt.Errorf("%s has no Service %s; create it first: a ServiceExport names the Service of its own name and namespace", w.Cluster.Origin, w.Key)
	}
	there, err := w.make(ctx, "serviceexports", &mcs.ServiceExport{ObjectMeta: w.meta()})
	if err != nil {
		return err
	}
	if there && w.byRule(ctx) {
		w.Progress("a rule made it, and deletes it when it does not select the Service any more; label it %s- and it is yours", mcsapi.LabelByRule)
	}
	var last []metav1.Condition
	foreign := w.foreign(ctx)
	if foreign {
		w.Wait = min(w.Wait, patience)
	}
	err = w.await(ctx, "waiting for a controller to look at it", func() (bool, error) {
		e, err := w.Cluster.Export(ctx, w.Key)
		if err != nil || e == nil {
			return false, orGone(err, "the ServiceExport was deleted")
		}
		last = w.tell(last, e.Status.Conditions)
		valid, ready := condition(last, "Valid"), condition(last, "Ready")
		if valid != nil && valid.Status == metav1.ConditionFalse {
			return false, fmt.Errorf("not exported, %s: %s", valid.Reason, valid.Message)
		}
		return ready != nil && ready.Status == metav1.ConditionTrue, nil
	})
	if foreign && len(last) == 0 && errors.Is(err, errNotDone) {
		w.Progress("no controller wrote its verdict here: one that only reads this cluster does not; in a cluster that imports: %s", shell.At(" --context CONTEXT"+members.Besides(w.Namespace, w.Zone), "mcsctl explain %s", w.Key))
		return nil
	}
	return err
}

// explain is the command that says why it does not work.
func (w *Writer) explain() shell.Text {
	return shell.At(w.Cluster.Flags()+members.Besides(w.Namespace, w.Zone), "mcsctl explain %s", w.Key)
}

// patience is how long an export waits where the cluster has no controller of its own: those of other clusters may have the
// right to write their verdict here, or not.
const patience = 5 * time.Second

// foreign says that no controller runs in the cluster.
func (w *Writer) foreign(ctx context.Context) bool {
	controller, err := w.Cluster.ControllerOf(ctx, w.Namespace)
	return err == nil && controller == nil
}

// errNotDone says that a wait was in vain.
var errNotDone = errors.New("not done")

// Import makes a ServiceImport for what another cluster exports, where there is none, and waits until it is served. like is
// an exported Service to take type and ports from; nil leaves both to the controller.
func (w *Writer) Import(ctx context.Context, like *corev1.Service) error {
	i := &mcs.ServiceImport{ObjectMeta: w.meta(), Spec: mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, Ports: []mcs.ServicePort{}}}
	if like != nil && like.Spec.ClusterIP == corev1.ClusterIPNone {
		i.Spec.Type = mcs.Headless
	}
	if like != nil {
		for _, p := range like.Spec.Ports {
			i.Spec.Ports = append(i.Spec.Ports, mcs.ServicePort{Name: p.Name, Protocol: p.Protocol, AppProtocol: p.AppProtocol, Port: p.Port})
		}
	}
	if _, err := w.make(ctx, "serviceimports", i); err != nil {
		return err
	}
	var last []metav1.Condition
	return w.await(ctx, "waiting for a controller to serve it", func() (bool, error) {
		i, err := w.Cluster.Import(ctx, w.Key)
		if err != nil || i == nil {
			return false, orGone(err, "the ServiceImport was deleted")
		}
		last = w.tell(last, i.Status.Conditions)
		ready := condition(last, "Ready")
		done := ready != nil && ready.Status == metav1.ConditionTrue
		if done && len(i.Spec.IPs) > 0 {
			w.Progress("  its address is %s", i.Spec.IPs[0])
		}
		return done, nil
	})
}

// byRule says whether the ServiceExport was made by rule (SPEC P1); false where that can't be read.
func (w *Writer) byRule(ctx context.Context) bool {
	e, err := w.Cluster.Export(ctx, w.Key)
	return err == nil && e != nil && mcsapi.MadeByRule(e.Labels)
}

// Unexport deletes the ServiceExport, unless it would be made again.
func (w *Writer) Unexport(ctx context.Context) error {
	if w.byRule(ctx) {
		return fmt.Errorf("ServiceExport %s in %s was made by rule, and would be made again; change the labels of the Service, "+
			"or the rule: annotation %s of the namespace, flag --export-selector of the controller", w.Key, w.Cluster.Origin, mcsapi.AnnotationExportSelector)
	}
	err := w.each(func(version string) error {
		return w.Cluster.MCS(version).Delete().Namespace(w.Key.Namespace).Resource("serviceexports").Name(w.Key.Name).Do(ctx).Error()
	})
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%s has no ServiceExport %s", w.Cluster.Origin, w.Key)
	}
	if err != nil {
		return fmt.Errorf("deleting ServiceExport %s in %s: %w", w.Key, w.Cluster.Origin, err)
	}
	return w.await(ctx, "waiting until it is gone", func() (bool, error) {
		e, err := w.Cluster.Export(ctx, w.Key)
		return e == nil, err
	})
}

func (w *Writer) meta() metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: w.Key.Namespace, Name: w.Key.Name}
}

// make creates an object in the version that is served, and says whether it was there already.
func (w *Writer) make(ctx context.Context, resource string, object runtime.Object) (there bool, err error) {
	err = w.each(func(version string) error {
		return w.Cluster.MCS(version).Post().Namespace(w.Key.Namespace).Resource(resource).Body(object).Do(ctx).Error()
	})
	switch {
	case apierrors.IsAlreadyExists(err):
		w.Progress("%s %s is there already in %s", resource, w.Key, w.Cluster.Origin)
		return true, nil
	case apierrors.IsNotFound(err):
		return false, fmt.Errorf("%s serves no %s, or has no namespace %s; want the CRDs (deploy/crds) and the namespace", w.Cluster.Origin, resource, w.Key.Namespace)
	case err != nil:
		return false, fmt.Errorf("creating %s %s in %s: %w", resource, w.Key, w.Cluster.Origin, err)
	}
	w.Progress("made %s %s in %s", resource, w.Key, w.Cluster.Origin)
	return false, nil
}

// each tries the versions of the API until one is served.
func (w *Writer) each(try func(version string) error) (err error) {
	for _, version := range mcsapi.Versions {
		if err = try(version); !apierrors.IsNotFound(err) {
			return err
		}
	}
	return err
}

// await polls until done, and says what for.
func (w *Writer) await(ctx context.Context, what string, done func() (bool, error)) error {
	if w.Wait == 0 {
		return nil
	}
	w.Progress("%s", what)
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, w.Wait, true, func(context.Context) (bool, error) { return done() })
	if wait.Interrupted(err) {
		return fmt.Errorf("%w after %s; %s says why", errNotDone, w.Wait, w.explain())
	}
	return err
}

// maxTold is how many conditions are shown; the API has three.
const maxTold = 10

// tell shows the conditions that changed, and returns the present ones.
func (w *Writer) tell(before, now []metav1.Condition) []metav1.Condition {
	for _, c := range now[:min(len(now), maxTold)] {
		held := condition(before, c.Type)
		if held == nil || held.Status != c.Status || held.Message != c.Message {
			w.Progress("  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
		}
	}
	return now
}

func condition(list []metav1.Condition, typ string) *metav1.Condition {
	for i := range list {
		if list[i].Type == typ {
			return &list[i]
		}
	}
	return nil
}

func orGone(err error, otherwise string) error {
	if err != nil {
		return err
	}
	return errors.New(otherwise)
}
