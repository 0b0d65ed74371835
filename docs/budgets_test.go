package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/internal/kubeclient"
)

// TestBudgets_X6: the page about security has the budgets of clients, and of what is kept of importing clusters, as they are.
func TestBudgets_X6(t *testing.T) {
	body, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	var clients, consumers strings.Builder
	for _, b := range kubeclient.Budgets() {
		fmt.Fprintf(&clients, "| %s | %s | %s |\n", b.What, b.Most, b.Legitimate)
	}
	for _, b := range keep.ConsumerBudgets() {
		fmt.Fprintf(&consumers, "| %s | %s | %s |\n", b.What, b.Most, b.Legitimate)
	}
	want := withRows(t, string(body), "| what | at most | the largest that an honest server sends |\n|---|---|---|\n", clients.String())
	want = withRows(t, want, "| kept of an importing cluster | at most | the largest that an honest one has |\n|---|---|---|\n", consumers.String())
	if *update {
		if err := os.WriteFile("security.md", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(body) {
		t.Error("security.md does not have the budgets as they are; go test ./docs -run Budgets -update writes them")
	}
}

// withRows returns a page with other rows below the head of one of its tables.
func withRows(t *testing.T, page, head, rows string) string {
	t.Helper()
	before, rest, found := strings.Cut(page, head)
	_, after, ends := strings.Cut(rest, "\n\n")
	if strings.HasPrefix(rest, "\n") { // a table without rows
		after, ends = rest[1:], true
	}
	if !found || !ends {
		t.Fatalf("security.md has no table %q", head)
	}
	return before + head + rows + "\n" + after
}
