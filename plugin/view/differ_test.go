package view

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// heldPlainly is [Slice.heldBy] in the plainest way.
func (s *Slice) heldPlainly(others []*Slice) bool {
	for i := range s.len() {
		if !slices.ContainsFunc(others, func(t *Slice) bool { return t.holds(s, i) }) {
			return false
		}
	}
	return true
}

// TestHeldBy: however many endpoints are left to look for, and in whatever slices, they are found as by looking at each pair.
func TestHeldBy(t *testing.T) {
	held, missing, struck := 0, 0, 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 2))
		cluster := []string{"", "a"}[r.IntN(2)]
		v6 := r.IntN(3) == 0
		pool := make([]Endpoint, 0, 256)
		for range 1 + r.IntN(256) {
			addr := [16]byte{0xfd, 15: byte(r.IntN(200))}
			e := Endpoint{Addr: netip.AddrFrom16(addr)}
			if !v6 {
				e.Addr = netip.AddrFrom4([4]byte{10, 0, 0, addr[15]})
			}
			if r.IntN(3) == 0 {
				e.Hostname = fmt.Sprintf("h%d", r.IntN(3))
			}
			pool = append(pool, e)
		}
		others := make([]*Slice, r.IntN(40))
		for i := range others {
			some := make([]Endpoint, 1+r.IntN(60))
			for j := range some {
				some[j] = pool[r.IntN(len(pool))]
			}
			others[i] = NewSlice(fmt.Sprintf("o%d", i), cluster, 0, nil, some)
		}
		s := NewSlice("s", cluster, 0, nil, slices.Clone(pool[:r.IntN(len(pool)+1)]))
		want := s.heldPlainly(others)
		if got := s.heldBy(others); got != want {
			t.Fatalf("seed %d: %v, want %v", seed, got, want)
		}
		if want {
			held++
		} else {
			missing++
		}
		if len(others) > 1 {
			struck++
			if got := s.struckOff(0, others[0], others[1:]); got != want {
				t.Fatalf("seed %d: %v by looking up what others hold, want %v", seed, got, want)
			}
		}
	}
	if held < 20 || missing < 20 || struck < 20 {
		t.Errorf("%d held, %d not, %d with several: too few to say anything", held, missing, struck)
	}
}

// BenchmarkDiffer is a slice of a headless service that changes: an ordinary one; one endpoint of a large one; and what a hostile
// member may do, a slice whose endpoints are all in others, too, one in each, so that no answer differs (SPEC X6).
func BenchmarkDiffer(b *testing.B) {
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	many := func(name string, from, n int) *Slice {
		var endpoints []Endpoint
		for i := range n {
			endpoints = append(endpoints, Endpoint{Addr: address(from + i)})
		}
		return NewSlice(name, "a", 0, []Port{{"http", "tcp", 80}}, endpoints)
	}
	for _, c := range []struct {
		name         string
		slices, each int
		one, other   *Slice // put by turns
	}{
		{"ordinary", 3, 10, many("s", 1000, 10), many("s", 1001, 10)},
		{"same/100", 10, 100, many("s", 0, 100), many("s", 100, 100)},
		{"one/1000", 990, 100, many("zz", 200_000, 1000), many("zz", 200_001, 1000)},
		{"all/1000", 990, 100, many("zz", 200_000, 1000), many("zz", 300_000, 1000)},
		{"twice/1000", 990, 2, many("s", 0, 1000), many("s", 900, 1000)},
		{"twice/1000/100", 990, 100, many("s", 97_000, 1000), many("s", 98_000, 1000)},
	} {
		b.Run(c.name, func(b *testing.B) {
			v := New()
			v.SetImport("ns", "db", Import{Headless: true})
			for i := range c.slices {
				v.SetSlice("ns", "db", many(fmt.Sprintf("t%03d", i), i*c.each, c.each))
			}
			one, other := c.one, c.other
			b.ReportAllocs()
			for b.Loop() {
				v.SetSlice("ns", "db", one)
				one, other = other, one
			}
		})
	}
}
