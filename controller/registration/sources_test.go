package registration

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const kubeconfigFormat = `apiVersion: v1
kind: Config
current-context: one
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: d, user: u}}
- {name: lost, context: {cluster: nowhere, user: u}}
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
- {name: d, cluster: {server: "https://127.0.0.1:2"}}
users:
- {name: u, user: {%s}}
`

func kubeconfig(user string) string { return fmt.Sprintf(kubeconfigFormat, user) }

// place puts a file into dir at once, as Kubernetes and careful people do.
func place(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path+".tmp", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestParseFlag(t *testing.T) {
	dir := t.TempDir()
	colon := place(t, dir, "a:b", "")
	const arn = ":arn:aws:eks:eu-west-1:123456789012:cluster/prod" // what EKS calls a context
	for value, want := range map[string]string{
		"c1=a.kubeconfig":       "c1 a.kubeconfig ",
		"c1=a.kubeconfig:two":   "c1 a.kubeconfig two",
		"c1.east=a.kubeconfig":  "c1.east a.kubeconfig ",
		"c1=" + colon:           "c1 " + colon + " ",
		"c1=" + colon + ":two":  "c1 " + colon + " two",
		"c1=" + colon + arn:     "c1 " + colon + " " + arn[1:],
		"c1=not-there" + arn:    "c1 not-there " + arn[1:],
		"c1=" + dir + arn:       "c1 " + dir + " " + arn[1:],
		"c1=a.kubeconfig:":      "c1 a.kubeconfig: ",
		"c1":                    `"c1": want id=kubeconfig[:context]`,
		"c1=":                   `"c1=": want id=kubeconfig[:context]`,
		"=a.kubeconfig":         `cluster id "": want one DNS label`,
		"C1=a.kubeconfig":       `cluster id "C1": want one DNS label`,
		"a.b.c=x":               `cluster id "a.b.c": want one DNS label, or two`,
		strings.Repeat("a", 64): `want id=kubeconfig`,
		strings.Repeat("a", 32) + "." + strings.Repeat("b", 31) + "=x": `of 63 octets in all`,
	} {
		f, err := ParseFlag(value)
		got := f.ID + " " + f.Path + " " + f.Context
		if err != nil {
			got = err.Error()
		}
		if got != want && (err == nil || !strings.Contains(got, want)) {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}

// TestKubeconfig holds that what is wrong with a kubeconfig is said in one line, with what is expected.
func TestKubeconfig(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, "token", "secret")
	for name, tc := range map[string]struct{ content, context, host, err string }{
		"current context":   {kubeconfig("token: one"), "", "https://127.0.0.1:1", ""},
		"named context":     {kubeconfig("token: one"), "two", "https://127.0.0.1:2", ""},
		"relative path":     {kubeconfig("tokenFile: token"), "", "https://127.0.0.1:1", ""},
		"not there":         {kubeconfig("token: one"), "three", "", `no context "three"; it has lost, one, two`},
		"points to nothing": {kubeconfig("token: one"), "lost", "", `names cluster "nowhere", which is not there; want one of c, d`},
		"no current":        {"apiVersion: v1\nkind: Config", "", "", "no current-context; want one"},
		"no YAML":           {"{{{", "", "", "is not a kubeconfig"},
		"other kind":        {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}", "", "", "kubeconfig"},
		"bad certificate":   {kubeconfig("client-certificate-data: '!'"), "", "", "is not a kubeconfig"},
	} {
		t.Run(name, func(t *testing.T) {
			path := place(t, dir, "k", tc.content)
			cfg, revision, err := kubeconfigFile(path, tc.context)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got error %v, want one line with %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if cfg.Host != tc.host || revision == "" {
				t.Errorf("got host %s, revision %q, want %s and a revision", cfg.Host, revision, tc.host)
			}
			if cfg.BearerTokenFile != "" && cfg.BearerTokenFile != filepath.Join(dir, "token") {
				t.Errorf("the token file is %s", cfg.BearerTokenFile)
			}
		})
	}
}

// TestKubeconfigFromOutside_X1 holds that a kubeconfig out of a Secret can't make the controller read a file or run a
// command.
func TestKubeconfigFromOutside_X1(t *testing.T) {
	for user, want := range map[string]string{
		"token: one":                     "",
		"tokenFile: /etc/passwd":         "tokenFile is a path; want token",
		"client-certificate: /etc/c.pem": "client-certificate is a path; want client-certificate-data",
		"client-key: /etc/c.pem":         "client-key is a path; want client-key-data",
		"exec: {command: sh, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never}": "exec is not allowed",
		"auth-provider: {name: oidc}": "auth-provider is not allowed",
	} {
		_, _, err := kubeconfigData([]byte(kubeconfig(user)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", user, err, want)
		}
	}
	ca := strings.Replace(kubeconfig("token: one"), "{server:", "{certificate-authority: /etc/ca, server:", 1)
	if _, _, err := kubeconfigData([]byte(ca)); err == nil || !strings.Contains(err.Error(), "certificate-authority is a path") {
		t.Errorf("certificate-authority: got %v", err)
	}
}

// watchSource runs a source and returns a function that gives its next report.
func watchSource(t *testing.T, s Source) (next func() []Registration) {
	t.Helper()
	reports := make(chan []Registration, 10)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, func(regs []Registration) { reports <- regs }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the source ended with %v", err)
		}
	})
	return func() []Registration {
		t.Helper()
		select {
		case regs := <-reports:
			return regs
		case err := <-done:
			done <- nil
			t.Fatalf("the source ended: %v", err)
		case <-time.After(time.Minute):
			t.Fatal("no report")
		}
		return nil
	}
}

// told tells registrations as "id" or "id!" if they can't be used.
func told(regs []Registration) string {
	var list []string
	for _, reg := range regs {
		s := reg.ID
		if reg.Err != nil {
			s += "!"
		} else if reg.Config == nil || reg.Revision == "" {
			s += "?"
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestDirectory holds that files that come, change, break and go are members that do (DESIGN 4, SPEC L6).
func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, "c1.kubeconfig", kubeconfig("token: one"))
	place(t, dir, ".hidden", "")
	place(t, dir, "README.md", "")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	next := watchSource(t, Directory{Path: dir, Poll: 5 * time.Millisecond, Registration: Registration{Provider: true}})
	first := next()
	if got := told(first); got != "c1" || !first[0].Provider {
		t.Fatalf("at first: %s", got)
	}
	place(t, dir, "c2.east.yaml", kubeconfig("token: two"))
	if got := told(next()); got != "c1 c2.east" {
		t.Fatalf("after another file: %s", got)
	}
	place(t, dir, "c1.kubeconfig", kubeconfig("token: three"))
	rotated := next()
	if got := told(rotated); got != "c1 c2.east" || rotated[0].Revision == first[0].Revision {
		t.Fatalf("after other credentials: %s", got)
	}
	if got := rotated[0].Config.BearerToken; got != "three" {
		t.Fatalf("the token is %q", got)
	}
	place(t, dir, "c1.kubeconfig", "broken")
	if got := told(next()); got != "c1! c2.east" {
		t.Fatalf("after a broken file: %s", got)
	}
	if err := os.Remove(filepath.Join(dir, "c2.east.yaml")); err != nil {
		t.Fatal(err)
	}
	if got := told(next()); got != "c1!" {
		t.Fatalf("after a removed file: %s", got)
	}
}

// TestDirectoryMissing_L6 holds that a directory that can't be read is an error at the start, and no news later.
func TestDirectoryMissing_L6(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := (Directory{Path: dir}).Run(t.Context(), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want that it does not exist", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	place(t, dir, "c1", kubeconfig("token: one"))
	noticed := make(lines, 10)
	next := watchSource(t, Directory{Path: dir, Poll: 5 * time.Millisecond, Log: slog.New(slog.NewTextHandler(noticed, nil))})
	next()
	away := dir + "-away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if line := <-noticed; !strings.Contains(line, "the members stay as they are") {
		t.Fatalf("the log says %s", line)
	}
	place(t, away, "c2", kubeconfig("token: one"))
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	if got := told(next()); got != "c1 c2" {
		t.Errorf("after the directory was away: %s", got)
	}

	// What a mount point shows when nothing is mounted there.
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for line := ""; !strings.Contains(line, "another directory than before, and empty"); {
		select {
		case line = <-noticed:
		case <-time.After(time.Minute):
			t.Fatal("an empty directory is believed")
		}
	}
	place(t, away, "c3", kubeconfig("token: one"))
	if err := errors.Join(os.Remove(dir), os.Rename(away, dir)); err != nil {
		t.Fatal(err)
	}
	if got := told(next()); got != "c1 c2 c3" {
		t.Errorf("after an empty directory was in its place: %s", got)
	}
}

// TestDirectoryReplaced_L6 holds that files which are replaced one and all are no members that left, and that those which stay
// away are.
func TestDirectoryReplaced_L6(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "d")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	names := []string{"c1", "c2", "c3"}
	for _, name := range names {
		place(t, dir, name, kubeconfig("token: one"))
	}
	noticed := make(lines, 10)
	next := watchSource(t, Directory{Path: dir, Poll: 5 * time.Millisecond, hold: time.Second, Log: slog.New(slog.NewTextHandler(noticed, nil))})
	next()
	swap := func() { // all files at once, for another one
		other := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(other, 0o700); err != nil {
			t.Fatal(err)
		}
		place(t, other, "other", kubeconfig("token: one"))
		if err := errors.Join(os.Rename(dir, filepath.Join(t.TempDir(), "old")), os.Rename(other, dir)); err != nil {
			t.Fatal(err)
		}
		for line := ""; !strings.Contains(line, "3 of"); line = <-noticed { // it may have seen that there was none for a moment
		}
	}
	swap()
	for _, name := range names {
		place(t, dir, name, kubeconfig("token: two"))
	}
	if got := told(next()); got != "c1 c2 c3 other" {
		t.Errorf("after they were replaced: %s", got)
	}
	swap()
	if got := told(next()); got != "other" {
		t.Errorf("after they were removed for good: %s", got)
	}
}

// lines is a log as a channel.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestFlags holds that the members of flags follow their files, and that flags of which none is any good are told.
func TestFlags(t *testing.T) {
	dir := t.TempDir()
	good := place(t, dir, "good", kubeconfig("token: one"))
	missing := filepath.Join(dir, "missing")
	s := Flags{Flags: []Flag{{ID: "c1", Path: good}, {ID: "c2", Path: missing}}, Poll: 5 * time.Millisecond}
	bad, none := s.Check()
	if none || len(bad) != 1 || !strings.Contains(bad[0].Error(), "--cluster c2="+missing) {
		t.Errorf("the check says %v, none %v", bad, none)
	}
	if _, none := (Flags{Flags: []Flag{{ID: "c2", Path: missing}}}).Check(); !none {
		t.Error("the check does not notice that nothing can run")
	}
	next := watchSource(t, s)
	if got := told(next()); got != "c1 c2!" {
		t.Errorf("at first: %s", got)
	}
	place(t, dir, "missing", kubeconfig("token: one"))
	if got := told(next()); got != "c1 c2" {
		t.Errorf("once the file is there: %s", got)
	}
}

func TestApplyRole(t *testing.T) {
	for role, want := range map[string]string{
		"":         "provider consumer status",
		"both":     "provider consumer status",
		"provider": "provider status",
		"consumer": "consumer",
		"Provider": "want provider, consumer or both",
	} {
		reg := Registration{Provider: true, Consumer: true, ExportStatus: true}
		got := ""
		if err := applyRole(&reg, role); err != nil {
			got = err.Error()
		} else {
			for name, is := range map[string]bool{"1provider": reg.Provider, "2consumer": reg.Consumer, "3status": reg.ExportStatus} {
				if is {
					got += " " + name
				}
			}
			names := strings.Fields(got)
			slices.Sort(names)
			for i := range names {
				names[i] = names[i][1:]
			}
			got = strings.Join(names, " ")
		}
		if !strings.Contains(got, want) {
			t.Errorf("%q: got %q, want %q", role, got, want)
		}
	}
}
