package multicluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// register makes the fixture's source one of those that the process runs, for a test.
func (f *fixture) register(key sourceKey) {
	s := f.zones[0].source
	s.key, s.cancel, f.stanzas[0].key = key, func() {}, key
	s.users[f.stanzas[0]] = struct{}{}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	registry.sources[key] = s
	f.t.Cleanup(func() { release(func(st *stanza) bool { return st == f.stanzas[0] }) })
}

func TestMetrics(t *testing.T) {
	f := newFixture(t, testZone)
	f.zones[0].source.health = twoKinds()
	f.register(sourceKey{server: "in-cluster", namespaces: "bank shop"})
	f.apply(webImport + "\n---\n" + dbImport + "\n---\n" + dbSlices)
	h := f.zones[0].source.health
	h.loaded("imports")
	h.failed("slices", errAway)
	h.event("imports")
	observe("imports", &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		ManagedFields: []metav1.ManagedFieldsEntry{{Time: &metav1.Time{Time: time.Now()}}},
	}})
	const source = `source="in-cluster namespaces=bank,shop"`
	scraped := scrape(t)
	for _, want := range []string{
		`coredns_multicluster_endpoints{` + source + `} 6`,
		`coredns_multicluster_service_imports{` + source + `,type="ClusterSetIP"} 1`,
		`coredns_multicluster_service_imports{` + source + `,type="Headless"} 1`,
		`coredns_multicluster_synced{` + source + `} 0`,
		`coredns_multicluster_watching{kind="imports",` + source + `} 1`,
		`coredns_multicluster_watching{kind="slices",` + source + `} 0`,
		`coredns_multicluster_last_event_age_seconds{kind="imports",` + source + `} `,
		`coredns_multicluster_dns_programming_duration_seconds_count{kind="imports"} 1`,
	} {
		if !strings.Contains(scraped, "\n"+want) {
			t.Errorf("no %s in\n%s", want, scraped)
		}
	}
	if strings.Contains(scraped, `last_event_age_seconds{kind="slices"`) {
		t.Error("no slice had an event")
	}
}

// scrape returns the metrics of the plugin as Prometheus reads them, after promlint had no complaint.
func scrape(t *testing.T) string {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, family := range families {
		if strings.HasPrefix(family.GetName(), "coredns_multicluster_") {
			if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
				t.Fatal(err)
			}
		}
	}
	problems, err := promlint.New(strings.NewReader(text.String())).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v %v", problems, err)
	}
	return text.String()
}

// TestOneSourceOfAName_D9: while a reload replaces credentials there are two sources of one name; metrics tell of the later one.
func TestOneSourceOfAName_D9(t *testing.T) {
	before, after := &source{health: newHealth(nil)}, &source{health: newHealth(nil)}
	after.health.began = before.health.began.Add(time.Second)
	got := latest(map[sourceKey]*source{
		{server: "in-cluster", credentials: "old"}: before, {server: "in-cluster", credentials: "new"}: after,
	})
	if len(got) != 1 || got["in-cluster"] != after {
		t.Errorf("%d sources, the later one: %t", len(got), got["in-cluster"] == after)
	}
}

// TestSerialIsInherited_D14: a source that begins with the view of another goes on with its serial.
func TestSerialIsInherited_D14(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var before, after serial
		was, _ := before.at(5)
		after.inherit(&before)
		if is, _ := after.at(5); is != was {
			t.Errorf("nothing changed, and the serial is %d after %d", is, was)
		}
		time.Sleep(time.Second)
		if is, _ := after.at(6); is <= was {
			t.Errorf("after a change the serial is %d after %d", is, was)
		}
	})
}
