package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// report is the figures of one size, in the order in which they were taken.
type report struct {
	title   string
	what    []string
	figures map[string]string
}

func newReport(s size) *report {
	r := &report{title: fmt.Sprintf("%d x %d", s.providers, s.exports), figures: map[string]string{}}
	fmt.Printf("%d providers with %d Services each; %d names, each exported by %d of them with %d endpoints\n",
		s.providers, max(s.services, s.exports*s.exporters/s.providers), s.exports, s.exporters, s.endpoints)
	return r
}

// add notes a figure and prints it.
func (r *report) add(what, format string, args ...any) {
	r.what = append(r.what, what)
	r.figures[what] = fmt.Sprintf(format, args...)
	fmt.Printf("  %-52s %s\n", what, r.figures[what])
}

// printTable prints what was measured as a table in Markdown, a column per size.
func printTable(w io.Writer, reports []*report) {
	if len(reports) == 0 {
		return
	}
	header, line := "| providers x names |", "|---|"
	for _, r := range reports {
		header, line = header+" "+r.title+" |", line+"---|"
	}
	fmt.Fprintf(w, "\n%s\n%s\n", header, line)
	for _, what := range reports[0].what {
		row := "| " + what + " |"
		for _, r := range reports {
			row += " " + r.figures[what] + " |"
		}
		fmt.Fprintln(w, row)
	}
}

// spread is how long things took: p50, p99.
type spread []time.Duration

func (s spread) String() string {
	slices.Sort(s)
	return fmt.Sprintf("%s, %s", s.quantile(.5), s.quantile(.99))
}

// quantile is that of a spread that is sorted.
func (s spread) quantile(q float64) string {
	if len(s) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f ms", float64(s[int(q*float64(len(s)-1))].Microseconds())/1000)
}
