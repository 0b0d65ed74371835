package provider

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
)

// kind is one of the resources: how many there are, and the nth of them.
type kind struct {
	version, name string
	count         int
	object        func(n int) runtime.Object
}

// serve answers a list, page by page, or a watch.
func (c *Cluster) serve(w http.ResponseWriter, r *http.Request, k kind) {
	query := r.URL.Query()
	if query.Get("watch") == "true" || query.Get("watch") == "1" {
		c.watch(w, r, k)
		return
	}
	from, _ := strconv.Atoi(query.Get("continue"))
	to := k.count
	if limit, _ := strconv.Atoi(query.Get("limit")); limit > 0 {
		to = min(to, from+limit)
	}
	next := ""
	if to < k.count {
		next = strconv.Itoa(to)
	}
	c.mu.Lock()
	version := c.version
	c.mu.Unlock()
	items := make([]runtime.Object, 0, to-from)
	for n := from; n < to; n++ {
		items = append(items, k.object(n))
	}
	answer(w, map[string]any{
		"kind": k.name + "List", "apiVersion": k.version, "items": items,
		"metadata": map[string]string{"resourceVersion": strconv.Itoa(version), "continue": next},
	})
}

// watch sends what happened since the given version and then what happens, until the client goes, its time is over, or the
// cluster is down. Only slices ever change.
func (c *Cluster) watch(w http.ResponseWriter, r *http.Request, k kind) {
	c.watches.Add(1)
	defer c.watches.Add(-1)
	since, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	if err != nil || since < first {
		http.Error(w, "want a resourceVersion", http.StatusBadRequest)
		return
	}
	seconds, _ := strconv.Atoi(r.URL.Query().Get("timeoutSeconds"))
	over := time.After(time.Duration(max(seconds, 60)) * time.Second)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	for !c.down.Load() {
		c.mu.Lock()
		happened, more := slices.Clone(c.log[since-first:]), c.waiting
		c.mu.Unlock()
		since += len(happened)
		if k.name == "EndpointSlice" {
			for _, service := range happened {
				if err := c.send(w, k, service); err != nil {
					return
				}
			}
			_ = flush.Flush()
		}
		select {
		case <-more:
		case <-over:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (c *Cluster) send(w http.ResponseWriter, k kind, service string) error {
	return json.NewEncoder(w).Encode(map[string]any{"type": "MODIFIED", "object": k.object(slices.Index(c.Exported, service))})
}

func answer(w http.ResponseWriter, object any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(object); err != nil {
		fmt.Fprintln(w, err)
	}
}
