package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestStalled_L11: an answer that goes on may take longer than the deadline; one that stops coming, before its headers or after some
// of its body, ends the request.
func TestStalled_L11(t *testing.T) {
	const short, long = 500 * time.Millisecond, 5 * time.Second // long enough for a busy machine
	const head, tail = `{"kind":"NodeList","apiVersion":"v1","metadata":{"resourceVersion":"1"},`, `"items":[]}`
	for name, c := range map[string]struct {
		patience time.Duration
		answer   func(w http.ResponseWriter, r *http.Request)
		stalled  bool
	}{
		"goes on": {patience: long, answer: func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, head)
			tick := time.NewTicker(long / 20)
			defer tick.Stop()
			for range 25 {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				<-tick.C
			}
			fmt.Fprint(w, tail)
		}},
		"says nothing": {patience: short, stalled: true, answer: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
		"stops": {patience: short, stalled: true, answer: func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, head)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				c.answer(w, r)
			})
			_, kube := reach(t, s, "application/json")
			ctx, done := UntilStalled(t.Context(), c.patience)
			defer done()
			_, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{Limit: 1})
			var stalled *Stalled
			if errors.As(context.Cause(ctx), &stalled) != c.stalled || (err != nil) != c.stalled {
				t.Errorf("%v, because %v", err, context.Cause(ctx))
			}
		})
	}
}
