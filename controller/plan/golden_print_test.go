package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// print writes an action, with body as YAML, and its Events for people.
func print(t testing.TB, out *bytes.Buffer, a *Action, body map[string]any) {
	t.Helper()
	kind := strings.TrimPrefix(path.Ext(fmt.Sprintf("%T", a.Object)), ".")
	fmt.Fprintf(out, "  %s %s %s: %s\n", a.Verb, kind, a.Object.GetName(), a.Reason)
	if len(body) > 0 {
		text, err := yaml.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			out.WriteString("      " + line)
		}
	}
	for _, e := range a.Events {
		kind := "Normal"
		if e.Warning {
			kind = "Warning"
		}
		fmt.Fprintf(out, "      event %s %s: %s\n", kind, e.Reason, e.Message)
	}
}

// whole is what the write sends, without what its first line says already.
func whole(a *Action) map[string]any {
	var body map[string]any
	switch a.Verb {
	case Create, Update:
		body = plain(a.Object)
	case Patch, PatchStatus:
		body = plain(json.RawMessage(a.Patch))
	}
	return tidy(body)
}

// brief is the gist of what the write sends: of an update, the change; of remembered exports, the clusters.
func (c *consumer) brief(a *Action) map[string]any {
	switch o := a.Object.(type) {
	case *discoveryv1.EndpointSlice:
		if a.Verb == Create {
			return map[string]any{"slice": gistOfSlice(o)}
		}
		if a.Verb == Update {
			return tidy(change(plain(c.slices[o.Name]), plain(o)))
		}
	case *corev1.Service:
		if a.Verb == Create {
			return map[string]any{"spec": gistOfService(o)}
		}
		if a.Verb == Update {
			return tidy(change(plain(c.svc), plain(o)))
		}
	}
	body := whole(a)
	if meta, ok := body["metadata"].(map[string]any); ok {
		if annotations, ok := meta["annotations"].(map[string]any); ok {
			if text, ok := annotations[mcsapi.AnnotationExports].(string); ok {
				remembered, _ := Remembered(&mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{mcsapi.AnnotationExports: text}}})
				names := make([]string, len(remembered))
				for i := range remembered {
					names[i] = remembered[i].Cluster
				}
				annotations[mcsapi.AnnotationExports] = "those of " + strings.Join(names, ", ")
			}
		}
	}
	return body
}

func gistOfSlice(s *discoveryv1.EndpointSlice) string {
	var parts []string
	for _, e := range s.Endpoints {
		parts = append(parts, strings.Join(e.Addresses, "+"))
	}
	for _, p := range s.Ports {
		parts = append(parts, fmt.Sprintf("%q at %d/%s", *p.Name, *p.Port, *p.Protocol))
	}
	if rank := s.Annotations[mcsapi.AnnotationRank]; rank != "" {
		parts = append(parts, "rank "+rank)
	}
	if s.Labels[discoveryv1.LabelServiceName] == "" {
		parts = append(parts, "not in use")
	}
	return strings.Join(parts, ", ")
}

func gistOfService(s *corev1.Service) string {
	parts := []string{strings.Trim(fmt.Sprint(s.Spec.IPFamilies), "[]")}
	if len(s.Spec.ClusterIPs) > 0 {
		parts = append(parts, "clusterIP "+strings.Join(s.Spec.ClusterIPs, " "))
	}
	for _, p := range s.Spec.Ports {
		parts = append(parts, fmt.Sprintf("%q %d/%s", p.Name, p.Port, p.Protocol))
	}
	return strings.Join(parts, ", ")
}

func plain(o any) map[string]any {
	text, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(err)
	}
	return out
}

// change is the merge patch from one object to another.
func change(from, to map[string]any) map[string]any {
	out := make(map[string]any)
	for k, v := range to {
		held, both := from[k]
		a, ok := held.(map[string]any)
		b, ok2 := v.(map[string]any)
		switch {
		case both && ok && ok2:
			if d := change(a, b); len(d) > 0 {
				out[k] = d
			}
		case !both || !reflect.DeepEqual(held, v):
			out[k] = v
		}
	}
	for k := range from {
		if _, still := to[k]; !still {
			out[k] = nil
		}
	}
	return out
}

// tidy leaves out what the API server sets, and what is empty.
func tidy(body map[string]any) map[string]any {
	if meta, ok := body["metadata"].(map[string]any); ok {
		for _, key := range []string{"name", "namespace", "creationTimestamp", "resourceVersion", "uid"} {
			delete(meta, key)
		}
		if len(meta) == 0 {
			delete(body, "metadata")
		}
	}
	if status, ok := body["status"].(map[string]any); ok && !filledIn(status) {
		delete(body, "status")
	}
	return body
}

// filledIn says whether a decoded object has anything in it.
func filledIn(o map[string]any) bool {
	for _, v := range o {
		if inner, ok := v.(map[string]any); !ok || filledIn(inner) {
			return true
		}
	}
	return false
}
