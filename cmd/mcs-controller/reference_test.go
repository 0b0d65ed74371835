package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/docs"
)

// TestMetricsOfTheReference: docs/reference.md has every metric that this program registers, with its labels, and no other.
func TestMetricsOfTheReference(t *testing.T) {
	opts, err := parse([]string{"--cluster", "c1=c1.kubeconfig"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	none := &home{}
	if err := opts.complete(none); err != nil {
		t.Fatal(err)
	}
	p, err := assemble(opts, none, newLog(io.Discard, opts))
	if err != nil {
		t.Fatal(err)
	}
	known := docs.Metrics(p.metrics, func(name string) bool {
		return !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_")
	})
	rows, err := docs.Rows("reference.md", "Metrics of mcs-controller")
	if err != nil || len(known) == 0 {
		t.Fatalf("%d metrics are registered: %v", len(known), err)
	}
	var documented []string
	for _, row := range rows {
		documented = append(documented, row.Metric())
	}
	slices.Sort(documented)
	if !slices.Equal(known, documented) {
		t.Errorf("docs/reference.md has the metrics %q, want %q", documented, known)
	}
}
