package mirror

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// TestTwiceInAList_X6: a list that has an object twice is an error, whether all is read or a name, unless nobody exports its name; the
// next list is taken.
func TestTwiceInAList_X6(t *testing.T) {
	list := []discoveryv1.EndpointSlice{*slice("a", "s", "a", "1"), *slice("b", "s", "b", "1"), *slice("a", "s", "a", "1")}
	source := fakeSource{list: func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
		return list, metav1.ListMeta{ResourceVersion: "5"}, nil
	}}
	s := newTestStore()
	s.Selection.Of, s.Selection.Unknown = ofService, func(types.NamespacedName) {}
	k := from(source)
	k.About = func(*metav1.ListOptions, string) {}
	f := NewFeed(k, s.Store, func() {})
	all := func() (err error) {
		f.Begin()
		for i := range list {
			err = errors.Join(err, f.Set(&list[i]))
		}
		return err
	}
	if err := all(); err != nil || len(f.list) != 0 {
		t.Errorf("of a name that nobody exports, %d are collected: %v", len(f.list), err)
	}
	f.End("5")
	name := types.NamespacedName{Namespace: "n", Name: "s"}
	s.Pick(name)
	if _, err := f.Read(t.Context(), name); err == nil || !strings.Contains(err.Error(), "n/a twice") || s.Knows(name) {
		t.Errorf("reading the name: %v", err)
	}
	if err := all(); err == nil || !strings.Contains(err.Error(), "n/a twice") || len(f.list) != 2 {
		t.Errorf("reading all: %v; %d are collected", err, len(f.list))
	}
	list = list[:2]
	if err := all(); err != nil {
		t.Error(err)
	}
	if f.End("6"); len(s.All()) != 2 {
		t.Errorf("holds %v", s.All())
	}
}

// TestFailedListIsDropped_X6: what came of a list that failed takes no memory until the next one begins.
func TestFailedListIsDropped_X6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		pages, down := 0, true
		k := from(fakeSource{
			list: func() ([]discoveryv1.EndpointSlice, metav1.ListMeta, error) {
				if pages++; pages%2 == 0 && down {
					return nil, metav1.ListMeta{}, errors.New("down")
				}
				meta := metav1.ListMeta{ResourceVersion: "5"}
				if down {
					meta.Continue = "more"
				}
				return []discoveryv1.EndpointSlice{*slice("a", "s", "a", "1")}, meta, nil
			},
			watch: func(context.Context) (watch.Interface, error) { return watch.NewFake(), nil },
		})
		s := newTestStore()
		f := NewFeed(k, s.Store, func() {})
		done := make(chan struct{})
		go func() { defer close(done); f.Run(ctx) }()
		synctest.Wait()
		for range 5 {
			if f.State().Err == nil || len(f.list)+len(f.keys) > 0 || !f.listing {
				t.Errorf("%d objects are kept after %d pages, %v", len(f.list), pages, f.State())
			}
			f.Kick()
			synctest.Wait()
		}
		down = false
		f.Kick()
		synctest.Wait()
		if len(s.All()) != 1 || f.State().Err != nil {
			t.Errorf("holds %v, %v", s.All(), f.State())
		}
		cancel()
		<-done
	})
}
