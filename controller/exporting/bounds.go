package exporting

import (
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"golang.org/x/time/rate"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/follow"
)

// Bounds of what one member's API server has this package keep and ask (SPEC X6).
const (
	// maxKept bounds what is kept of namespaces, and of the Services that all rules select, in bytes of memory.
	maxKept = 64 << 20
	// maxRules is how many namespaces have a watch for a rule of their own.
	maxRules = 256
	// ruleTries and ruleTryEvery are those of [follow.NewTries] for all of these watches together. Each takes a list and a watch to begin
	// with, and ends after 5 to 10 minutes.
	ruleTries    = 2 * maxRules
	ruleTryEvery = time.Second
)

// errManyRules is the reason why a rule of a namespace has no effect.
var errManyRules = errors.New("too many namespaces have a rule of their own")

// access is how a member is read.
type access struct {
	gate  follow.Gate   // nil for none
	tries *rate.Limiter // nil for a limiter of its own
	room  *room         // nil for no bound
}

// room bounds the memory that some watches take together.
type room struct {
	most int

	mu   sync.Mutex
	used int
}

// swap has is in place of was. It fails where there is no room for what is more.
func (r *room) swap(was, is int) error {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if is > was && r.used+is-was > r.most {
		return fmt.Errorf("rules of the cluster need more than %d MiB of them, counted as they are kept in memory", r.most>>20)
	}
	r.used += is - was
	return nil
}

// weigh returns the memory that an object takes.
func weigh(o follow.Object) int {
	switch o := o.(type) {
	case *corev1.Namespace:
		return keep.WeighNamespace(o)
	case *corev1.Service:
		return keep.WeighService(o)
	}
	return 0
}

// manyTries returns the bound of the watches of namespaces' own rules.
func manyTries() *rate.Limiter { return rate.NewLimiter(rate.Every(ruleTryEvery), ruleTries) }
