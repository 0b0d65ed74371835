package need

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Record is the environment variable with the path of the file that skipped tests are written to.
const Record = "MCS_SKIPPED"

// A Skip is one test that did not run.
type Skip struct{ Need, Test, Reason string }

// appendTo adds a line to the record at path, which several processes write to at once; without a path it does nothing.
func (s Skip) appendTo(path string) error {
	if path == "" {
		return nil
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	return errors.Join(err, file.Close())
}

// ReadRecord returns the skipped tests in the record at path. No file means that none was skipped.
func ReadRecord(path string) ([]Skip, error) {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var skips []Skip
	for line := range bytes.Lines(text) {
		var s Skip
		if err := json.Unmarshal(line, &s); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		skips = append(skips, s)
	}
	return skips, nil
}

// Summary counts skipped tests by need and reason, most first: "12 tests skipped: 9 packets (...), 3 images (...)". It is empty
// if there are none.
func Summary(skips []Skip) string {
	type group struct{ need, reason string }
	count := map[group]int{}
	var groups []group
	for _, s := range skips {
		g := group{s.Need, s.Reason}
		if count[g]++; count[g] == 1 {
			groups = append(groups, g)
		}
	}
	slices.SortFunc(groups, func(a, b group) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return strings.Compare(a.need+a.reason, b.need+b.reason)
	})
	var parts []string
	for _, g := range groups {
		parts = append(parts, fmt.Sprintf("%d %s (%s)", count[g], g.need, g.reason))
	}
	switch len(skips) {
	case 0:
		return ""
	case 1:
		return "1 test skipped: " + parts[0]
	}
	return fmt.Sprintf("%d tests skipped: %s", len(skips), strings.Join(parts, ", "))
}
