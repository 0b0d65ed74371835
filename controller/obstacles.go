package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/plan"
)

// believed is how many tries of a name must have failed before a refusal is believed to last, 0.6 s after the first: caches
// that lag look the same at first.
const believed = 6

// errTaken says that an object of somebody else has a name that is needed here. Its removal is no event that is seen, so the
// name is tried again and again.
var errTaken = errors.New("somebody else's object is in the way")

// obstacles are what stands in the way of one name in one cluster, learnt from refusals.
type obstacles struct {
	addressLost bool
	taken       map[string]bool // names of EndpointSlices
}

// learn takes a refused write, and reports whether a plan that knows of it goes another way.
func (o *obstacles) learn(a plan.Action, err error) bool {
	if a.Verb != plan.Create {
		return false
	}
	switch obj := a.Object.(type) {
	case *corev1.Service:
		if obj.Spec.ClusterIP == "" || obj.Spec.ClusterIP == corev1.ClusterIPNone || o.addressLost || !refusesAddress(err) {
			return false
		}
		o.addressLost = true
		return true
	case *discoveryv1.EndpointSlice:
		if !apierrors.IsAlreadyExists(err) {
			return false
		}
		if o.taken == nil {
			o.taken = map[string]bool{}
		}
		o.taken[obj.Name] = true
		return true
	}
	return false
}

// refusesAddress says whether an API server refused a Service for the address that it asked for.
func refusesAddress(err error) bool {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return false
	}
	return slices.ContainsFunc(status.Status().Details.Causes, func(c metav1.StatusCause) bool {
		return strings.HasPrefix(c.Field, "spec.clusterIP")
	})
}

// known adds to what a cluster holds what is known to be in the way.
func (o *obstacles) known(h plan.Held) plan.Held {
	h.AddressLost, h.Taken = o.addressLost, o.taken
	return h
}

// remaining is why a name is not done with although there is nothing more to write for it; nil if it is.
func (o *obstacles) remaining(cluster string) error {
	if len(o.taken) == 0 {
		return nil
	}
	return fmt.Errorf("EndpointSlice %s in cluster %s: %w", strings.Join(slices.Sorted(maps.Keys(o.taken)), ", "), cluster, errTaken)
}
