package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

// TestBudgets_X6: the page about security has the budgets of clients as they are.
func TestBudgets_X6(t *testing.T) {
	const head = "| what | at most | the largest that an honest server sends |\n|---|---|---|\n"
	body, err := os.ReadFile("security.md")
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(body), head)
	_, after, ends := strings.Cut(rest, "\nAn answer over its budget")
	if !found || !ends {
		t.Fatal("security.md has no table of budgets")
	}
	var rows strings.Builder
	for _, b := range kubeclient.Budgets() {
		fmt.Fprintf(&rows, "| %s | %s | %s |\n", b.What, b.Most, b.Legitimate)
	}
	want := before + head + rows.String() + "\nAn answer over its budget" + after
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
