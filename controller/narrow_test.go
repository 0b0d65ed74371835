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
	"github.com/clusterset/multicluster/internal/mcsapi"
)

var web = types.NamespacedName{Namespace: "shop", Name: "web"}

// exportedBy are the facts of exports of the clusters, the first the oldest, each with one ready endpoint.
func exportedBy(ids ...string) facts {
	f := facts{
		consumers: map[string][]string{}, invalid: map[string]*merge.Invalid{},
		unsure: map[string]bool{}, unreachable: map[string]bool{}, lost: map[string]bool{},
	}
	for n, id := range ids {
		f.members = append(f.members, id)
		f.exports = append(f.exports, merge.Export{
			Cluster: id, Created: time.Date(2026, 1, 1+n, 0, 0, 0, 0, time.UTC),
			Service: merge.Service{Ports: []merge.Port{{Name: "http", Protocol: corev1.ProtocolTCP, Number: 80}}},
		})
		f.known = append(f.known, plan.Source{Cluster: id, Slices: []*discoveryv1.EndpointSlice{{
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}}}}}})
	}
	return f
}

func pictureOf(f facts) *picture {
	return &picture{facts: f, opts: &Options{ClusterSet: "set", Withdrawal: liveness.WithdrawUnlessLast}}
}

func nobodyRemembers(map[string]bool) []merge.Export { return nil }

func providers(text string) *mcs.ServiceImport {
	return &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{mcsapi.AnnotationProviders: text}}}
}

// TestNarrow_P2: who sees whose export, by the annotations of both sides.
func TestNarrow_P2(t *testing.T) {
	for name, c := range map[string]struct {
		consumers map[string][]string
		consumer  string
		imported  *mcs.ServiceImport
		unsure    []string
		want      string // the clusters that it is made of, the winner first
		leftOut   string
		invalid   string
	}{
		"nothing said":                        {consumer: "c", imported: &mcs.ServiceImport{}, want: "a b c"},
		"named":                               {consumers: map[string][]string{"a": {"c"}}, consumer: "c", want: "a b c"},
		"not named":                           {consumers: map[string][]string{"a": {"b"}}, consumer: "c", want: "b c", invalid: "a"},
		"not even the exporting one":          {consumers: map[string][]string{"a": {"b"}}, consumer: "a", want: "b c", invalid: "a"},
		"nobody is named":                     {consumers: map[string][]string{"a": {}, "b": {}, "c": {}}, consumer: "c", invalid: "a b c"},
		"providers":                           {consumer: "c", imported: providers("c,b"), want: "b c", leftOut: "a"},
		"no provider":                         {consumer: "c", imported: providers(""), leftOut: "a b c"},
		"an unknown provider":                 {consumer: "c", imported: providers("z"), leftOut: "a b c"},
		"what is asked for is not for it":     {consumers: map[string][]string{"a": {"b"}}, consumer: "c", imported: providers("a"), leftOut: "b c", invalid: "a"},
		"left out while nothing is known":     {consumer: "c", imported: providers("b"), unsure: []string{"a"}, want: "b", leftOut: "a c"},
		"not named, and nothing is known now": {consumers: map[string][]string{"a": {"b"}}, consumer: "c", unsure: []string{"a"}, want: "b c", invalid: "a"},
	} {
		t.Run(name, func(t *testing.T) {
			f := exportedBy("a", "b", "c")
			for id, named := range c.consumers {
				f.consumers[id] = named
			}
			for _, id := range c.unsure {
				f.unsure[id] = true
			}
			all := pictureOf(f)
			got := all.to(c.consumer, c.imported, nil)
			w := got.wanted(web)
			var of, from, refused []string
			if w.Service != nil {
				of = w.Service.Clusters
			}
			for _, s := range w.Sources {
				from = append(from, s.Cluster)
			}
			for _, r := range w.Refused {
				refused = append(refused, strings.Fields(r)[0])
			}
			slices.Sort(from)
			if strings.Join(of, " ") != c.want || !slices.Equal(of, from) {
				t.Errorf("made of %v, with endpoints of %v; want %s", of, from, c.want)
			}
			if strings.Join(w.LeftOut, " ") != c.leftOut || strings.Join(refused, " ") != c.invalid {
				t.Errorf("left out %v, refused %v; want %q, %q", w.LeftOut, w.Refused, c.leftOut, c.invalid)
			}
			for id := range w.Unsure {
				if !slices.Contains(of, id) {
					t.Errorf("waits for %s, which is not seen", id)
				}
			}
			if whole := all.toAll(nobodyRemembers); len(whole.service.Clusters) != 3 || len(whole.sources) != 3 {
				t.Errorf("the offer to all was changed: %v", whole.service.Clusters)
			}
			if again := all.to(c.consumer, c.imported, nil); again != got {
				t.Error("computed again instead of shared")
			}
		})
	}
}

// TestLastIsJudgedByWhatIsSeen_P2_L2: an unreachable cluster's endpoints are the last of a consumer that sees no other's, and
// stay there, while they go where others are seen.
func TestLastIsJudgedByWhatIsSeen_P2_L2(t *testing.T) {
	f := exportedBy("a", "b")
	f.unreachable["a"] = true
	f.consumers["b"] = []string{"b"}
	all := pictureOf(f)
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
	lastKnown, now := all.exports[0], all
	lastKnown.SessionAffinity, lastKnown.InternalTrafficPolicy = corev1.ServiceAffinityNone, corev1.ServiceInternalTrafficPolicyCluster
	lastKnown.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	known := all.exports[1]
	known.Service = lastKnown.Service
	now.exports, now.known, now.unsure = all.exports[1:], all.known[1:], map[string]bool{"a": true}
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
	p := pictureOf(now)
	p.toAll(func(map[string]bool) []merge.Export { return []merge.Export{forOthers} })
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
			if of := strings.Join(got.service.Clusters, " "); of != c.want {
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
	now.trusted = map[string]merge.Trusted{"a": func(key string) bool { return key == "example.org/b" }}
	if got := pictureOf(now).to("c", remembering("set", keyed), nil).service.Annotations; len(got) != 2 || got["note"] != "hello" || got["example.org/b"] != "y" {
		t.Errorf("annotations %v of a remembered export", got)
	}
	verdict := p.toAll(func(map[string]bool) []merge.Export { return []merge.Export{lastKnown} })
	if of := strings.Join(verdict.service.Clusters, " "); of != "a b c" {
		t.Errorf("the verdict is made of %s", of)
	}
}

// TestAges_M1: an export that appeared while nobody looked counts from when it was seen, in consumers that were served before;
// an import keeps what was found, and those that agree share one offer.
func TestAges_M1(t *testing.T) {
	f := exportedBy("b", "a") // b is older
	for i := range f.exports {
		e := &f.exports[i]
		e.SessionAffinity, e.InternalTrafficPolicy = corev1.ServiceAffinityNone, corev1.ServiceInternalTrafficPolicyCluster
	}
	seen := time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	f.met = map[string]acquaintance{"a": {seen, true}, "b": {seen, true}}
	remembering := func(exports ...merge.Export) *mcs.ServiceImport {
		text, err := json.Marshal(exports)
		if err != nil {
			t.Fatal(err)
		}
		return &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{mcsapi.LabelClusterSet: "set"}, Annotations: map[string]string{mcsapi.AnnotationExports: string(text)}}}
	}
	b, a := f.exports[0], f.exports[1]
	late := b.FirstSeen(seen)
	p := pictureOf(f)
	for name, c := range map[string]struct {
		imported *mcs.ServiceImport
		known    string // the cluster of which something was imported before
		byFlag   bool   // b, whose registration does not say since when it is
		want     string
		since    time.Time // of b
	}{
		"no import":                             {nil, "a", false, "b a", time.Time{}},
		"remembered":                            {remembering(a, b), "a", false, "b a", time.Time{}},
		"not remembered":                        {remembering(a), "a", false, "a b", seen},
		"not remembered, but another name is":   {remembering(a), "b", true, "a b", seen},
		"not remembered, nor any other name":    {remembering(a), "a", true, "b a", time.Time{}},
		"not remembered, in a new consumer":     {remembering(a), "", false, "b a", time.Time{}},
		"remembered, but not what it is":        {remembering(a, b.Truncate()), "a", false, "b a", time.Time{}},
		"remembered as late":                    {remembering(a, late), "", false, "a b", seen},
		"remembered with another creation time": {remembering(a, merge.Export{Cluster: "b", Created: seen, Service: b.Service}), "", false, "a b", seen},
	} {
		t.Run(name, func(t *testing.T) {
			f := f
			f.met = map[string]acquaintance{"a": {seen, true}, "b": {seen, !c.byFlag}}
			known := map[string]bool{}
			if c.known != "" {
				known[c.known] = true
			}
			o := pictureOf(f).to("c", c.imported, known)
			if got := strings.Join(o.service.Clusters, " "); got != c.want {
				t.Errorf("by age %s, want %s", got, c.want)
			}
			for _, e := range o.service.Exports {
				if e.Cluster == "b" && !e.Since.Equal(c.since) {
					t.Errorf("b counts from %s", e.Since)
				}
			}
		})
	}
	if p.to("c", remembering(a), map[string]bool{"a": true}) != p.to("d", remembering(a, late), nil) {
		t.Error("consumers that agree do not share an offer")
	}
	if got := p.toAll(func(map[string]bool) []merge.Export { return []merge.Export{a, late} }).service.Clusters; got[0] != "a" {
		t.Errorf("the verdict is by %s", got)
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
			f.members = []string{"a", "c"}
			f.refuse("a", export, invalid)
			if got := pictureOf(f).to("c", nil, nil).wanted(web).Refused; len(got) != 1 || !strings.HasPrefix(got[0], "a ("+c.want+":") {
				t.Errorf("the import reads %.200q, want %s", got, c.want)
			}
		})
	}
}
