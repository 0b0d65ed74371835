package members

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// TestLeasesHidden_X8: Leases that could not be read, for whatever reason, are not taken for Leases that are not there.
func TestLeasesHidden_X8(t *testing.T) {
	for _, code := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusInternalServerError} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(`{"kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1", "metadata": {}, "items": []}`))
		}))
		t.Cleanup(server.Close)
		set := &Set{Namespace: DefaultNamespace, Clusters: []*Cluster{(&Cluster{ID: "c1", Home: true}).Connect(&rest.Config{Host: server.URL}, 5*time.Second)}}
		if got := set.Leases(t.Context()); len(got) != 1 || got[0].Hidden != (code != http.StatusOK) {
			t.Errorf("with %d: %+v", code, got)
		}
	}
	broken := &Cluster{ID: "c1", Consumer: true, Err: errors.New("broken")}
	if got := (&Set{Clusters: []*Cluster{broken, {ID: "c2", Provider: true, Err: broken.Err}}}).Leases(t.Context()); len(got) != 1 || got[0].In != "c1" || !got[0].Hidden {
		t.Errorf("of a cluster that can't be asked, and of one that only exports: %+v", got)
	}
}
