package explain

import (
	"fmt"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// TestMany_X6: what one name costs grows with its slices and endpoints, not with their square: of twice as many endpoints as are
// imported, none of which arrived under the address that it has, each is looked for.
func TestMany_X6(t *testing.T) {
	const endpoints, perSlice = 200_000, 100
	f := well()
	c1, c2 := &f.Clusters[0], &f.Clusters[1]
	c1.Slices, c2.Imported = nil, nil
	for n := range endpoints / perSlice {
		var there, here []string
		for i := range perSlice {
			there = append(there, fmt.Sprintf("10.%d.%d.%d", n/256, n%256, i))
			here = append(here, fmt.Sprintf("11.%d.%d.%d", n/256, n%256, i))
		}
		c1.Slices = append(c1.Slices, slice("", there...))
		c2.Imported = append(c2.Imported, slice("c1", here...))
		c2.Imported[n].Labels[discoveryv1.LabelServiceName] = "x"
	}
	done := make(chan Report)
	go func() { done <- Diagnose(*f) }()
	select {
	case r := <-done:
		if len(said(r, "c2", "slices")) == 0 {
			t.Errorf("nothing was said of the slices: %+v", r.Steps)
		}
	case <-time.After(time.Minute):
		t.Error("no end after a minute")
	}
}
