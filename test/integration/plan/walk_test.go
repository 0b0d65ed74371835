// Package plan holds the plans of controller/plan against a real API server: every write must be taken, and bring about what
// the plan after it expects. It is what keeps the model of an API server honest, on which that package's own tests rely.
package plan

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

var (
	walks = flag.Int("walks", 25, "how many random walks to take on each API server")
	seed  = flag.Uint64("seed", 0, "the seed of the random walks, as a failure prints it; 0 takes a new one")
)

// SPEC I4, I6, I8, S1, S5, A7: exporting clusters and people change what they like, at random; after each step a few plans
// bring a real API server to rest, none of whose writes it refuses.
func TestWalks(t *testing.T) {
	for name, c := range map[string]struct {
		options  controlplane.Options
		version  string
		crds     func(*controlplane.Cluster) func(*testing.T)
		families []corev1.IPFamily
		drops    plan.Fields
	}{
		"dual-stack": {
			options: controlplane.Options{ServiceCIDRs: []string{"10.96.0.0/16", "fd00:96::/112"}}, version: "v1beta1",
			families: []corev1.IPFamily{"IPv4", "IPv6"},
		},
		"IPv6 first": {
			options: controlplane.Options{ServiceCIDRs: []string{"fd00:96::/112", "10.96.0.0/16"}}, version: "v1alpha1",
			families: []corev1.IPFamily{"IPv6", "IPv4"},
		},
		"single-stack with the CRDs of v0.1.0": {
			version: "v1alpha1", families: []corev1.IPFamily{"IPv4"},
			crds: func(c *controlplane.Cluster) func(*testing.T) {
				return func(t *testing.T) { kit.Must(t, c.InstallCRDsV010(t.Context())) }
			},
			drops: plan.Fields{"spec.ips[1]": true, "spec.ipFamilies": true, "spec.internalTrafficPolicy": true,
				"spec.trafficDistribution": true, "status.conditions": true, "status.endpointSliceObjects": true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			cluster := controlplane.ForTest(t, c.options)
			if c.crds != nil {
				c.crds(cluster)(t)
			} else {
				kit.Must(t, cluster.InstallCRDs(t.Context()))
			}
			seed := *seed
			if seed == 0 {
				seed = uint64(time.Now().UnixNano())
			}
			for i := range uint64(*walks) {
				w := newWalk(t, cluster, c.version, fmt.Sprintf("walk-%d", i), rand.New(rand.NewPCG(seed, i)))
				w.consumer = plan.Consumer{Cluster: "consumer", ClusterSet: "demo", Automatic: i%2 == 0, ImportVersion: c.version, Families: c.families, Drops: c.drops}
				w.take(t, seed, i)
			}
		})
	}
}

// take takes a walk, and prints it and how to replay it if it fails, however that ends it.
func (w *walk) take(t *testing.T, seed, i uint64) {
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, walk %d:\n%s", seed, i, strings.Join(w.trace, "\n"))
			t.Logf("to replay it: go test ./test/integration/plan -run '^%s$' -seed=%d -walks=%d", t.Name(), seed, i+1)
		}
	}()
	for range 10 {
		if w.step(t); t.Failed() {
			t.FailNow()
		}
	}
}

// provider is one exporting cluster.
type provider struct {
	export    merge.Export
	slices    []*discoveryv1.EndpointSlice
	withdrawn bool
}

// step changes one thing and lets the consumer come to rest.
func (w *walk) step(t *testing.T) {
	name := pick(w.r, "consumer", "east", "west")
	switch w.r.IntN(9) {
	case 0, 1, 2, 3:
		w.providers[name] = w.aProvider(t, name)
	case 4:
		delete(w.providers, name)
	case 5:
		if p := w.providers[name]; p != nil {
			p.withdrawn = !p.withdrawn
		}
	default:
		w.people(t)
	}
	w.note("-- %d providers", len(w.providers))
	w.settle(t)
	w.look(t)
}

// settle plans and applies until a plan is empty.
func (w *walk) settle(t *testing.T) {
	t.Helper()
	want := w.wanted()
	lost := false
	for range 8 {
		held := w.held(t)
		held.AddressLost = lost
		actions := plan.For(w.consumer, want, held, time.Now())
		if len(actions) == 0 {
			return
		}
		for _, a := range actions {
			w.note("%s %T %s %s: %s", a.Verb, a.Object, a.Object.GetName(), a.Patch, a.Reason)
			if err := w.apply(t, a); err != nil {
				t.Errorf("%s %T: %v", a.Verb, a.Object, err)
				return
			}
		}
	}
	t.Error("not at rest after 8 passes")
}

func (w *walk) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf(format, args...))
}

// wanted is what the clusterset says now.
func (w *walk) wanted() plan.Wanted {
	want := plan.Wanted{Key: w.key}
	var exports []merge.Export
	for _, name := range []string{"consumer", "east", "west"} {
		if p := w.providers[name]; p != nil {
			exports = append(exports, p.export)
			want.Sources = append(want.Sources, plan.Source{Cluster: name, Slices: p.slices, Withdrawn: p.withdrawn})
		}
	}
	if len(exports) > 0 {
		service := merge.Merge(exports, time.Now())
		want.Service = &service
	}
	return want
}

// aProvider exports a Service as an API server lets it pass.
func (w *walk) aProvider(t *testing.T, name string) *provider {
	timeout := pick(w.r, int32(1), 86400)
	service := &corev1.Service{Spec: corev1.ServiceSpec{
		ClusterIP: pick(w.r, "10.0.0.1", "10.0.0.1", "None"),
		Ports: pick(w.r,
			[]corev1.ServicePort{{Name: "http", Port: 80}},
			[]corev1.ServicePort{{Port: 80}},
			[]corev1.ServicePort{{Name: "http", Port: 81, AppProtocol: ptr("kubernetes.io/h2c")}, {Name: "dns", Port: 53, Protocol: "UDP"}},
			[]corev1.ServicePort{{Name: "web", Port: 80}, {Name: "admin", Port: 53, Protocol: "SCTP"}}),
		IPFamilies:            pick(w.r, []corev1.IPFamily{"IPv4"}, []corev1.IPFamily{"IPv6"}, []corev1.IPFamily{"IPv4", "IPv6"}),
		SessionAffinity:       pick(w.r, corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP),
		SessionAffinityConfig: &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}},
		InternalTrafficPolicy: pick(w.r, nil, ptr(corev1.ServiceInternalTrafficPolicyLocal)),
		TrafficDistribution:   pick(w.r, nil, ptr("PreferClose"), ptr("PreferSameZone"), ptr("PreferSameNode"), ptr("OfTheFuture")),
	}}
	export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.key.Namespace, Name: w.key.Name, CreationTimestamp: metav1.NewTime(time.Now().Add(-time.Duration(w.r.IntN(5)) * time.Hour)),
	}}
	export.Spec.ExportedLabels = pick(w.r, nil, map[string]string{"team": "a", "bad": "no label value!"})
	export.Spec.ExportedAnnotations = pick(w.r, nil, map[string]string{"Note.Example.COM/x": "y", "k8s.io/x": "refused"})
	out, invalid := merge.Of(name, export, service, func(string) bool { return true })
	if invalid != nil {
		t.Fatal(invalid)
	}
	p := &provider{export: out}
	for i, family := range out.IPFamilies {
		p.slices = append(p.slices, w.aSlice(fmt.Sprintf("%s-%d", w.key.Name, i), discoveryv1.AddressType(family), out.Ports))
	}
	p.slices = append(p.slices, &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "names"}, AddressType: discoveryv1.AddressTypeFQDN})
	return p
}

// aSlice has a good endpoint, and often one that no API server takes.
func (w *walk) aSlice(name string, family discoveryv1.AddressType, ports []merge.Port) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: name}, AddressType: family}
	for i := range ports {
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &ports[i].Name, Protocol: &ports[i].Protocol, Port: ptr(int32(8000 + i))})
	}
	addresses := map[discoveryv1.AddressType][]string{"IPv4": {fmt.Sprintf("10.1.0.%d", w.r.IntN(256)), "127.0.0.1"}, "IPv6": {fmt.Sprintf("fd00:1::%x", 1+w.r.IntN(255)), "fe80::1"}}[family]
	s.Endpoints = []discoveryv1.Endpoint{
		{Addresses: addresses[:1], Zone: pick(w.r, nil, ptr("zone-a"), ptr("not a label value!")), NodeName: ptr("node-1"), Hostname: pick(w.r, nil, ptr("web-0"), ptr("Not A Label")),
			Conditions: discoveryv1.EndpointConditions{Ready: pick(w.r, nil, ptr(true), ptr(false))}},
		{Addresses: addresses[1:]},
	}
	if w.r.IntN(2) == 0 {
		s.Endpoints = s.Endpoints[:1]
	}
	return s
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func ptr[T any](v T) *T { return &v }

// look holds what is there at rest against the SPEC, as far as this package's own tests can't know it.
func (w *walk) look(t *testing.T) {
	held := w.held(t)
	if held.Import == nil || held.Derived == nil || held.Derived.Labels["clusterset.dev/clusterset"] == "" {
		return
	}
	var want []string
	if held.Derived.Spec.ClusterIP != corev1.ClusterIPNone {
		want = held.Derived.Spec.ClusterIPs
	}
	if !slices.Equal(held.Import.Spec.IPs, want) {
		t.Errorf("spec.ips %v, expected %v (SPEC I4)", held.Import.Spec.IPs, want)
	}
	if held.Derived.Spec.Selector != nil || held.Derived.Spec.Type != corev1.ServiceTypeClusterIP {
		t.Errorf("the derived Service was not put back: %+v", held.Derived.Spec)
	}
	for _, s := range held.Slices {
		if s.OwnerReferences[0].UID != held.Import.UID {
			t.Error("a slice belongs to an import that is gone (SPEC S1)")
		}
	}
}

// walk is one random story about one name on the API server.
type walk struct {
	r         *rand.Rand
	key       types.NamespacedName
	consumer  plan.Consumer
	server    *server
	providers map[string]*provider
	trace     []string
}
