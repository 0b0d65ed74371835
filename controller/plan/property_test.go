package plan

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

var (
	walks = flag.Int("walks", 200, "how many random walks to take")
	seed  = flag.Uint64("seed", 0, "the seed of the random walks, as a failure prints it; 0 takes a new one")
)

// TestWalks takes random walks: exporting clusters and people change what they like, step by step, and after each step the
// consumer, a model of an API server that refuses what a real one refuses, must come to rest and hold what SPEC I, S, M3
// and L say. At every single write in between, no address may be handed out that nothing serves, and no port that is served
// before and after may be without endpoints (SPEC I8).
func TestWalks(t *testing.T) {
	seed := *seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	for i := range uint64(*walks) {
		if take(t, seed, i); t.Failed() {
			t.Fatalf("to replay it: go test ./controller/plan -run '^TestWalks$' -seed=%d -walks=%d", seed, i+1)
		}
	}
}

// take takes one walk, and prints it if it fails, however that ends it.
func take(t *testing.T, seed, i uint64) {
	w := newWalk(t, rand.New(rand.NewPCG(seed, i)))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, walk %d:\n%s", seed, i, strings.Join(w.trace, "\n"))
		}
	}()
	for step := range 12 {
		w.trace = append(w.trace, fmt.Sprintf("-- step %d", step))
		if w.step(); t.Failed() {
			return
		}
	}
}

// walk is one random story.
type walk struct {
	t *testing.T
	r *rand.Rand
	*consumer
	exporters map[string]*exporter
	unsure    map[string]bool
	disturbed bool // people touched the derived objects, so that nothing is expected of the way to rest
	trace     []string
}

var walkClusters = []string{"consumer", "east", "north", "west"}

func newWalk(t *testing.T, r *rand.Rand) *walk {
	c := defaultConsumer()
	c.Automatic = r.IntN(2) == 0
	c.Families = pick(r, []corev1.IPFamily{"IPv4"}, []corev1.IPFamily{"IPv6"}, []corev1.IPFamily{"IPv4", "IPv6"}, []corev1.IPFamily{"IPv6", "IPv4"})
	c.Prefer = pick(r, nil, nil, []string{"west", "local"}, []string{"nobody", "local"})
	c.Drops = Fields{}
	if r.IntN(3) == 0 {
		for _, field := range OptionalFields {
			c.Drops[field] = r.IntN(2) == 0
		}
	}
	w := &walk{t: t, r: r, consumer: newConsumer(t, c), exporters: map[string]*exporter{}, unsure: map[string]bool{}}
	if !c.Automatic || r.IntN(4) == 0 {
		w.putImport(w.anImport())
	}
	w.trace = append(w.trace, fmt.Sprintf("consumer %+v", c))
	return w
}

func pick[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// anImport is what a person might apply.
func (w *walk) anImport() *mcs.ServiceImport {
	i := onDemand()
	i.Generation = 0
	i.Spec.Type = pick(w.r, mcs.ClusterSetIP, mcs.ClusterSetIP, mcs.Headless)
	i.Spec.Ports = pick(w.r, i.Spec.Ports, []mcs.ServicePort{}, []mcs.ServicePort{{Port: 80}, {Name: "admin", Port: 81}})
	i.Spec.SessionAffinity = pick(w.r, "", corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP)
	if !w.Drops["spec.ips[1]"] {
		i.Spec.IPs = pick(w.r, nil, nil, []string{"192.0.2.1"}, []string{"192.0.2.1", "not an address"})
	}
	return i
}

// step changes one thing, lets the consumer come to rest, and looks.
func (w *walk) step() {
	w.disturbed = false
	before := w.servedPorts()
	address := w.address()
	switch name := pick(w.r, walkClusters...); w.r.IntN(10) {
	case 0, 1, 2:
		w.exporters[name] = w.anExporter(name)
		delete(w.unsure, name)
	case 3:
		delete(w.exporters, name)
		delete(w.unsure, name)
	case 4:
		if e := w.exporters[name]; e != nil {
			e.withdrawn = !e.withdrawn
		}
	case 5:
		w.unsure[name] = !w.unsure[name]
	case 6, 7:
		w.disturb()
	case 8:
		if e := w.exporters[name]; e != nil && len(e.slices) > 0 {
			e.slices = e.slices[1:]
		}
	}
	want := w.want()
	w.trace = append(w.trace, fmt.Sprintf("wanted: %d exporters, unsure %v, import %v", len(w.exporters), sorted(w.unsure), w.imp != nil))
	at := len(w.log)
	lost := map[string]bool{}
	w.after = func() { w.onTheWay(before, lost) }
	actions := w.settle(want, noon)
	w.trace = append(w.trace, w.log[at:]...)
	w.after = nil
	for p := range w.servedPorts() {
		// Where the old name of the port now stands for another port, there is a moment in between.
		if lost[p] && !w.disturbed && !w.reused(before[p], p) {
			w.t.Errorf("port %s was served, was not, and is again (SPEC I8)", p)
		}
	}
	if len(actions) > 0 && len(For(w.Consumer, want, w.held(), noon.Add(time.Hour))) > 0 {
		w.t.Error("an hour later there is something to do (SPEC S5)")
	}
	w.look(want)
	w.lookAtStability(address, want)
}

// address is where an import is served, with what has to be the same for it to stay so.
type address struct {
	ip     string
	family corev1.IPFamily
	uid    types.UID
}

func (w *walk) address() (a address) {
	if w.imp != nil && w.owned() && len(w.imp.Spec.IPs) > 0 {
		a.ip, a.family, a.uid = w.imp.Spec.IPs[0], w.svc.Spec.IPFamilies[0], w.imp.UID
	}
	return a
}

// lookAtStability checks that an import which is served before and after a step keeps its address, for as long as any
// exporting cluster has the family and it was not headless in between (SPEC I4).
func (w *walk) lookAtStability(before address, want Wanted) {
	after := w.address()
	if before.ip == "" || after.ip == "" || w.disturbed || before.uid != after.uid || !slices.Contains(want.Service.IPFamilies, before.family) {
		return
	}
	if after.ip != before.ip {
		w.t.Errorf("address %s became %s (SPEC I4)", before.ip, after.ip)
	}
}

// anExporter is a cluster with a random Service, as its API server lets it pass.
func (w *walk) anExporter(name string) *exporter {
	e := provider(name, time.Duration(w.r.IntN(5))*time.Hour)
	e.service.Ports = pick(w.r, e.service.Ports,
		[]corev1.ServicePort{{Name: "web", Protocol: "TCP", Port: 80}, {Name: "admin", Protocol: "TCP", Port: 81}},
		[]corev1.ServicePort{{Protocol: "TCP", Port: 80}},
		[]corev1.ServicePort{{Name: "http", Protocol: "TCP", Port: 81}, {Name: "web", Protocol: "UDP", Port: 80}})
	e.service.IPFamilies = pick(w.r, []corev1.IPFamily{"IPv4"}, []corev1.IPFamily{"IPv6"}, []corev1.IPFamily{"IPv4", "IPv6"})
	if w.r.IntN(4) == 0 {
		e.service.ClusterIP = corev1.ClusterIPNone
	}
	e.service.SessionAffinity = pick(w.r, corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP)
	e.service.TrafficDistribution = pick(w.r, nil, ptr("PreferSameZone"), ptr("PreferSomethingNew"))
	e.service.InternalTrafficPolicy = pick(w.r, nil, ptr(corev1.ServiceInternalTrafficPolicyLocal))
	e.labels = pick(w.r, nil, map[string]string{"team": "a"}, map[string]string{"team": "b", "tier": "c"})
	var names []string
	for _, p := range e.service.Ports {
		names = append(names, p.Name)
	}
	e.slices = nil
	for i, f := range e.service.IPFamilies {
		address := map[corev1.IPFamily]string{"IPv4": fmt.Sprintf("10.%d.0.1", w.r.IntN(200)), "IPv6": fmt.Sprintf("fd00::%x", 1+w.r.IntN(200))}[f]
		e.slices = append(e.slices, slice(fmt.Sprintf("service1-%d", i), discoveryv1.AddressType(f), names, address))
		e.slices[i].Endpoints[0].Conditions.Ready = ptr(w.r.IntN(4) > 0)
	}
	return e
}

// disturb is what people do to the consumer.
func (w *walk) disturb() {
	w.disturbed = true
	switch w.r.IntN(7) {
	case 0:
		w.imp = nil
	case 1:
		w.imp = nil
		w.collect()
	case 2:
		if w.svc != nil && w.svc.Labels[mcsapi.LabelClusterSet] != "" {
			w.svc = nil
		}
	case 3:
		clear(w.slices)
	case 4:
		if w.imp == nil {
			w.putImport(w.anImport())
		} else if len(w.imp.Labels) > 0 {
			w.imp = w.imp.DeepCopy()
			delete(w.imp.Labels, mcsapi.LabelAutomatic)
			w.stamp(w.imp)
		}
	case 5:
		if w.svc == nil {
			w.svc = &corev1.Service{Spec: corev1.ServiceSpec{ClusterIP: "10.96.255.255", IPFamilies: []corev1.IPFamily{"IPv4"}}}
			w.svc.Name = DerivedName(key.Name)
			w.stamp(w.svc)
		} else if w.svc.Labels[mcsapi.LabelClusterSet] == "" {
			w.svc = nil
		} else {
			w.svc = w.svc.DeepCopy()
			w.svc.Spec.Selector = map[string]string{"app": "other"}
			w.svc.Labels["theirs"] = "yes"
			w.stamp(w.svc)
		}
	case 6:
		for _, name := range slices.Sorted(maps.Keys(w.slices)) { // in an order that a seed decides, too
			s := w.slices[name].DeepCopy()
			s.Endpoints = nil
			s.Labels[discoveryv1.LabelServiceName] = "elsewhere"
			w.stamp(s)
			w.slices[name] = s
		}
	}
}

// want is what the engine would ask for: of clusters that are unsure, the export is as remembered, and no slice is known.
func (w *walk) want() Wanted {
	var list []*exporter
	for _, name := range walkClusters {
		if e := w.exporters[name]; e != nil {
			list = append(list, e)
		}
	}
	out := wanted(w.t, list...)
	out.Unsure = w.unsure
	out.Sources = slices.DeleteFunc(out.Sources, func(s Source) bool { return w.unsure[s.Cluster] })
	return out
}

// servedPorts are the ports for which traffic finds an endpoint now, with their names on the derived Service.
func (w *walk) servedPorts() map[string]string {
	out := make(map[string]string)
	if w.svc == nil || w.svc.Labels[mcsapi.LabelClusterSet] == "" {
		return out
	}
	for _, p := range w.svc.Spec.Ports {
		for _, s := range w.slices {
			if s.Labels[discoveryv1.LabelServiceName] == w.svc.Name && slices.ContainsFunc(s.Ports, func(ep discoveryv1.EndpointPort) bool { return *ep.Name == p.Name }) {
				out[w.port(&p)] = p.Name
			}
		}
	}
	return out
}

func (w *walk) port(p *corev1.ServicePort) string {
	return fmt.Sprint(p.Port, p.Protocol, w.svc.UID)
}

// reused says whether name is that of another port than port on the derived Service.
func (w *walk) reused(name, port string) bool {
	return slices.ContainsFunc(w.svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == name && w.port(&p) != port })
}

// onTheWay looks after every write: which of the ports that were served are not now, and whether DNS hands out addresses
// that nothing serves.
func (w *walk) onTheWay(before map[string]string, lost map[string]bool) {
	now := w.servedPorts()
	for p := range before {
		if _, served := now[p]; !served {
			lost[p] = true
		}
	}
	if w.imp == nil || w.disturbed {
		return
	}
	for _, ip := range w.imp.Spec.IPs {
		if w.svc == nil || !slices.Contains(w.svc.Spec.ClusterIPs, ip) {
			w.t.Errorf("DNS hands out %s, which nothing serves (SPEC I8)", ip)
		}
	}
}

// look holds the state at rest against the SPEC.
func (w *walk) look(want Wanted) {
	if w.imp == nil {
		if w.Automatic && want.Service != nil {
			w.t.Error("there is no automatic import (SPEC I2)")
		}
		if !w.Automatic && (w.owned() || len(w.slices) > 0) {
			w.t.Error("derived objects without an import (SPEC A8)")
		}
		return
	}
	if want.Service != nil && !w.Drops["status.clusters"] {
		for _, cluster := range want.Service.Clusters {
			if !slices.Contains(clusterNames(&w.imp.Status), cluster) {
				w.t.Errorf("status.clusters lacks %s (SPEC I5)", cluster)
			}
		}
	}
	w.lookAtSlices(want)
	w.lookAtAddresses()
}

func (w *walk) owned() bool {
	return w.svc != nil && w.svc.Labels[mcsapi.LabelClusterSet] == w.ClusterSet
}

// lookAtSlices checks that slices are of exporting clusters only, and that each of their ports is that of the derived
// Service with the protocol and number that the cluster itself exports (SPEC E1, M3, S1).
func (w *walk) lookAtSlices(want Wanted) {
	for _, s := range w.slices {
		cluster := s.Labels[mcsapi.LabelSourceCluster]
		e := w.exporters[cluster]
		if w.unsure[cluster] {
			continue
		}
		if e == nil || e.withdrawn || !w.owned() {
			w.t.Errorf("slice of %s, which exports nothing that is served here", cluster)
			continue
		}
		used := s.Labels[discoveryv1.LabelServiceName] == w.svc.Name
		if headless := w.svc.Spec.ClusterIP == corev1.ClusterIPNone; (headless || !used) != hasLabel(s, corev1.IsHeadlessService) {
			w.t.Errorf("headless %v, labels %v (SPEC S1)", headless, s.Labels)
		}
		label, none := mcsapi.LabelServiceName, mcsapi.LabelReserve
		if !used {
			label, none = none, label
		}
		if s.Labels[label] != key.Name || hasLabel(s, none) || !used && hasLabel(s, discoveryv1.LabelServiceName) {
			w.t.Errorf("in use %v, labels %v (SPEC G1)", used, s.Labels)
		}
		for _, port := range s.Ports {
			at := slices.IndexFunc(w.svc.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == *port.Name })
			if at < 0 {
				w.t.Errorf("slice of %s has port %q, which the Service has not", cluster, *port.Name)
				continue
			}
			p := w.svc.Spec.Ports[at]
			if !slices.ContainsFunc(e.service.Ports, func(own corev1.ServicePort) bool { return own.Port == p.Port && own.Protocol == p.Protocol }) {
				w.t.Errorf("%s gets traffic for %d/%s, which it does not expose (SPEC M3)", cluster, p.Port, p.Protocol)
			}
		}
	}
	if w.owned() && want.Service != nil && len(w.unsure) == 0 {
		w.lookForMissing(want)
		w.lookAtPreference()
	}
}

// lookAtPreference checks that for every way to get traffic the slices in use are those of the first cluster that has a ready
// endpoint, and that without a preference all are in use (SPEC P3).
func (w *walk) lookAtPreference() {
	for _, s := range w.slices {
		used := s.Labels[discoveryv1.LabelServiceName] == w.svc.Name
		if len(w.Prefer) == 0 && (!used || s.Annotations[mcsapi.AnnotationRank] != "") {
			w.t.Errorf("no preference, but a slice has labels %v, annotations %v (SPEC P3)", s.Labels, s.Annotations)
		}
		for _, way := range ways(s) {
			if !used && health(s) == ready && !slices.ContainsFunc(slices.Collect(maps.Values(w.slices)), func(o *discoveryv1.EndpointSlice) bool {
				return o.Labels[discoveryv1.LabelServiceName] == w.svc.Name && slices.Contains(ways(o), way) && health(o) == ready &&
					o.Annotations[mcsapi.AnnotationRank] < s.Annotations[mcsapi.AnnotationRank]
			}) {
				w.t.Errorf("%v: a slice of rank %q is ready and not in use, though none before it is (SPEC P3)", way, s.Annotations[mcsapi.AnnotationRank])
			}
		}
	}
}

// lookForMissing checks that every endpoint that can be served is.
func (w *walk) lookForMissing(want Wanted) {
	held := make(map[string]bool)
	for _, s := range w.slices {
		held[s.Labels[mcsapi.LabelSourceCluster]+s.Endpoints[0].Addresses[0]] = true
	}
	for _, source := range want.Sources {
		if source.Withdrawn || w.svc.Spec.ClusterIP != corev1.ClusterIPNone {
			continue // of a ClusterSetIP some may have no port in common
		}
		for _, s := range source.Slices {
			if slices.Contains(w.svc.Spec.IPFamilies, corev1.IPFamily(s.AddressType)) && !held[source.Cluster+s.Endpoints[0].Addresses[0]] {
				w.t.Errorf("endpoint %s of %s is missing", s.Endpoints[0].Addresses[0], source.Cluster)
			}
		}
	}
}

func hasLabel(s *discoveryv1.EndpointSlice, key string) bool {
	_, has := s.Labels[key]
	return has
}

// lookAtAddresses checks spec.ips and spec.ipFamilies (SPEC I4).
func (w *walk) lookAtAddresses() {
	if len(w.unsure) > 0 {
		return // may be held still on the way to something else
	}
	var want []string
	var families []corev1.IPFamily
	if w.owned() {
		families = w.svc.Spec.IPFamilies
		if w.svc.Spec.ClusterIP != corev1.ClusterIPNone {
			want = w.svc.Spec.ClusterIPs
		}
	}
	if w.Drops["spec.ips[1]"] && len(want) > 1 {
		want = want[:1]
	}
	if w.Drops["spec.ipFamilies"] {
		families = nil
	}
	if !slices.Equal(w.imp.Spec.IPs, want) || !slices.Equal(w.imp.Spec.IPFamilies, families) {
		w.t.Errorf("ips %v of %v, expected %v of %v (SPEC I4)", w.imp.Spec.IPs, w.imp.Spec.IPFamilies, want, families)
	}
}
