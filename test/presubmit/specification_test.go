package presubmit

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The pages that citations lead to.
const (
	specificationPage = "docs/design/specification.md"
	designPage        = "docs/design/design.md"
	stylePage         = "docs/design/style.md"
)

// TestSpecification: every line of the specification that something cites is there, and every line has a test that names it or
// says why it has none.
func TestSpecification(t *testing.T) {
	spec, faults := readSpecification(read(t, specificationPage))
	if len(spec.lines) < 60 {
		t.Fatalf("%s has only the lines %v", specificationPage, slices.Sorted(maps.Keys(spec.lines)))
	}
	cited, named := 0, map[string]bool{}
	for _, name := range cites(t) {
		for _, c := range citations(read(t, name)) {
			cited++
			if !spec.has(c) {
				faults = append(faults, fmt.Sprintf("%s cites SPEC %s, which %s does not have", name, c, specificationPage))
			}
			named[c] = named[c] || isTest(name)
		}
	}
	if cited < 400 {
		t.Errorf("only %d citations were found", cited)
	}
	for _, fault := range append(faults, spec.untested(named)...) {
		t.Error(fault)
	}
}

// TestDecisions: every decision of the design and every habit of the style that something cites is there.
func TestDecisions(t *testing.T) {
	numbered := regexp.MustCompile(`(?m)^(?:### )?(\d+)\. `)
	cited := 0
	for word, page := range map[string]string{"DESIGN": designPage, "STYLE": stylePage} {
		known := map[string]bool{}
		for _, m := range numbered.FindAllStringSubmatch(read(t, page), -1) {
			if known[m[1]] {
				t.Errorf("%s has two that are number %s", page, m[1])
			}
			known[m[1]] = true
		}
		for _, name := range cites(t) {
			for _, m := range regexp.MustCompile(word+` (\d+)`).FindAllStringSubmatch(read(t, name), -1) {
				cited++
				if !known[m[1]] {
					t.Errorf("%s cites %s %s, which %s does not have", name, word, m[1], page)
				}
			}
		}
	}
	if cited < 10 {
		t.Errorf("only %d citations were found", cited)
	}
}

// cites returns the files that may cite.
func cites(t *testing.T) []string {
	t.Helper()
	names := tracked(t, "*.go", "*.md", "*.txtar", "*.yaml", "*.sh", "Makefile")
	return slices.DeleteFunc(names, func(name string) bool {
		_, err := os.Stat(filepath.Join(root(t), name)) // removed in the work tree
		return name == specificationPage || name == "test/presubmit/specification_test.go" || err != nil
	})
}

// isTest reports whether what a file cites is held by a test there: guards only say which test must fail without them.
func isTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, ".txtar")
}

// specification is what citations need to know of the page.
type specification struct {
	sections map[string]bool
	lines    map[string]reason
}

// reason is why no test names a line.
type reason string

const (
	none     reason = "" // one must
	given    reason = "says why it has no test"
	unbuilt  reason = "says that all of it is planned"
	allAhead        = "\n*Planned:* all of it" // a line that is built in part has a test
)

func (s specification) has(cited string) bool {
	_, ok := s.lines[cited]
	return ok || s.sections[cited]
}

var (
	sectionHead = regexp.MustCompile(`^## ([A-Z])\. \S`)
	lineHead    = regexp.MustCompile(`^### (([A-Z])\d+)\. \S`)
)

// readSpecification returns the lines of the page, and what is wrong with how they stand there.
func readSpecification(page string) (s specification, faults []string) {
	s = specification{sections: map[string]bool{}, lines: map[string]reason{}}
	section := ""
	for _, part := range regexp.MustCompile(`(?m)^#`).Split(page, -1) {
		part = "#" + part
		if m := sectionHead.FindStringSubmatch(part); m != nil {
			section = m[1]
			s.sections[section] = true
		}
		if !strings.HasPrefix(part, "### ") {
			continue
		}
		m := lineHead.FindStringSubmatch(part)
		if m == nil {
			faults = append(faults, "a line without a number: "+strings.SplitN(part, "\n", 2)[0])
			continue
		}
		if _, twice := s.lines[m[1]]; twice || m[2] != section {
			faults = append(faults, m[1]+" is there twice, or in the section of another letter")
		}
		if !strings.Contains(part, "\n*Source:* ") {
			faults = append(faults, m[1]+" names no source")
		}
		s.lines[m[1]] = none
		switch {
		case strings.Contains(part, allAhead):
			s.lines[m[1]] = unbuilt
		case strings.Contains(part, "\n*No test:* "):
			s.lines[m[1]] = given
		}
	}
	return s, faults
}

// untested returns the lines that no test names and that don't say why, and those that say why although one does.
func (s specification) untested(named map[string]bool) (faults []string) {
	for _, id := range slices.Sorted(maps.Keys(s.lines)) {
		switch why := s.lines[id]; {
		case named[id] && why != none:
			faults = append(faults, fmt.Sprintf("%s %s, but a test names it", id, why))
		case !named[id] && why == none:
			faults = append(faults, "no test names "+id+", and it does not say why")
		}
	}
	return faults
}

const (
	citedOne  = `[A-Z]\d{0,2}\b`
	citedList = `(` + citedOne + `(?:(?:,| and| or| to)? ` + citedOne + `)*)`
)

// The forms of a citation: "SPEC L2, L6 and X1 to X3", also of a section, over the end of a line of a comment, too; the end of a
// test's name, or of a case's; in the name of a case "(L2, L6)"; and the first column of a table of cases.
var citationForms = []*regexp.Regexp{
	regexp.MustCompile(`\bSPEC (?:section )?` + citedList),
	regexp.MustCompile(`\b(?:Test|Fuzz|Benchmark)[A-Za-z0-9]*_((?:[A-Z]\d{0,2})(?:_[A-Z]\d{0,2})*)\b`),
	regexp.MustCompile(`[a-z)]_([A-Z]\d{1,2}(?:_[A-Z]\d{1,2})*)"`),
	regexp.MustCompile(`\(([A-Z]\d{1,2}(?:, [A-Z]\d{1,2})*)\)`),
	regexp.MustCompile(`\{"([A-Z]\d{1,2})", "`),
}

var (
	brokenLine = regexp.MustCompile(`\n[ \t]*(?://|#)?[ \t]*`)
	rangeCited = regexp.MustCompile(`([A-Z])(\d+) to ([A-Z])(\d+)`)
	eachCited  = regexp.MustCompile(`[A-Z]\d*`)
)

// citations returns the lines and sections that a text cites.
func citations(text string) (cited []string) {
	text = brokenLine.ReplaceAllString(text, " ")
	for _, form := range citationForms {
		for _, m := range form.FindAllStringSubmatch(text, -1) {
			cited = append(cited, eachCited.FindAllString(rangeCited.ReplaceAllStringFunc(m[1], expand), -1)...)
		}
	}
	return cited
}

// expand writes a range out. One over two letters stays what it is: its ends.
func expand(cited string) string {
	m := rangeCited.FindStringSubmatch(cited)
	first, _ := strconv.Atoi(m[2]) // they match digits
	last, _ := strconv.Atoi(m[4])
	if m[1] != m[3] {
		return cited
	}
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, m[1]+strconv.Itoa(n))
	}
	return strings.Join(all, ", ")
}

func TestSpecificationFindsFaults(t *testing.T) {
	const page = "# Title\n\n## L. Liveness\n\nText.\n\n### L1. One\n\nText.\n\n*Source:* somewhere.\n\n### L2. Two\n\n*Source:* somewhere.\n" +
		"\n*No test:* reason.\n\n### L3. Three\n\n*Source:* somewhere.\n\n*Planned:* all of it.\n"
	for name, c := range map[string]struct {
		old, new string
		named    string
		want     string
	}{
		"nothing wrong":      {named: "L1"},
		"planned, and built": {named: "L1 L3", want: "L3 says that all of it is planned, but a test names it"},
		"built in part":      {"all of it", "the rest", "L1", "no test names L3, and it does not say why"},
		"no test":            {want: "no test names L1, and it does not say why"},
		"a test after all":   {named: "L1 L2", want: "L2 says why it has no test, but a test names it"},
		"no source":          {"\n*Source:* somewhere.\n\n### L2", "\n### L2", "L1", "L1 names no source"},
		"twice":              {"### L2", "### L1", "", "L1 is there twice, or in the section of another letter"},
		"another letter":     {"### L2", "### X2", "L1", "X2 is there twice, or in the section of another letter"},
		"no number":          {"### L2. Two", "### Two", "L1", "a line without a number: ### Two"},
	} {
		t.Run(name, func(t *testing.T) {
			spec, faults := readSpecification(strings.Replace(page, c.old, c.new, 1))
			named := map[string]bool{}
			for _, id := range strings.Fields(c.named) {
				named[id] = true
			}
			if got := strings.Join(append(faults, spec.untested(named)...), "; "); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !spec.has("L") || !spec.has("L3") || spec.has("L4") || spec.has("M") {
				t.Errorf("got %v", spec)
			}
		})
	}
}

func TestCitations(t *testing.T) {
	for text, want := range map[string]string{
		"// as it was (SPEC L6), and (see SPEC X2, M1 or P)": "L6 X2 M1 P",
		"// SPEC I4, I6, I8 and\n\t// S1: more":              "I4 I6 I8 S1",
		"// holds what SPEC\n// A2 A3 say":                   "A2 A3",
		"(SPEC D1 to D4, D11)":                               "D1 D2 D3 D4 D11",
		"the document (SPEC section A).":                     "A",
		"func TestLeave_L3_X2(t *testing.T) {":               "L3 X2",
		"// TestChoice_P follows":                            "P",
		`"after the grace period (L2, L7)": {`:               "L2 L7",
		`{"D1", "dns-version", "TXT"}`:                       "D1",
		`{"the rest of DNS is as it was_A5_I7", w.rest}`:     "A5 I7",
		`t.Setenv("C1", "x"); utf16(B1); the SPEC. A start`:  "B1",
		"TestWithoutALine, SPECIFIC L1":                      "",
	} {
		if got := strings.Join(citations(text), " "); got != want {
			t.Errorf("%q cites %q, want %q", text, got, want)
		}
	}
}
