package mcsctl

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What differs from run to run.
var changing = []struct {
	what *regexp.Regexp
	is   string
}{
	{regexp.MustCompile(`https://127\.0\.0\.1:\d+`), "https://SERVER"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "DNS-SERVER"},
	{regexp.MustCompile(`10\.9\d\.\d+\.\d+`), "CLUSTER-IP"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|s|m)( ago)?\b`), "AGE$3"},
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`/tmp/\S+`), "FILE"},
	{regexp.MustCompile(`(# mcsctl dns: end) [0-9a-f]{8}\b`), "$1 DIGEST"},
	{regexp.MustCompile(`certificate-authority-data: \S+`), "certificate-authority-data: CA"},
	{regexp.MustCompile(`v1\.\d+\.\d+\S*`), "K8S-VERSION"},
	{regexp.MustCompile(`  \w+=False Pending: .*\n`), ""}, // a step on the way that may be too short to be seen
}

// aRange is left as it is: it is configured, not allocated.
var aRange = regexp.MustCompile(`10\.9\d\.(\d+\.\d+/)`)

func replaced(text string) string {
	text = aRange.ReplaceAllString(text, "10.NN.$1")
	for _, c := range changing {
		text = c.what.ReplaceAllString(text, c.is)
	}
	return text
}

// tableHead is the first line of a table: words in capitals, in columns.
var tableHead = regexp.MustCompile(`^[A-Z]+( [A-Z]+)?( {3,}[A-Z]+( [A-Z]+)?)+\n$`)

// normal replaces what differs from run to run, and leaves all else exactly where it is. A column is as wide as its widest
// cell, so a table is held against that rule as it was printed, and set again by it with what was replaced.
func normal(t testing.TB, text string) string {
	t.Helper()
	var out strings.Builder
	lines := strings.SplitAfter(text, "\n")
	for len(lines) > 0 {
		n := 1
		if !tableHead.MatchString(lines[0]) {
			for n < len(lines) && !tableHead.MatchString(lines[n]) {
				n++
			}
			out.WriteString(replaced(strings.Join(lines[:n], "")))
		} else {
			for n < len(lines) && strings.TrimSpace(lines[n]) != "" {
				n++
			}
			cells := cellsOf(lines[:n])
			if printed := strings.Join(lines[:n], ""); table(cells) != printed {
				t.Errorf("columns are not three spaces further than their widest cell:\n%s\nwant\n%s", printed, table(cells))
			}
			for _, row := range cells {
				for i := range row {
					row[i] = replaced(row[i])
				}
			}
			out.WriteString(table(cells))
		}
		lines = lines[n:]
	}
	return out.String()
}

// cellsOf cuts the lines of a table where its head has columns.
func cellsOf(lines []string) (rows [][]string) {
	var starts []int
	for _, at := range regexp.MustCompile(`[A-Z]+( [A-Z]+)?`).FindAllStringIndex(lines[0], -1) {
		starts = append(starts, at[0])
	}
	for _, line := range lines {
		text := []rune(strings.TrimSuffix(line, "\n"))
		row := make([]string, len(starts))
		for i, from := range starts {
			to := len(text)
			if i+1 < len(starts) {
				to = min(to, starts[i+1])
			}
			row[i] = strings.TrimRight(string(text[min(from, to):to]), " ")
		}
		rows = append(rows, row)
	}
	return rows
}

// table sets cells in columns.
func table(rows [][]string) string {
	var out strings.Builder
	for _, row := range rows {
		for i, cell := range row[:len(row)-1] {
			widest := slices.MaxFunc(rows, func(a, b []string) int { return width(a[i]) - width(b[i]) })
			out.WriteString(cell + strings.Repeat(" ", width(widest[i])+3-width(cell)))
		}
		out.WriteString(row[len(row)-1] + "\n")
	}
	return out.String()
}

func width(cell string) int { return len([]rune(cell)) }
