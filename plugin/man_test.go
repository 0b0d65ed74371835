package multicluster

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestManPage: the man page was made from the README as it is.
func TestManPage(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("coredns-multicluster.7")
	if err != nil {
		t.Fatal(err)
	}
	if made := fmt.Sprintf("%x", sha256.Sum256(readme)); !strings.Contains(string(page), made) {
		t.Error("README.md changed since the man page was made: run `make man`")
	}
	for _, title := range strings.Split(string(readme), "\n## ")[1:] {
		name, _, _ := strings.Cut(title, "\n")
		if !strings.Contains(string(page), "\n.SH "+name+"\n") {
			t.Errorf("the man page has no section %s", name)
		}
	}
}
