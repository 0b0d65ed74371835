package controlplane

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTail(t *testing.T) {
	for _, test := range []struct{ name, log, want string }{
		{"empty", "", ""},
		{"fewer", "a\n", "a"},
		{"as many", "a\nb\n", "a\nb"},
		{"more", "a\nb\nc\n", "b\nc"},
		{"no newline at the end", "a\nb\nc", "b\nc"},
		{"empty lines", "a\n\nc\n", "\nc"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(test.log), 0o600); err != nil {
				t.Fatal(err)
			}
			if have := (&process{logFile: file}).tail(2); have != test.want {
				t.Errorf("got %q, want %q", have, test.want)
			}
		})
	}
}
