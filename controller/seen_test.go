package controller

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/resolve"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

var web = types.NamespacedName{Namespace: "shop", Name: "web"}

// exportedBy are the facts of exports of the clusters, the first the oldest, each with one ready endpoint.
func exportedBy(ids ...string) facts {
	f := facts{Name: resolve.NewName(slices.Clone(ids)), withdrawn: map[string]bool{}, lost: map[string]bool{}}
	for n, id := range ids {
		f.Exports = append(f.Exports, merge.Export{
			Cluster: id, Created: time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC),
			Service: merge.Service{Ports: []merge.Port{{Name: "http", Protocol: corev1.ProtocolTCP, Number: 80}}},
		})
		f.sources = append(f.sources, plan.Source{Cluster: id, Slices: []*discoveryv1.EndpointSlice{{
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}}}}})
	}
	return f
}

func snapshotOf(f facts) *snapshot {
	return &snapshot{facts: f, opts: &Options{ClusterSet: "set", Withdrawal: liveness.WithdrawUnlessLast}}
}

func nobodyRemembers(map[string]bool) []merge.Export { return nil }

func providers(text string) *mcs.ServiceImport {
	return &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{mcsapi.AnnotationProviders: text}}}
}

// TestLastIsJudgedByWhatIsSeen_P2_L2: an unreachable cluster's endpoints are the last of a consumer that sees no other's, and
// stay there, while they go where others are seen.
func TestLastIsJudgedByWhatIsSeen_P2_L2(t *testing.T) {
	f := exportedBy("a", "b")
	f.withdrawn["a"] = true
	f.Consumers["b"] = []string{"b"}
	all := snapshotOf(f)
	for consumer, withdrawn := range map[string]bool{"a": false, "b": true} {
		if got := all.to(consumer, nil, nil).sources[0]; got.Cluster != "a" || got.Withdrawn != withdrawn {
			t.Errorf("in %s: %+v, want withdrawn %t", consumer, got, withdrawn)
		}
	}
}

// TestMemoryIsOnesOwn_L9_X4: of a cluster of which nothing is known at present a consumer sees what its own import remembers,
// whatever others remember.
func TestMemoryIsOnesOwn_L9_X4(t *testing.T) {
	all := exportedBy("a", "b", "c")
	lastKnown, now := all.Exports[0], all
	lastKnown.SessionAffinity, lastKnown.InternalTrafficPolicy = corev1.ServiceAffinityNone, corev1.ServiceInternalTrafficPolicyCluster
	lastKnown.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	known := all.Exports[1]
	known.Service = lastKnown.Service
	now.Exports, now.sources, now.Unsynced = all.Exports[1:], all.sources[1:], map[string]bool{"a": true}
	remembering := func(of string, exports ...merge.Export) *mcs.ServiceImport {
		text, err := json.Marshal(exports)
		if err != nil {
			t.Fatal(err)
		}
		return &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{mcsapi.LabelClusterSet: of}, Annotations: map[string]string{mcsapi.AnnotationExports: string(text)}}}
	}
	forOthers := lastKnown
	forOthers.Consumers = []string{"d"}
	forged := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{mcsapi.AnnotationExports: "all"}}}
	p := snapshotOf(now)
	p.forVerdict(func(map[string]bool) []merge.Export { return []merge.Export{forOthers} })
	p.to("d", remembering("set", forOthers), nil)
	for name, c := range map[string]struct {
		imported *mcs.ServiceImport
		want     string
	}{
		"remembered":                           {remembering("set", lastKnown), "a b c"},
		"remembered with one that is known":    {remembering("set", lastKnown, known), "a b c"},
		"remembered, but not what it is":       {remembering("set", lastKnown.Truncate()), "b c"},
		"not remembered":                       {remembering("set"), "b c"},
		"no import":                            {nil, "b c"},
		"what another clusterset's remembers":  {remembering("other", lastKnown), "b c"},
		"what nobody wrote":                    {forged, "b c"},
		"what it should never have had to see": {remembering("set", forOthers), "b c"},
		"left out by the import":               {providers("b"), "b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := p.to("c", c.imported, nil)
			if of := strings.Join(got.Service.Clusters, " "); of != c.want {
				t.Errorf("made of %s, want %s", of, c.want)
			}
			if p.to("c", c.imported, nil) != got {
				t.Error("computed again instead of shared")
			}
		})
	}
	// What is remembered may be older than what its cluster is trusted with now (SPEC X5).
	keyed := lastKnown
	keyed.Annotations = map[string]string{"note": "hello", "example.com/a": "x", "example.org/b": "y"}
	now.Trusted = map[string]merge.Trusted{"a": func(key string) bool { return key == "example.org/b" }}
	if got := snapshotOf(now).to("c", remembering("set", keyed), nil).Service.Annotations; len(got) != 2 || got["note"] != "hello" || got["example.org/b"] != "y" {
		t.Errorf("annotations %v of a remembered export", got)
	}
	verdict := p.forVerdict(func(map[string]bool) []merge.Export { return []merge.Export{lastKnown} })
	if of := strings.Join(verdict.Service.Clusters, " "); of != "a b c" {
		t.Errorf("the verdict is made of %s", of)
	}
}

// TestRefusedReadsWhy_P2_X6: an export that is refused reads why in the clusters that it names, and in all where it names too many to
// be kept; elsewhere it reads that it is not for them.
func TestRefusedReadsWhy_P2_X6(t *testing.T) {
	many := strings.Repeat("cluster,", 10) + "d"
	for name, c := range map[string]struct {
		consumers string
		large     bool // by its conditions
		want      string
	}{
		"too large":                        {"", true, "TooLarge"},
		"too large, for it":                {"c,d", true, "TooLarge"},
		"too large, for others":            {"d", true, "NotForThisCluster"},
		"too large, for many":              {many, true, "TooLarge"},
		"too large, for more than is kept": {strings.Repeat(many+",", 400), true, "TooLarge"},
		"for more than is kept":            {strings.Repeat(many+",", 400), false, "InvalidChoice"},
	} {
		t.Run(name, func(t *testing.T) {
			export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}}
			if c.consumers != "" {
				export.Annotations = map[string]string{mcsapi.AnnotationConsumers: c.consumers}
			}
			if c.large {
				export.Status.Conditions = []metav1.Condition{{Type: "Other", Message: strings.Repeat("x", 2*keep.MaxBytes)}}
			}
			export = keep.Export(export)
			service := &corev1.Service{ObjectMeta: export.ObjectMeta, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80, Protocol: corev1.ProtocolTCP}}}}
			service.Annotations = nil
			_, invalid := merge.Of("a", export, service, nil)
			if invalid == nil {
				t.Fatal("the export is taken")
			}
			f := exportedBy()
			f.Members = []string{"a", "c"}
			f.Refuse("a", export, invalid)
			if got := snapshotOf(f).to("c", nil, nil).wanted(web).Refused; len(got) != 1 || !strings.HasPrefix(got[0], "a ("+c.want+":") {
				t.Errorf("the import reads %.200q, want %s", got, c.want)
			}
		})
	}
}
