package members

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/registration"
)

// TestIdentityTexts_X2: what a cluster says of who it is becomes no key, no path and no long text of ours, whatever it is.
func TestIdentityTexts_X2(t *testing.T) {
	uid, version, id := "u", "v1", "east"
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/api/v1/namespaces/kube-system":
			fmt.Fprintf(w, `{"kind":"Namespace","apiVersion":"v1","metadata":{"name":"kube-system","uid":%q}}`, uid)
		case "/apis/about.k8s.io":
			fmt.Fprintf(w, `{"kind":"APIGroup","apiVersion":"v1","preferredVersion":{"groupVersion":"about.k8s.io/v1","version":%q}}`, version)
		default:
			fmt.Fprintf(w, `{"spec":{"value":%q}}`, id)
		}
	}))
	t.Cleanup(server.Close)
	reg := registration.Registration{Config: &rest.Config{Host: server.URL, TLSClientConfig: rest.TLSClientConfig{Insecure: true}}}
	s := NewSet(nil, nil, Options{})
	m := &Member{set: s, opts: s.opts, log: s.log, reg: registration.Registration{ID: "east"}}
	admit := func() error {
		c, err := newConnection(m, reg, s.opts)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.client.HangUp)
		err = m.admit(t.Context(), c)
		if len(c.calledItself) > maxSaid {
			t.Errorf("%d bytes of its id are kept", len(c.calledItself))
		}
		return err
	}
	if err := admit(); err != nil || len(s.claims) != 1 {
		t.Fatalf("an honest cluster: %v, %d claims", err, len(s.claims))
	}
	long := strings.Repeat("x", 1<<20)
	uid = long
	if err := admit(); err == nil || len(err.Error()) > 200 || len(s.claims) != 1 {
		t.Errorf("a UID of 1 MiB: %v, %d claims", err, len(s.claims))
	}
	uid, id = "u", long
	if err := admit(); err != nil {
		t.Error(err)
	}
	if _, err := firstContact(t.Context(), reg, s.opts); err == nil || len(err.Error()) > 400 {
		t.Errorf("an id of 1 MiB: %d bytes of an error", len(fmt.Sprint(err)))
	}
	id, version = "east", "../../api/v1/secrets"
	asked = nil
	if got, err := firstContact(t.Context(), reg, s.opts); err == nil || len(asked) != 1 {
		t.Errorf("a version with a path in it gives the id %q, %v, after %q", got, err, asked)
	}
}

// TestClaim_X4: of two members that say they are the same cluster, one that is connected to it keeps it, otherwise one that came
// earlier; and one that is connected to a cluster takes nobody's.
func TestClaim_X4(t *testing.T) {
	const uid, other types.UID = "u", "v"
	for name, c := range map[string]struct {
		holderFirst     bool      // the holder was registered before who asks
		holder          types.UID // that the holder is connected to
		asks            bool      // who asks is connected to some cluster
		holds, takeover bool
	}{
		"nobody holds it":                      {takeover: true},
		"nobody holds it, other credentials":   {asks: true, takeover: true},
		"held by a later one":                  {holds: true, takeover: true},
		"held by an earlier one":               {holds: true, holderFirst: true},
		"held by a later one, connected":       {holds: true, holder: uid},
		"held by an earlier one, connected":    {holds: true, holder: uid, holderFirst: true},
		"held by a later one of another":       {holds: true, holder: other, takeover: true},
		"held by a later one, but has its own": {holds: true, asks: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := NewSet(nil, nil, Options{})
			holder, m := &Member{order: 2}, &Member{order: 1}
			if c.holderFirst {
				holder.order = 0
			}
			if c.asks {
				m.conn.Store(&connection{})
			}
			claims := func(m *Member, uid types.UID) bool {
				err := s.claim(m, uid)
				if refused := (*refusal)(nil); err != nil && !errors.As(err, &refused) {
					t.Fatal(err)
				}
				return err == nil
			}
			if c.holder != "" && claims(holder, c.holder) {
				s.connected(holder, c.holder)
			}
			if c.holds && !claims(holder, uid) {
				t.Fatal("the holder does not hold it")
			}
			if got := claims(m, uid); got != c.takeover {
				t.Errorf("it is taken: %v", got)
			}
			if got := claims(holder, uid); got == c.takeover {
				t.Errorf("the other has it still: %v", got)
			}
			s.release(m)
			s.release(holder)
			if len(s.claims) != 0 {
				t.Errorf("%v is kept", s.claims)
			}
		})
	}
}
