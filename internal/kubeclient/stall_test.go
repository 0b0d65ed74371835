package kubeclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
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

// TestHangs_L11: a request whose answer does not come, or stops coming, ends and says so, whatever it asks for and although nobody gave
// it a deadline. A watch that has nothing to say goes on.
func TestHangs_L11(t *testing.T) {
	const patience = 500 * time.Millisecond
	for name, ask := range map[string]func(context.Context, kubernetes.Interface) error{
		"list": func(ctx context.Context, k kubernetes.Interface) error {
			_, err := k.CoreV1().Services("a").List(ctx, metav1.ListOptions{})
			return err
		},
		"create": func(ctx context.Context, k kubernetes.Interface) error {
			_, err := k.CoreV1().Services("a").Create(ctx, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "a"}}, metav1.CreateOptions{})
			return err
		},
		"patch": func(ctx context.Context, k kubernetes.Interface) error {
			_, err := k.CoreV1().Services("a").Patch(ctx, "a", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
			return err
		},
		"delete": func(ctx context.Context, k kubernetes.Interface) error {
			return k.CoreV1().Services("a").Delete(ctx, "a", metav1.DeleteOptions{})
		},
		"version": func(_ context.Context, k kubernetes.Interface) error {
			_, err := k.Discovery().ServerVersion()
			return err
		},
	} {
		for when, begins := range map[string]string{"says nothing": "", "stops": `{"kind":"Service",`} {
			t.Run(name+" "+when, func(t *testing.T) {
				t.Parallel()
				s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
					if begins != "" {
						w.Header().Set("Content-Type", "application/json")
						fmt.Fprint(w, begins)
						w.(http.Flusher).Flush()
					}
					<-r.Context().Done()
				})
				_, kube := reachWithin(t, s, "application/json", patience)
				if err := ask(t.Context(), kube); err == nil || !strings.Contains(err.Error(), "nothing came from the API server for 500ms") {
					t.Errorf("it ended with %v", err)
				}
			})
		}
	}
	t.Run("watch", func(t *testing.T) {
		t.Parallel()
		s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(4 * patience):
				fmt.Fprintln(w, `{"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{"name":"late"}}}`)
			}
		})
		_, kube := reachWithin(t, s, "application/json", patience)
		w, err := kube.CoreV1().Services("a").Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Stop()
		if e := <-w.ResultChan(); e.Type != watch.Added {
			t.Errorf("the watch ended with %v", e)
		}
	})
}
