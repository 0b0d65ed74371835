package main

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/members"
)

// engine is what works on the members while this replica leads, and is told what changes in them.
type engine interface {
	members.Handler
	Run(ctx context.Context, set *members.Set) error
}

// engines work at the same time, each on objects of its own. They are an engine themselves.
type engines []engine

// Run runs all until ctx ends, and returns once none has a write under way.
func (e engines) Run(ctx context.Context, set *members.Set) error {
	errs := make([]error, len(e))
	var wg sync.WaitGroup
	for i := range e {
		wg.Go(func() { errs[i] = e[i].Run(ctx, set) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Joined implements [members.Handler], as the methods below do.
func (e engines) Joined(m *members.Member) {
	for i := range e {
		e[i].Joined(m)
	}
}

func (e engines) Left(m *members.Member) {
	for i := range e {
		e[i].Left(m)
	}
}

func (e engines) Changed(m *members.Member, key types.NamespacedName) {
	for i := range e {
		e[i].Changed(m, key)
	}
}

func (e engines) NamespaceChanged(m *members.Member, namespace string) {
	for i := range e {
		e[i].NamespaceChanged(m, namespace)
	}
}

func (e engines) ConsumerChanged(m *members.Member) {
	for i := range e {
		e[i].ConsumerChanged(m)
	}
}

func (e engines) Synced(m *members.Member) {
	for i := range e {
		e[i].Synced(m)
	}
}
