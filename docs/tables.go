package docs

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Row is a row of a table, cell by cell.
type Row []string

// Rows returns the rows of all tables between a heading of a page and the next one, without the heads of the tables; an error if
// there are none.
func Rows(page, section string) (rows []Row, err error) {
	text, err := pages.ReadFile(page)
	if err != nil {
		return nil, err
	}
	inside, body := false, false
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			inside, body = strings.TrimLeft(line, "# ") == section, false
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|---"):
			body = true
		case inside && body:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s has no table under %q", page, section)
	}
	return rows, nil
}

var code = regexp.MustCompile("`([^`]+)`")

// Code returns what a cell has in backquotes, in order; nothing if the row has no such cell.
func (r Row) Code(cell int) (words []string) {
	if cell >= len(r) {
		return nil
	}
	for _, m := range code.FindAllStringSubmatch(r[cell], -1) {
		words = append(words, m[1])
	}
	return words
}

// Metric returns the metric of a row that has its name in the first cell and its labels in the second, as [Metrics] has it.
func (r Row) Metric() string {
	labels := r.Code(1)
	slices.Sort(labels)
	return strings.Join(r.Code(0), " ") + "{" + strings.Join(labels, ",") + "}"
}

var described = regexp.MustCompile(`fqName: "([^"]+)".*variableLabels: \{(.*)\}\}$`)

// Metrics returns the metrics of a registry that have names to keep, each with the names of its labels, such as "up{instance,job}".
func Metrics(r *prometheus.Registry, keep func(name string) bool) (metrics []string) {
	descs := make(chan *prometheus.Desc)
	go func() {
		defer close(descs)
		r.Describe(descs)
	}()
	for d := range descs {
		m := described.FindStringSubmatch(d.String())
		if m == nil {
			metrics = append(metrics, d.String()) // which no page has
		} else if keep(m[1]) {
			labels := strings.Split(m[2], ",")
			slices.Sort(labels)
			metrics = append(metrics, m[1]+"{"+strings.Join(labels, ",")+"}")
		}
	}
	slices.Sort(metrics)
	return slices.Compact(metrics)
}
