package plan

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// consumer is a model of what a consuming cluster's API server does with the writes of a plan, as far as a plan can tell:
// it decides what is kept, defaulted, allocated, pruned and refused. It holds the objects of one name.
type consumer struct {
	t testing.TB
	Consumer
	imp    *mcs.ServiceImport
	svc    *corev1.Service
	slices map[string]*discoveryv1.EndpointSlice

	version, uid, address int
	log                   []string
	// after, if set, is called after every write.
	after func()
}

func newConsumer(t testing.TB, c Consumer) *consumer {
	return &consumer{t: t, Consumer: c, slices: make(map[string]*discoveryv1.EndpointSlice)}
}

func (c *consumer) held() Held {
	h := Held{Namespace: true, Import: c.imp, Derived: c.svc}
	for _, name := range slices.Sorted(maps.Keys(c.slices)) {
		h.Slices = append(h.Slices, c.slices[name])
	}
	return h
}

// maxPasses is how many plans may be needed until nothing is left to do: one each for the import, its children, a
// replaced Service, the addresses and the status, and one that is empty.
const maxPasses = 7

// settle plans and applies until a plan is empty, and returns what was written.
func (c *consumer) settle(w Wanted, now time.Time) []Action {
	c.t.Helper()
	var all []Action
	for range maxPasses {
		before := c.snapshot()
		actions := For(c.Consumer, w, c.held(), now)
		if after := c.snapshot(); after != before {
			c.t.Fatalf("For changed what it was given:\n%s\n%s", before, after)
		}
		if len(actions) == 0 {
			return all
		}
		for i := range actions {
			c.apply(&actions[i])
		}
		all = append(all, actions...)
	}
	c.t.Fatalf("no empty plan after %d passes:\n%s", maxPasses, strings.Join(c.log, "\n"))
	return nil
}

func (c *consumer) snapshot() string {
	text, err := json.Marshal([]any{c.imp, c.svc, c.slices})
	if err != nil {
		c.t.Fatal(err)
	}
	return string(text)
}

func (c *consumer) apply(a *Action) {
	c.t.Helper()
	if a.Reason == "" {
		c.t.Errorf("%s %T without a reason", a.Verb, a.Object)
	}
	c.checkOwnership(a)
	c.log = append(c.log, fmt.Sprintf("%s %T %s %s: %s", a.Verb, a.Object, a.Object.GetName(), a.Patch, a.Reason))
	switch o := a.Object.(type) {
	case *mcs.ServiceImport:
		c.applyImport(a, o)
	case *corev1.Service:
		c.applyService(a, o)
	case *discoveryv1.EndpointSlice:
		c.applySlice(a, o)
	default:
		c.t.Fatalf("%s of a %T", a.Verb, a.Object)
	}
	if c.after != nil {
		c.after()
	}
}

// checkOwnership fails if a write touches what this clusterset does not own (SPEC X5): of a person's import, and of one
// that is somebody else's, nothing is deleted and no field written that is not the controller's.
func (c *consumer) checkOwnership(a *Action) {
	c.t.Helper()
	if _, isImport := a.Object.(*mcs.ServiceImport); !isImport {
		if a.Object.GetLabels()[mcsapi.LabelClusterSet] != c.ClusterSet {
			c.t.Fatalf("%s of a foreign %T %s", a.Verb, a.Object, a.Object.GetName())
		}
		return
	}
	if a.Verb == Create {
		return
	}
	held := c.imp
	if set := held.Labels[mcsapi.LabelClusterSet]; set != "" && set != c.ClusterSet {
		c.t.Fatalf("%s of an import of clusterset %s", a.Verb, set)
	}
	if automatic := held.Labels[mcsapi.LabelAutomatic] == "true" && held.Labels[mcsapi.LabelClusterSet] != ""; a.Verb == Delete && !automatic {
		c.t.Fatal("delete of a person's import")
	}
}

func (c *consumer) stamp(o metav1.Object) {
	if o.GetUID() == "" {
		c.uid++
		o.SetUID(types.UID(fmt.Sprintf("uid-%d", c.uid)))
	}
	c.version++
	o.SetResourceVersion(fmt.Sprint(c.version))
}

func (c *consumer) applyImport(a *Action, o *mcs.ServiceImport) {
	c.t.Helper()
	if a.Verb != Create && (c.imp == nil || o.UID != c.imp.UID || o.ResourceVersion != c.imp.ResourceVersion) {
		c.t.Fatalf("%s of an import that is not as it is held: %s", a.Verb, a.Patch)
	}
	switch a.Verb {
	case Create:
		if c.imp != nil {
			c.t.Fatal("the import exists")
		}
		c.putImport(o)
		c.imp.Status = mcs.ServiceImportStatus{}
	case Patch, PatchStatus:
		next := mergeInto(c.t, c.imp, a.Patch)
		if a.Verb == Patch {
			next.Status = c.imp.Status
		} else {
			next.Spec, next.Labels, next.Annotations = c.imp.Spec, c.imp.Labels, c.imp.Annotations
		}
		before := c.imp
		c.putImport(next)
		same := before.DeepCopy()
		same.ResourceVersion, same.Generation = c.imp.ResourceVersion, c.imp.Generation
		if reflect.DeepEqual(same, c.imp) {
			c.t.Fatalf("a patch that changes nothing: %s", a.Patch)
		}
	case Delete:
		c.imp = nil
	default:
		c.t.Fatalf("%s of an import", a.Verb)
	}
}

// putImport stores o as the CRD would: what it does not know is gone, what it refuses is an error.
func (c *consumer) putImport(o *mcs.ServiceImport) {
	c.t.Helper()
	next := roundTrip(c.t, o)
	if next.Spec.Ports == nil {
		c.t.Fatalf("spec.ports of the import is null")
	}
	if c.Drops["spec.ipFamilies"] {
		next.Spec.IPFamilies = nil
	}
	if c.Drops["spec.internalTrafficPolicy"] {
		next.Spec.InternalTrafficPolicy = nil
	}
	if c.Drops["spec.trafficDistribution"] {
		next.Spec.TrafficDistribution = nil
	}
	if c.Drops["spec.ips[1]"] && len(next.Spec.IPs) > 1 {
		c.t.Fatalf("spec.ips: %v: must have at most 1 item", next.Spec.IPs)
	}
	if c.Drops["status.conditions"] {
		next.Status.Conditions = nil
	}
	if c.Drops["status.clusters"] {
		next.Status.Clusters = nil
	}
	if c.Drops["status.endpointSliceObjects"] {
		next.Status.EndpointSliceObjects = ""
	}
	checkMeta(c.t, next)
	for _, condition := range next.Status.Conditions {
		if len(condition.Message) > 32768 || condition.Reason == "" || len(condition.Reason) > 1024 || condition.LastTransitionTime.IsZero() {
			c.t.Fatalf("condition that the CRD refuses: %+v", condition)
		}
	}
	if c.imp == nil || !reflect.DeepEqual(c.imp.Spec, next.Spec) {
		next.Generation++
	}
	c.stamp(next)
	c.imp = next
}

func checkMeta(t testing.TB, o metav1.Object) {
	t.Helper()
	for k, v := range o.GetLabels() {
		if errs := append(validation.IsQualifiedName(k), validation.IsValidLabelValue(v)...); len(errs) > 0 {
			t.Fatalf("label %s=%s of %T: %v", k, v, o, errs)
		}
	}
	size := 0
	for k, v := range o.GetAnnotations() {
		size += len(k) + len(v)
		if errs := validation.IsQualifiedName(strings.ToLower(k)); len(errs) > 0 {
			t.Fatalf("annotation %s of %T: %v", k, o, errs)
		}
	}
	if size > 256<<10 {
		t.Fatalf("%d bytes of annotations on %T", size, o)
	}
}

// collect does what the garbage collector does once the import that owned them is gone.
func (c *consumer) collect() {
	orphan := func(o metav1.Object) bool {
		return slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return c.imp == nil || c.imp.UID != r.UID })
	}
	if c.svc != nil && orphan(c.svc) {
		c.svc = nil
	}
	maps.DeleteFunc(c.slices, func(_ string, s *discoveryv1.EndpointSlice) bool { return orphan(s) })
}
