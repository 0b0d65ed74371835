package command

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDeadline_L11: a command against a server that never answers, or whose credentials never come, ends, and says for whom it
// waited. No real server does that when asked.
func TestDeadline_L11(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	for name, user := range map[string]string{
		"server":      "{token: x}",
		"credentials": `{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: [-c, "read x"], interactiveMode: Always}}`,
	} {
		t.Run(name, func(t *testing.T) {
			keyboard, nobody, err := os.Pipe() // what the plugin reads: it ends with the test
			if err != nil {
				t.Fatal(err)
			}
			stdin := os.Stdin
			os.Stdin = keyboard
			defer func() { os.Stdin = stdin; _ = nobody.Close(); _ = keyboard.Close() }()
			path := filepath.Join(t.TempDir(), "kubeconfig")
			content := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c,
  clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: %s}], contexts: [{name: c, context: {cluster: c, user: u}}]}`, silent.URL, user)
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range []string{"services", "status", "check", "explain web.shop", "export web.shop --wait 10ms", "join c2 --from c --wait 10ms"} {
				var out, errs bytes.Buffer
				start := time.Now()
				code := Run(t.Context(), "test", append([]string{"mcsctl", "--kubeconfig", path, "--timeout", "5m", "--deadline", "100ms"}, strings.Fields(args)...), &out, &errs)
				if code != ExitProblem || !strings.Contains(errs.String(), "(--deadline)") || !strings.Contains(errs.String(), " from "+silent.URL) {
					t.Errorf("%s: exit code %d after %s: %s%s", args, code, time.Since(start), out.String(), errs.String())
				}
			}
		})
	}
}
