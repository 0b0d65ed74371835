package merge

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// rounds is how many random sets of exports each property is held against.
const rounds = 2000

var seed = flag.Uint64("seed", 0, "the seed of the random sets of exports, as a failure prints it; 0 takes a new one")

// generate makes exports of up to six clusters that agree or clash in everything that can be merged. Few values are drawn
// from, so that clashes are the rule.
func generate(r *rand.Rand) []Export {
	exports := make([]Export, 1+r.IntN(6))
	for i := range exports {
		exports[i] = generateExport(r, fmt.Sprintf("cluster-%d", i))
	}
	return exports
}

func generateExport(r *rand.Rand, cluster string) Export {
	e := Export{Cluster: cluster, Created: now.Add(time.Duration(r.IntN(5)-3) * time.Hour), Service: Service{
		Headless:              r.IntN(4) == 0,
		SessionAffinity:       corev1.ServiceAffinityNone,
		InternalTrafficPolicy: pick(r, corev1.ServiceInternalTrafficPolicyCluster, corev1.ServiceInternalTrafficPolicyLocal),
		TrafficDistribution:   pick(r, "", "PreferClose", "PreferSameZone", "PreferSameNode"),
		IPFamilies:            pick(r, nil, []corev1.IPFamily{"IPv4"}, []corev1.IPFamily{"IPv6"}, []corev1.IPFamily{"IPv4", "IPv6"}, []corev1.IPFamily{"IPv6", "IPv4"}),
		Ports:                 generatePorts(r),
	}}
	if r.IntN(2) == 0 {
		timeout := pick(r, int32(60), 10800)
		e.SessionAffinity, e.AffinityTimeout = corev1.ServiceAffinityClientIP, &timeout
	}
	e.Labels = pick(r, nil, map[string]string{"team": "a"}, map[string]string{"team": "b"})
	e.Annotations = pick(r, nil, map[string]string{"note": "a"}, map[string]string{"note": "a", "more": "b"})
	return e
}

// generatePorts makes ports as an API server lets them pass: no name and no slot twice, a name unless there is one port.
func generatePorts(r *rand.Rand) []Port {
	var ports []Port
	names, slots := map[string]bool{}, map[slot]bool{}
	for range r.IntN(5) {
		p := Port{
			Name:        pick(r, "a", "b", "c", "80-tcp", ""),
			Protocol:    pick(r, corev1.ProtocolTCP, corev1.ProtocolTCP, corev1.ProtocolUDP),
			Number:      pick(r, int32(80), 81, 82),
			AppProtocol: pick(r, "", "", "h2c"),
		}
		if !names[p.Name] && !slots[p.slot()] {
			names[p.Name], slots[p.slot()] = true, true
			ports = append(ports, p)
		}
	}
	if len(ports) > 1 {
		ports = slices.DeleteFunc(ports, func(p Port) bool { return p.Name == "" })
	}
	return ports
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// every runs property against rounds random sets, from a seed that a failure prints, however it ends the test.
func every(t *testing.T, property func(t *testing.T, r *rand.Rand, exports []Export)) {
	seed := *seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	var round uint64
	var before string
	defer func() {
		if t.Failed() {
			t.Logf("round %d of seed %d: %s\nto replay it: go test ./controller/merge -run '^%s$' -seed=%d", round, seed, before, t.Name(), seed)
		}
	}()
	for ; round < rounds; round++ {
		r := rand.New(rand.NewPCG(seed, round))
		exports := generate(r)
		before = toJSON(t, exports)
		property(t, r, exports)
		if after := toJSON(t, exports); after != before {
			t.Errorf("the input was changed to\n%s", after)
		}
		if t.Failed() {
			return
		}
	}
}

func toJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// SPEC M1: the result does not depend on the order of the input.
func TestOrderDoesNotMatter_M1(t *testing.T) {
	every(t, func(t *testing.T, r *rand.Rand, exports []Export) {
		shuffled := slices.Clone(exports)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if a, b := Merge(exports, now), Merge(shuffled, now); !reflect.DeepEqual(a, b) {
			t.Errorf("got %+v\nand %+v", a, b)
		}
	})
}

// SPEC M1, M2: the newest exporter changes no established global property: it can only add ports and a family.
func TestNewestChangesNothing_M1(t *testing.T) {
	every(t, func(t *testing.T, r *rand.Rand, exports []Export) {
		newest := generateExport(r, "z-newest")
		newest.Created = now.Add(24 * time.Hour)
		old, grown := Merge(exports, now), Merge(append(slices.Clone(exports), newest), now)
		if len(grown.Ports) < len(old.Ports) || !reflect.DeepEqual(unpublished(grown.Ports[:len(old.Ports)]), unpublished(old.Ports)) {
			t.Errorf("ports %v became %v", old.Ports, grown.Ports)
		}
		if len(grown.IPFamilies) < len(old.IPFamilies) || !slices.Equal(grown.IPFamilies[:len(old.IPFamilies)], old.IPFamilies) {
			t.Errorf("families %v became %v", old.IPFamilies, grown.IPFamilies)
		}
		a, b := old.Service, grown.Service
		a.Ports, a.IPFamilies, b.Ports, b.IPFamilies = nil, nil, nil, nil
		if !reflect.DeepEqual(a, b) || !maps.Equal(old.Labels, grown.Labels) || !maps.Equal(old.Annotations, grown.Annotations) {
			t.Errorf("%+v became %+v", a, b)
		}
	})
}

func unpublished(ports []Port) []Port {
	out := slices.Clone(ports)
	for i := range out {
		out[i].Published = ""
	}
	return out
}

// SPEC L9: what was remembered gives the same service again, also once it went through JSON.
func TestRepetition_L9(t *testing.T) {
	every(t, func(t *testing.T, _ *rand.Rand, exports []Export) {
		first := Merge(exports, now)
		var remembered []Export
		if err := json.Unmarshal([]byte(toJSON(t, first.Exports)), &remembered); err != nil {
			t.Fatal(err)
		}
		for i := range remembered {
			if err := remembered[i].Check(); err != nil {
				t.Errorf("an export that can't be remembered: %v", err)
			}
		}
		if again := Merge(remembered, now); !reflect.DeepEqual(first, again) {
			t.Errorf("%+v became %+v", first, again)
		}
	})
}

// SPEC M1: that a timestamp lies in the future changes nothing once it lies in the past.
func TestTimePasses_M1(t *testing.T) {
	every(t, func(t *testing.T, _ *rand.Rand, exports []Export) {
		if a, b := Merge(exports, now), Merge(exports, now.Add(100*time.Hour)); !reflect.DeepEqual(a, b) {
			t.Errorf("%v became %v", a.Clusters, b.Clusters)
		}
	})
}

// SPEC M2, M3: names and slots are unique, every port is somebody's, a cluster's port is routed to the port of its own
// protocol and number or nowhere.
func TestPorts_M2_M3(t *testing.T) {
	every(t, func(t *testing.T, _ *rand.Rand, exports []Export) {
		result := Merge(exports, now)
		names, published, slots := map[string]bool{}, map[string]slot{}, map[slot]bool{}
		for _, p := range result.Ports {
			_, taken := published[p.Published]
			if names[p.Name] || taken || slots[p.slot()] || p.Published == "" && len(result.Ports) > 1 {
				t.Errorf("port %+v twice, or without a name", p)
			}
			if p.Name != "" && p.Published != p.Name {
				t.Errorf("port %s is published as %s", p.Name, p.Published)
			}
			names[p.Name], published[p.Published], slots[p.slot()] = true, p.slot(), true
			if !slices.ContainsFunc(exports, func(e Export) bool { return slices.Contains(e.Ports, unpublished([]Port{p})[0]) }) {
				t.Errorf("port %+v is nobody's", p)
			}
		}
		for _, e := range exports {
			for _, own := range e.Ports {
				name, routed := result.Routes[e.Cluster][own.Name]
				if routed != slots[own.slot()] || routed && published[name] != own.slot() {
					t.Errorf("%s: %+v is routed to %q of %+v", e.Cluster, own, name, result.Ports)
				}
			}
		}
	})
}

// SPEC M4: a conflict is reported exactly where two exports differ, held against a plain comparison of every pair.
func TestConflicts_M4(t *testing.T) {
	differ := map[mcs.ServiceExportConditionReason]func(a, b *Export) bool{
		mcs.ServiceExportReasonTypeConflict:            func(a, b *Export) bool { return a.Headless != b.Headless },
		mcs.ServiceExportReasonSessionAffinityConflict: func(a, b *Export) bool { return a.SessionAffinity != b.SessionAffinity },
		mcs.ServiceExportReasonInternalTrafficPolicyConflict: func(a, b *Export) bool {
			return a.InternalTrafficPolicy != b.InternalTrafficPolicy
		},
		mcs.ServiceExportReasonTrafficDistributionConflict: func(a, b *Export) bool {
			return a.TrafficDistribution != b.TrafficDistribution &&
				!(len(a.TrafficDistribution) > 0 && len(b.TrafficDistribution) > 0 && a.TrafficDistribution != "PreferSameNode" && b.TrafficDistribution != "PreferSameNode")
		},
		mcs.ServiceExportReasonLabelsConflict:      func(a, b *Export) bool { return !maps.Equal(a.Labels, b.Labels) },
		mcs.ServiceExportReasonAnnotationsConflict: func(a, b *Export) bool { return !maps.Equal(a.Annotations, b.Annotations) },
		mcs.ServiceExportReasonIPFamilyConflict: func(a, b *Export) bool {
			return len(a.IPFamilies) > 0 && len(b.IPFamilies) > 0 && !sameElements(a.IPFamilies, b.IPFamilies)
		},
		mcs.ServiceExportReasonPortConflict: func(a, b *Export) bool { return !sameElements(a.Ports, b.Ports) },
	}
	every(t, func(t *testing.T, _ *rand.Rand, exports []Export) {
		got := map[mcs.ServiceExportConditionReason]bool{}
		for _, c := range Merge(exports, now).Conflicts {
			if c.Message == "" || len(c.Message) > 4096 {
				t.Errorf("%s: message of %d bytes", c.Reason, len(c.Message))
			}
			got[c.Reason] = true
		}
		for reason, differs := range differ {
			want := slices.ContainsFunc(exports, func(a Export) bool {
				return slices.ContainsFunc(exports, func(b Export) bool { return differs(&a, &b) })
			})
			if got[reason] != want {
				t.Errorf("%s is %v, expected %v", reason, got[reason], want)
			}
		}
		// Timeouts are compared with the winner's only: see the golden session-affinity.
		if winner := Merge(exports, now).Exports[0]; got[mcs.ServiceExportReasonSessionAffinityConfigConflict] != slices.ContainsFunc(exports, func(e Export) bool {
			return e.AffinityTimeout != nil && winner.AffinityTimeout != nil && *e.AffinityTimeout != *winner.AffinityTimeout
		}) {
			t.Error("SessionAffinityConfigConflict is wrong")
		}
	})
}

func sameElements[T comparable](a, b []T) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(x T) bool { return !slices.Contains(b, x) })
}
