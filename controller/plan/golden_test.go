package plan

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/controller/merge"
)

var update = flag.Bool("update", false, "rewrite the goldens with what the code says now")

// TestGolden holds testdata/*.txtar, which document the rules of SPEC I and S by example: stories of one consuming
// cluster. A story has a comment that states the rule, the consumer in "consumer.yaml" if it is not the default one, and
// steps 1, 2 and so on:
//
//	1/CLUSTER.yaml   the ServiceExport, Service and EndpointSlices of an exporting cluster; empty when it exports no more
//	1/held.yaml      what people apply in the consumer before the controller looks
//	1/state.yaml     what else is so, see the type state
//	1/plan           the writes that the controller makes, in order, one paragraph per pass
//
// What a step does not mention is as in the step before. Objects are printed whole if the consumer says so; else a new one
// by its gist, and of an update what changes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if len(archive.Comment) == 0 {
				t.Error("no comment that states the rule")
			}
			tell(t, file, archive)
		})
	}
}

// state is what a step says beside objects.
type state struct {
	Unsure, Withdrawn, Unreachable, Members []string
	// AddressLost, NoNamespace are those of Held.
	AddressLost, NoNamespace bool
	// NewCRDs says that the consumer's CRDs keep every field from now on.
	NewCRDs bool
	// Delete names the kinds whose object somebody deletes, without the garbage collector having come by.
	Delete []string
}

// offered is what one exporting cluster has.
type offered struct {
	export  *mcs.ServiceExport
	service *corev1.Service
	slices  []*discoveryv1.EndpointSlice
}

func tell(t *testing.T, file string, archive *txtar.Archive) {
	steps, settings := group(archive)
	c := struct {
		Consumer `json:",inline"`
		Whole    bool // print objects whole
	}{Consumer: defaultConsumer()}
	c.Families, c.Automatic = []corev1.IPFamily{corev1.IPv4Protocol}, false
	if err := yaml.UnmarshalStrict(settings, &c); err != nil {
		t.Fatal(err)
	}
	model := newConsumer(t, c.Consumer)
	write := model.brief
	if c.Whole {
		write = whole
	}
	providers := make(map[string]*offered)
	var out []txtar.File
	for i, step := range steps {
		var s state
		for _, name := range slices.Sorted(maps.Keys(step)) {
			switch cluster := strings.TrimSuffix(name, ".yaml"); cluster {
			case "plan":
			case "state":
				if err := yaml.UnmarshalStrict(step[name], &s); err != nil {
					t.Fatal(err)
				}
			case "held":
				model.people(step[name])
			default:
				providers[cluster] = offers(t, decode(t, step[name]))
			}
		}
		model.vanish(s.Delete)
		if s.NewCRDs {
			model.Drops = nil
		}
		out = append(out, txtar.File{Name: fmt.Sprintf("%d/plan", i+1), Data: model.tellStep(s, providers, write)})
	}
	compare(t, file, archive, out)
}

// group returns the files of each step, and the consumer's settings.
func group(archive *txtar.Archive) (steps []map[string][]byte, settings []byte) {
	for _, f := range archive.Files {
		if f.Name == "consumer.yaml" {
			settings = f.Data
			continue
		}
		var step int
		fmt.Sscanf(path.Dir(f.Name), "%d", &step)
		for len(steps) < step {
			steps = append(steps, make(map[string][]byte))
		}
		steps[step-1][path.Base(f.Name)] = f.Data
	}
	return steps, settings
}

func compare(t *testing.T, file string, archive *txtar.Archive, out []txtar.File) {
	if *update {
		fresh := &txtar.Archive{Comment: archive.Comment}
		for i, f := range archive.Files {
			if path.Base(f.Name) == "plan" {
				continue
			}
			fresh.Files = append(fresh.Files, f)
			next := ""
			for _, g := range archive.Files[i+1:] {
				if path.Base(g.Name) != "plan" {
					next = path.Dir(g.Name)
					break
				}
			}
			if dir := path.Dir(f.Name); dir != "." && dir != next {
				fresh.Files = append(fresh.Files, out[slices.IndexFunc(out, func(o txtar.File) bool { return path.Dir(o.Name) == dir })])
			}
		}
		if err := os.WriteFile(file, txtar.Format(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, want := range out {
		at := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == want.Name })
		if at < 0 || !bytes.Equal(archive.Files[at].Data, want.Data) {
			t.Errorf("%s is:\n%s(go test -run TestGolden -update writes it)", want.Name, want.Data)
		}
	}
}

// tellStep plans and applies until nothing is left to do, and writes down what was done.
func (c *consumer) tellStep(s state, providers map[string]*offered, write func(*Action) map[string]any) []byte {
	w := Wanted{Key: key, Unsure: set(s.Unsure), Unreachable: set(s.Unreachable), Members: s.Members}
	var exports []merge.Export
	for _, cluster := range slices.Sorted(maps.Keys(providers)) {
		o := providers[cluster]
		if o.export == nil {
			continue
		}
		e, invalid := merge.Of(cluster, o.export, o.service, nil)
		if invalid != nil {
			c.t.Fatalf("%s: %s", cluster, invalid.Message)
		}
		exports = append(exports, e)
		if !w.Unsure[cluster] {
			w.Sources = append(w.Sources, Source{Cluster: cluster, Slices: o.slices, Withdrawn: slices.Contains(s.Withdrawn, cluster)})
		}
	}
	if len(exports) > 0 {
		result := merge.Merge(exports, noon)
		w.Service = &result
	}
	var out bytes.Buffer
	for pass := 1; ; pass++ {
		held := c.held()
		held.Namespace, held.AddressLost = !s.NoNamespace, s.AddressLost
		actions := For(c.Consumer, w, held, noon)
		if len(actions) == 0 || pass > maxPasses {
			fmt.Fprintf(&out, "pass %d: nothing to do\n", pass)
			if len(actions) > 0 {
				c.t.Errorf("no empty plan after %d passes", maxPasses)
			}
			return out.Bytes()
		}
		fmt.Fprintf(&out, "pass %d:\n", pass)
		for i := range actions {
			print(c.t, &out, &actions[i], write(&actions[i]))
			c.apply(&actions[i])
		}
	}
}

func set(names []string) map[string]bool {
	out := make(map[string]bool)
	for _, n := range names {
		out[n] = true
	}
	return out
}

// people apply what text has: a new object, or a merge patch of the one that is there.
func (c *consumer) people(text []byte) {
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		patch, err := yaml.YAMLToJSON(doc)
		if err != nil {
			c.t.Fatal(err)
		}
		switch o := decode(c.t, doc)[0].(type) {
		case *mcs.ServiceImport:
			if c.imp != nil {
				o = mergeInto(c.t, c.imp, patch)
			}
			c.putImport(o)
		case *corev1.Service:
			if c.svc != nil {
				o = mergeInto(c.t, c.svc, patch)
			}
			c.stamp(o)
			c.svc = o
		default:
			c.t.Fatalf("nobody applies a %T", o)
		}
	}
}

// vanish deletes the objects of kinds, as people do.
func (c *consumer) vanish(kinds []string) {
	for _, kind := range kinds {
		switch kind {
		case "ServiceImport":
			c.imp = nil
		case "Service":
			c.svc = nil
		case "EndpointSlice":
			clear(c.slices)
		default:
			c.t.Fatalf("nobody deletes a %s", kind)
		}
	}
}

func decode(t testing.TB, text []byte) []metav1.Object {
	t.Helper()
	kinds := map[string]func() metav1.Object{
		"ServiceExport": func() metav1.Object { return &mcs.ServiceExport{} },
		"ServiceImport": func() metav1.Object { return &mcs.ServiceImport{} },
		"Service":       func() metav1.Object { return &corev1.Service{} },
		"EndpointSlice": func() metav1.Object { return &discoveryv1.EndpointSlice{} },
	}
	var out []metav1.Object
	for _, doc := range bytes.Split(text, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(doc, &kind); err != nil || kinds[kind.Kind] == nil {
			continue
		}
		o := kinds[kind.Kind]()
		if err := yaml.UnmarshalStrict(doc, o); err != nil {
			t.Fatal(err)
		}
		if o.GetName() == "" {
			o.SetName(key.Name)
		}
		o.SetNamespace(key.Namespace)
		out = append(out, o)
	}
	return out
}

func offers(t *testing.T, objects []metav1.Object) *offered {
	o := &offered{}
	for _, object := range objects {
		switch object := object.(type) {
		case *mcs.ServiceExport:
			o.export = object
		case *corev1.Service:
			o.service = object
		case *discoveryv1.EndpointSlice:
			o.slices = append(o.slices, object)
		default:
			t.Fatalf("a %T in an exporting cluster", object)
		}
	}
	return o
}
