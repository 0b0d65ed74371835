package main

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// stock is the folder of CoreDNS's sources.
func stock(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/coredns/coredns").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestPlugins: every plugin of stock CoreDNS, in its order, and multicluster right before kubernetes (SPEC A5).
func TestPlugins(t *testing.T) {
	config, err := os.ReadFile(filepath.Join(stock(t), "plugin.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for lines := bufio.NewScanner(bytes.NewReader(config)); lines.Scan(); {
		name, _, ok := strings.Cut(lines.Text(), ":")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if name == "kubernetes" {
			want = append(want, "multicluster")
		}
		want = append(want, name)
	}
	if !slices.Equal(dnsserver.Directives, want) {
		t.Errorf("the directives are\n%v\nplugin.cfg and ours are\n%v", dnsserver.Directives, want)
	}
	registered := caddy.ListPlugins()["others"]
	for _, name := range want {
		if !slices.Contains(registered, "dns."+name) && !slices.Contains(registered, name) {
			t.Errorf("plugin %s is not compiled in", name)
		}
	}
}

var corefileBlock = regexp.MustCompile("(?s)(?:```|~~~) *corefile\n(.*?)(?:```|~~~)")

// TestStockCorefiles: each Corefile in the manuals of the stock plugins is taken, or refused, as stock CoreDNS does it
// (SPEC A5). What is refused needs something that is not here: files, a cluster, a cloud's credentials.
func TestStockCorefiles(t *testing.T) {
	manuals, err := filepath.Glob(filepath.Join(stock(t), "plugin", "*", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ours := dnsserver.Directives
	theirs := slices.DeleteFunc(slices.Clone(ours), func(name string) bool { return name == "multicluster" })
	t.Cleanup(func() { dnsserver.Directives = ours })
	load := func(directives []string, corefile string) string {
		dnsserver.Directives = directives
		input := caddy.CaddyfileInput{Contents: []byte(corefile), Filepath: "Corefile", ServerTypeName: "dns"}
		if err := caddy.ValidateAndExecuteDirectives(input, nil, true); err != nil {
			return err.Error()
		}
		return ""
	}
	taken, all := 0, 0
	for _, manual := range manuals {
		text, err := os.ReadFile(manual)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range corefileBlock.FindAllStringSubmatch(string(text), -1) {
			all++
			here, there := load(ours, block[1]), load(theirs, block[1])
			if here != there {
				t.Errorf("%s:\n%s\nstock CoreDNS says %q, this one %q", manual, block[1], there, here)
			}
			if here == "" {
				taken++
			}
		}
	}
	if t.Logf("%d of %d are taken", taken, all); 2*taken < all || all < 100 {
		t.Errorf("only %d of %d Corefiles are taken", taken, all)
	}
}
