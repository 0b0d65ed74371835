package docs

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/kit"
)

// TestChoice_P follows docs/choice.md: an export by rule (P1), restricted to a consumer, an import restricted to a provider
// (P2), and one that prefers a cluster and fails over (P3); and mcsctl tells of each.
func TestChoice_P(t *testing.T) {
	const page = "choice.md"
	r := newReader(t)
	r.follows("getting-started.md", "A Service to call")
	r.follows(page, "To follow this page")
	r.follows(page, "Export by rule")
	r.awaits("services", "c2 by rule", "c2 1/1")

	r.follows(page, "An export for some clusters only")
	r.awaits("services", "c2 for c1")
	r.awaits("--context c2 get serviceimports -A", "No resources found")

	r.follows(page, "An import from some clusters only")
	r.awaits("services", "c1 from c2")

	r.follows(page, "Some clusters before others")
	r.awaits("explain service1.provider-ns", "in use by preference: c1; in reserve: c2")
	r.answeredBy("c1")
	r.types("kubectl --context c1 -n provider-ns scale deployment service1 --replicas=0")
	r.awaits("explain service1.provider-ns", "in use by preference: c2")
	r.answeredBy("c2")
}

// awaits types a command of mcsctl for c1, or of kubectl, until it says all of the words. What the command makes of it, by its
// exit code, is another matter: that DNS was not set up here is a fault for explain.
func (r *reader) awaits(command string, words ...string) {
	r.t.Helper()
	if strings.HasPrefix(command, "--context") {
		command = "kubectl " + command + " 2>&1"
	} else {
		command = "mcsctl --context c1 " + command + " || true"
	}
	kit.Must(r.t, kit.Await(r.t.Context(), func(context.Context) error {
		out := r.types(command)
		for _, word := range words {
			if !strings.Contains(out, word) {
				return fmt.Errorf("%s does not say %q", command, word)
			}
		}
		return nil
	}))
}

// answeredBy has a pod of c1 call the derived Service until only pods of the cluster answer.
func (r *reader) answeredBy(cluster string) {
	r.t.Helper()
	c1 := r.set.Cluster("c1")
	kit.Must(r.t, c1.ApplyYAML(r.t.Context(), []byte(client)))
	_, err := c1.ReadyPods(r.t.Context(), "default", "app=client", 1)
	kit.Must(r.t, err)
	pod, err := c1.Shell("default", "client")
	kit.Must(r.t, err)
	kit.Must(r.t, kit.Await(r.t.Context(), func(ctx context.Context) error {
		for range 20 {
			answer, err := pod.Curl(ctx, "http://amcs-service1.provider-ns")
			if err == nil && answer.Cluster != cluster {
				err = fmt.Errorf("%+v answered, not %s", answer, cluster)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
}
