package view

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTable: whatever is set, in any order, is found, nothing else is, and what is of no use takes no more room than the rest.
func TestTable(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		table, want := newTable(), map[string]*Service{}
		for range 5000 {
			key := fmt.Sprintf("web-%d.ns", r.IntN(1000))
			s := &Service{key: key, imported: r.IntN(int(seed)/2+2) > 0}
			table.set(s)
			want[key] = s
		}
		useful := 0
		for key, s := range want {
			if got := table.get(key); got != s && (s.imported || got != nil) {
				t.Fatalf("seed %d: %s is %v, want %v", seed, key, got, s)
			}
			if s.imported {
				useful++
			}
		}
		if got := table.get("other.ns"); got != nil {
			t.Fatalf("seed %d: found %v", seed, got)
		}
		for s := range table.all() {
			if want[s.key] != s {
				t.Fatalf("seed %d: %v is still there", seed, s)
			}
		}
		if slots := len(*table.slots.Load()); slots > max(minSlots, 16*useful) {
			t.Fatalf("seed %d: %d slots for %d services", seed, slots, useful)
		}
	}
}

// TestTableWhileRead: who reads while the table grows and shrinks finds every service that is neither new nor gone.
func TestTableWhileRead(t *testing.T) {
	table := newTable()
	fixed := &Service{key: "fixed.ns", imported: true}
	table.set(fixed)
	stop := reading(t, func() error {
		if table.get(fixed.key) != fixed {
			return errors.New("a service is lost")
		}
		return nil
	})
	for _, imported := range []bool{true, false, true, false} {
		for i := range 2000 {
			table.set(&Service{key: fmt.Sprintf("web-%d.ns", i), imported: imported})
		}
	}
	stop()
	if slots := len(*table.slots.Load()); slots > 4096 {
		t.Errorf("%d slots for one service", slots)
	}
}
