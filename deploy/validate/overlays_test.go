package validate

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/controlplane"
)

// installs is the golden of what each folder installs.
const installs = "testdata/installs.txt"

// TestInstalls: each folder installs exactly what the golden has, so that a file which one of them takes from another is seen
// in every folder that it gets into (SPEC X8).
func TestInstalls(t *testing.T) {
	var out strings.Builder
	for _, dir := range kustomizations(t) {
		fmt.Fprintf(&out, "%s\n", dir)
		for _, name := range slices.Sorted(slices.Values(identities(kustomized(t, dir)))) {
			fmt.Fprintf(&out, "    %s\n", digest.ReplaceAllString(name, "$1"))
		}
	}
	if *update {
		if err := os.WriteFile(installs, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(installs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("want (-), got (+); go test ./... -run TestInstalls -update writes it:\n%s", diff)
	}
}

// digest is what kustomize appends to the name of a ConfigMap that it generates.
var digest = regexp.MustCompile("^(ConfigMap .*)-[a-z0-9]{10}$")

// identities are objects as "kind namespace/name".
func identities(objects []*unstructured.Unstructured) (list []string) {
	for _, o := range objects {
		list = append(list, fmt.Sprintf("%s %s/%s", o.GetKind(), o.GetNamespace(), o.GetName()))
	}
	return list
}

// members are the folders of which a cluster gets one: each has the namespace and the roles of all of them.
var members = []string{"consumer", "fleet", "overlays/both", "overlays/fleet-member", "overlays/fleet-on-demand", "provider", "quickstart"}

// besides are the folders that a cluster may have beside one of [members].
var besides = []string{"coredns", "coredns-stock", "coredns-stock/canary", "crds"}

// TestApart: what may be installed together has no object in common, and puts none into a namespace that another brings
// and takes away (SPEC X8). quickstart is overlays/both and coredns in one.
func TestApart(t *testing.T) {
	var pairs [][2]string
	for i, dir := range besides {
		for _, other := range append(slices.Clone(members), besides[i+1:]...) {
			if dir != "coredns" || other != "quickstart" {
				pairs = append(pairs, [2]string{dir, other})
			}
		}
	}
	for _, pair := range append(pairs, [2]string{"people", "coredns"}, [2]string{"people", "coredns-stock"}, [2]string{"people", "crds"}) {
		a, b := kustomized(t, pair[0]), kustomized(t, pair[1])
		for _, name := range identities(a) {
			if slices.Contains(identities(b), name) {
				t.Errorf("%s and %s both have %s", pair[0], pair[1], name)
			}
		}
		for _, other := range [][2][]*unstructured.Unstructured{{a, b}, {b, a}} {
			for _, o := range other[1] {
				if o.GetNamespace() != "" && slices.Contains(identities(other[0]), "Namespace /"+o.GetNamespace()) {
					t.Errorf("%s %s of one of %v is in a namespace of the other", o.GetKind(), o.GetName(), pair)
				}
			}
		}
	}
}

// folders finds what a page has kubectl do with folders of deploy/: context, verb, folder.
var folders = regexp.MustCompile(`kubectl(?: --context (\S+))? (apply|delete) (?:--[a-z-]+ )*-k deploy/([a-z/-]*[a-z])`)

// together returns the pairs of folders that somebody has in one cluster at a time who does what a page says, from its top.
func together(page string) (pairs [][2]string) {
	held := map[string][]string{} // by context
	for _, m := range folders.FindAllStringSubmatch(page, -1) {
		context, verb, dir := m[1], m[2], m[3]
		others := slices.DeleteFunc(slices.Clone(held[context]), func(other string) bool { return other == dir })
		held[context] = others
		if verb == "delete" {
			continue
		}
		held[context] = append(others, dir)
		for _, other := range others {
			pairs = append(pairs, [2]string{min(dir, other), max(dir, other)})
		}
	}
	return pairs
}

// TestTogether applies each pair of folders that a page has a reader apply to one cluster, in either order, and deletes one of
// them as the page would: what is left is what the other one alone makes (SPEC X8).
func TestTogether(t *testing.T) {
	pages, err := filepath.Glob(rootDir + "/docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var pairs [][2]string
	for _, page := range append(pages, rootDir+"/README.md", deployDir+"/README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, together(string(text))...)
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	pairs = slices.Compact(pairs)
	if len(pairs) < 5 {
		t.Fatalf("the pages name only %v", pairs)
	}

	s := newServer(t, controlplane.ForTest(t, controlplane.Options{ControllerManager: true}))
	if err := s.ApplyYAML(t.Context(), []byte(coreDNSAccount)); err != nil { // which the canary is run as
		t.Fatal(err)
	}
	s.shell(t, s.Kubeconfig(), "kubectl apply --server-side -k deploy/crds")
	none := s.mustStand(t)
	apply := func(dir string) { t.Helper(); s.shell(t, s.Kubeconfig(), "kubectl apply --server-side -k deploy/"+dir) }
	remove := func(dir string) {
		t.Helper()
		s.shell(t, s.Kubeconfig(), "kubectl delete --ignore-not-found -k deploy/"+dir)
	}
	alone := map[string][]string{}
	pairs = slices.DeleteFunc(pairs, func(pair [2]string) bool { return slices.Contains(pair[:], "crds") }) // they are there throughout
	for _, pair := range pairs {
		for _, dir := range pair {
			if alone[dir] == nil {
				apply(dir)
				alone[dir] = s.mustStand(t)
				remove(dir)
				s.awaitStand(t, none)
			}
		}
		t.Run(strings.Join(pair[:], " and "), func(t *testing.T) {
			a, b := pair[0], pair[1]
			apply(a)
			for _, step := range []struct{ applied, gone, left string }{{b, b, a}, {b, a, b}, {a, a, b}, {a, b, a}} {
				apply(step.applied)
				remove(step.gone)
				s.awaitStand(t, alone[step.left])
			}
			remove(a)
			s.awaitStand(t, none)
		})
		if t.Failed() {
			return // what it left behind would be taken for the next one's
		}
	}
}

// TestDNSMoves: what earlier versions had of our CoreDNS, in the controller's namespace, goes on working beside that of this
// version, until it is deleted as docs/upgrading.md says; then nothing is left of it.
func TestDNSMoves(t *testing.T) {
	s := newServer(t, controlplane.ForTest(t, controlplane.Options{ControllerManager: true}))
	s.shell(t, s.Kubeconfig(), "kubectl apply --server-side -k deploy/crds", "kubectl apply -k deploy/quickstart")
	want := s.mustStand(t)
	s.shell(t, s.Kubeconfig(), "kubectl delete --ignore-not-found -k deploy/quickstart", "kubectl apply -k deploy/overlays/both")
	var earlier []*unstructured.Unstructured
	for _, o := range kustomized(t, "coredns") {
		if asInChart(t, o); o.GetKind() != "Namespace" {
			earlier = append(earlier, o)
		}
	}
	s.applyAll(t, earlier)
	s.shell(t, s.Kubeconfig(), "kubectl apply -k deploy/quickstart")
	for _, o := range earlier {
		if err := s.has(t.Context(), o); err != nil {
			t.Errorf("after the upgrade: %v", err)
		}
	}
	reads := "kubectl auth can-i watch serviceimports.multicluster.x-k8s.io -A --as system:serviceaccount:%s:coredns-multicluster"
	for _, in := range []string{namespace, "mcs-dns"} {
		s.shell(t, s.Kubeconfig(), fmt.Sprintf(reads, in))
	}
	commands, err := docs.Commands("upgrading.md", "Our CoreDNS in the controller's namespace")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range commands {
		s.shell(t, s.Kubeconfig(), strings.ReplaceAll(command, " --context c1", ""))
	}
	s.shell(t, s.Kubeconfig(), "kubectl delete clusterrole multicluster:coredns") // which it says in words
	s.awaitStand(t, want)
}
