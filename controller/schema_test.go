package controller

import (
	"encoding/json"
	"runtime"
	"slices"
	"testing"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/plan"
)

// TestAbsent_A7: what was asked for and did not come back is found, whatever came back besides; what an encoder leaves out is not
// missed.
func TestAbsent_A7(t *testing.T) {
	for name, tc := range map[string]struct {
		asked string
		got   mcs.ServiceImport
		want  []string
	}{
		"all is there":        {`{"spec":{"type":"Headless"},"status":{"clusters":[{"cluster":"a"}]}}`, mcs.ServiceImport{Spec: mcs.ServiceImportSpec{Type: "Headless"}, Status: mcs.ServiceImportStatus{Clusters: []mcs.ClusterStatus{{Cluster: "b"}}}}, nil},
		"some are not":        {`{"spec":{"ipFamilies":["IPv4"],"ips":["10.0.0.1"]},"status":{"conditions":[{"type":"Ready"}]}}`, mcs.ServiceImport{Spec: mcs.ServiceImportSpec{IPs: []string{"10.0.0.2"}}}, []string{"spec.ipFamilies", "status.conditions"}},
		"nothing that counts": {`{"spec":{"ips":[],"sessionAffinityConfig":{},"ipFamilies":null,"internalTrafficPolicy":""}}`, mcs.ServiceImport{}, nil},
		"metadata alone":      {`{"metadata":{"labels":{"a":"b"}}}`, mcs.ServiceImport{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := absent([]byte(tc.asked), &tc.got); !slices.Equal(got, tc.want) {
				t.Errorf("got %v, want %v", got, tc.want)
			}
		})
	}
}

// TestLargeAnswer_X6: an answer to a write costs a few times its own size, however many parts it has, and one that is too large to be
// kept next to nothing.
func TestLargeAnswer_X6(t *testing.T) {
	asked := []byte(`{"spec":{"ipFamilies":["IPv4"]}}`)
	for name, tc := range map[string]struct {
		parts int
		most  int // times the size
	}{
		"the largest":   {8_000, 8},
		"one too large": {200_000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := &mcs.ServiceImport{Spec: mcs.ServiceImportSpec{Ports: make([]mcs.ServicePort, tc.parts)}}
			body, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if refused := keep.Refused(keep.Import(got)) != ""; refused != (tc.most == 0) {
				t.Fatalf("refused: %v", refused)
			}
			l := &lane{}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if tc.most > 0 {
				absent(asked, got)
			} else {
				l.learnDropped(plan.Action{Verb: plan.Patch, Patch: asked}, got)
			}
			runtime.ReadMemStats(&after)
			if took, most := int(after.TotalAlloc-before.TotalAlloc), tc.most*len(body)+64<<10; took > most {
				t.Errorf("it took %d bytes for %d, want at most %d", took, len(body), most)
			}
			if len(l.drops) > 0 {
				t.Errorf("learnt %v", l.drops)
			}
		})
	}
}
