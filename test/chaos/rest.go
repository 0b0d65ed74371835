package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
)

// compareWithFresh holds that a controller that begins with nothing makes what the one at rest has made.
func (w *world) compareWithFresh(ctx context.Context) error {
	before := map[string]string{}
	for _, c := range w.Clusters {
		var err error
		if before[c.Name], err = holdings(ctx, c); err != nil {
			return err
		}
	}
	w.controller.Stop(10 * time.Second)
	for _, c := range w.Clusters {
		if _, err := c.Kubectl(ctx, nil, "delete", "serviceimports", "--all", "-n", namespace); err != nil {
			return err
		}
		if err := kit.AwaitFor(ctx, 3*time.Minute, func(ctx context.Context) error { return emptied(ctx, c) }); err != nil {
			return err
		}
	}
	if err := w.startController(); err != nil {
		return err
	}
	return kit.Await(ctx, func(ctx context.Context) error {
		for _, c := range w.Clusters {
			fresh, err := holdings(ctx, c)
			if err != nil {
				return err
			}
			if fresh != before[c.Name] {
				return fmt.Errorf("cluster %s held at rest:\n%s\na fresh controller makes:\n%s", c.Name, before[c.Name], fresh)
			}
		}
		return nil
	})
}

// emptied says what is left of the service, whose import was deleted, in a cluster.
func emptied(ctx context.Context, c *clusterset.Cluster) error {
	left, err := holdings(ctx, c)
	if err != nil {
		return err
	}
	if left != "" {
		return fmt.Errorf("cluster %s still holds, though the import is gone:\n%s", c.Name, left)
	}
	return nil
}

// holdings returns what a cluster holds of imported services, as YAML, without what the API server chose.
func holdings(ctx context.Context, c *clusterset.Cluster) (string, error) {
	out, err := c.Kubectl(ctx, nil, "get", "serviceimports.v1beta1.multicluster.x-k8s.io,services,endpointslices", "-n", namespace, "-o", "json")
	if err != nil {
		return "", err
	}
	var list unstructured.UnstructuredList
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return "", err
	}
	var texts []string
	for _, o := range list.Items {
		if _, ours := mcsapi.ServiceOf(o.GetLabels()); !ours && o.GetKind() != "ServiceImport" {
			continue
		}
		text, err := yaml.Marshal(withoutChance(o.Object))
		if err != nil {
			return "", err
		}
		texts = append(texts, string(text))
	}
	slices.Sort(texts)
	return strings.Join(texts, "---\n"), nil
}

// byChance are fields whose values differ between two objects made alike.
var byChance = []string{
	"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "observedGeneration", "lastTransitionTime",
	"ips", "clusterIP", "clusterIPs",
}

func withoutChance(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for _, field := range byChance {
			delete(v, field)
		}
		for key := range v {
			v[key] = withoutChance(v[key])
		}
	case []any:
		for i := range v {
			v[i] = withoutChance(v[i])
		}
	}
	return value
}
