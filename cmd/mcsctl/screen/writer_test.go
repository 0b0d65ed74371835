package screen

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"unicode"
	"unicode/utf8"

	"sigs.k8s.io/yaml"
)

// hostile is what a cluster may say to a terminal, with what a person sees instead.
var hostile = map[string]string{
	"\x1b[2J\x1b[32mall is well":    `\x1b[2J\x1b[32mall is well`,
	"\x1b]0;title\x07":              `\x1b]0;title\a`,
	"a\rb\bc\x00d\x7f":              `a\rb\bc\x00d\x7f`,
	"two\nlines\tand a tab":         `two\nlines\tand a tab`,
	"C1 \u009b31m, and raw \x9b31m": `C1 \u009b31m, and raw \x9b31m`,
	"right \u202eto\u202c left":     `right \u202eto\u202c left`,
	"isolates \u2066\u2069":         `isolates \u2066\u2069`,
	"zero\u200b\u200d\ufeff width":  `zero\u200b\u200d\ufeff width`,
	"lines\u2028and\u2029more":      `lines\u2028and\u2029more`,
	"tags \U000e0041":               `tags \U000e0041`,
	"fillers \u3164\u115f":          `fillers \u3164\u115f`,
	"broken \xe2\x82 and \xc0\x80":  `broken \xe2\x82 and \xc0\x80`,
	"said so \ufffd":                "said so \ufffd",
	"Größe ✔ → 日本 𝛑":                "Größe ✔ → 日本 𝛑",
}

// terminal is a Screen with colours, and what was written.
func terminal(format Format) (*Screen, *bytes.Buffer) {
	var b bytes.Buffer
	s := New(&b, &b, format)
	s.Out.color = format == Text
	return s, &b
}

// TestValues: what a value says never acts on the terminal, wherever it stands, and stays in its line; our own colours do.
func TestValues(t *testing.T) {
	for said, seen := range hostile {
		for what, c := range map[string]struct {
			print func(s *Screen)
			want  string
		}{
			"in a line":    {func(s *Screen) { s.Line("%s: %-3s.", said, said) }, seen + ": " + seen + ".\n"},
			"as an error":  {func(s *Screen) { s.Progress("x %v", errors.New(said)) }, "x " + seen + "\n"},
			"in a list":    {func(s *Screen) { s.Line("%v", []string{said}) }, "[" + seen + "]\n"},
			"in bold":      {func(s *Screen) { s.Line("%s", s.Bold(said)) }, "\x1b[1m" + seen + "\x1b[0m\n"},
			"in colour":    {func(s *Screen) { s.Line("%s %s", s.Mark(Bad), s.Paint(Bad, said)) }, "\x1b[31m✘\x1b[0m \x1b[31m" + seen + "\x1b[0m\n"},
			"in a table":   {func(s *Screen) { s.Table([]string{"A", "B"}, [][]string{{"x", said}, {"", "y"}}) }, "A   B\nx   " + seen + "\n-   y\n"},
			"by the bytes": {func(s *Screen) { _, _ = io.WriteString(s.Out, "<"+said+">") }, "<" + strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(seen) + ">"},
		} {
			s, b := terminal(Text)
			if c.print(s); b.String() != c.want {
				t.Errorf("%q %s: got %q, want %q", said, what, b.String(), c.want)
			}
		}
	}
}

// TestNoColour: without colours nothing is left of styles.
func TestNoColour(t *testing.T) {
	var b bytes.Buffer
	s := New(&b, &b, Text)
	s.Line("%s %s", s.Mark(Good), s.Bold("fine"))
	if b.String() != "✔ fine\n" {
		t.Errorf("%q", b.String())
	}
}

// TestStylesAreOurs: a value can't choose a colour, even if it knows how styles are told.
func TestStylesAreOurs(t *testing.T) {
	s, b := terminal(Text)
	s.Line("%s", "\xff"+word+"2all is well")
	_, _ = io.WriteString(s.Out, "\xff\xffAAAAAAAA2all is well\n\xff"+word+"x\n")
	if strings.Contains(b.String(), "\x1b") {
		t.Errorf("%q", b.String())
	}
}

// TestData: JSON and YAML are as safe, and say the same to programs.
func TestData(t *testing.T) {
	for said := range hostile {
		for _, format := range []Format{JSON, YAML} {
			s, b := terminal(format)
			if err := s.Data(map[string]any{"key": said, said: []string{"x"}}); err != nil {
				t.Fatal(err)
			}
			if bad := strings.IndexFunc(b.String(), func(r rune) bool { return r != '\n' && !printable(r) }); bad >= 0 {
				t.Errorf("%s of %q: %q", format, said, b.String())
			}
			var got map[string]any
			err := json.Unmarshal(b.Bytes(), &got)
			if format == YAML {
				err = yaml.Unmarshal(b.Bytes(), &got)
			}
			want := strings.ToValidUTF8(said, "\x00")
			if have, _ := got["key"].(string); err != nil || !strings.Contains(said, "\xff") && utf8.ValidString(said) && have != want {
				t.Errorf("%s of %q reads %q, %v", format, said, got["key"], err)
			}
		}
	}
}

// FuzzWriter: whatever is written, in whatever pieces, nothing but printable text, newlines and tabs comes out.
func FuzzWriter(f *testing.F) {
	for said := range hostile {
		f.Add(said, 3)
	}
	f.Fuzz(func(t *testing.T, text string, at int) {
		at = max(0, min(at, len(text)))
		var whole, pieces bytes.Buffer
		w, p := NewWriter(&whole), NewWriter(&pieces)
		w.color, p.color = true, true
		_, _ = io.WriteString(w, text+"\n")
		_, _ = io.WriteString(p, text[:at])
		_, _ = io.WriteString(p, text[at:]+"\n")
		if whole.String() != pieces.String() {
			t.Errorf("%q cut at %d: %q, else %q", text, at, pieces.String(), whole.String())
		}
		for _, r := range whole.String() {
			if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
				t.Errorf("%q lets %U through", text, r)
			}
		}
		if escaped := Escape(text); strings.ContainsAny(escaped, "\n\t\x1b") || !utf8.ValidString(escaped) {
			t.Errorf("%q is escaped to %q", text, escaped)
		}
	})
}

// TestLong_X6: what a value says is bounded wherever it stands, and JSON and YAML stay what they are.
func TestLong_X6(t *testing.T) {
	for name, said := range map[string]string{
		"text": strings.Repeat("x", 4<<20), "two bytes": strings.Repeat("é", 1<<20), "escapes": strings.Repeat("\x1b\"", 1<<20), "broken": strings.Repeat("\xe2", 1<<20),
	} {
		for where, print := range map[string]func(s *Screen){
			"line":     func(s *Screen) { s.Line("%s", said) },
			"error":    func(s *Screen) { s.Progress("%v", errors.New(said)) },
			"list":     func(s *Screen) { s.Line("%v", []string{said}) },
			"bold":     func(s *Screen) { s.Line("%s", s.Bold(said)) },
			"table":    func(s *Screen) { s.Table([]string{"A"}, [][]string{{said}}) },
			"for code": func(s *Screen) { _ = s.Data(map[string]any{"a": said, "b": "whole", "c": []string{said}}) },
		} {
			for _, format := range []Format{Text, JSON, YAML} {
				if (where == "for code") == (format == Text) {
					continue
				}
				s, b := terminal(format)
				print(s)
				if b.Len() == 0 || b.Len() > 2*8*most || !strings.Contains(b.String(), " bytes)") {
					t.Errorf("%s in a %s: %d bytes, want up to %d", name, where, b.Len(), 16*most)
				}
				got := map[string]any{}
				if format != Text && (yaml.Unmarshal(b.Bytes(), &got) != nil || got["b"] != "whole" || len(got) != 3) {
					t.Errorf("%s in a %s: it is none any longer", name, where)
				}
			}
		}
	}
}

// TestTogether: a command that was abandoned at its deadline may write still, and breaks no character of what else is written.
func TestTogether(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b)
	var wg sync.WaitGroup
	const times = 1000
	for _, text := range []string{"one\n", "two\n"} {
		wg.Go(func() {
			for range times {
				_, _ = w.Write([]byte(text))
			}
		})
	}
	wg.Wait()
	if one, two := strings.Count(b.String(), "one\n"), strings.Count(b.String(), "two\n"); one != times || two != times {
		t.Errorf("%d and %d lines, want %d of each", one, two, times)
	}
}
