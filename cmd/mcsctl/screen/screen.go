// Package screen writes what commands found: tables and marks for people, JSON or YAML for programs.
//
// All that is written passes a [Writer], which escapes what could act on a terminal: error texts and objects come from clusters.
//
// Colours are used on a terminal only, and not where the variable NO_COLOR is set (https://no-color.org). Nothing is ever
// said by colour alone.
package screen

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// Format is what output looks like.
type Format string

// The formats. Text is for people.
const (
	Text Format = ""
	JSON Format = "json"
	YAML Format = "yaml"
)

// ParseFormat reads the value of -o.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Text, JSON, YAML:
		return f, nil
	}
	return Text, fmt.Errorf("-o %q: want json or yaml, or nothing for text", s)
}

// Screen is where a command writes.
type Screen struct {
	Out    *Writer // what was found
	Err    *Writer // progress, and what went wrong
	Format Format
}

// New returns a screen that colours what it writes if out is a terminal and the environment has nothing against it.
func New(out, err io.Writer, format Format) *Screen {
	s := &Screen{Out: NewWriter(out), Err: NewWriter(err), Format: format}
	if file, ok := s.Out.raw.(*os.File); ok && format == Text {
		s.Out.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
	}
	return s
}

// Data writes v in the format for programs.
func (s *Screen) Data(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	text = []byte(s.escapeData(cutData(string(text))))
	if s.Format == YAML {
		asYAML, err := yaml.JSONToYAML(text)
		if err != nil {
			return err
		}
		// What has to be escaped is written as JSON, which is YAML, too: a plain scalar can't be escaped.
		if strings.IndexFunc(string(asYAML), func(r rune) bool { return r != '\n' && !printable(r) }) < 0 {
			text = asYAML
		}
	}
	_, err = fmt.Fprintln(s.Out, strings.TrimSuffix(string(text), "\n"))
	return err
}

// cutData cuts, in JSON, strings that are too long. It cuts between escapes.
func cutData(text string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(text, '"')
		if open < 0 {
			b.WriteString(text)
			return b.String()
		}
		end, cut := open+1, 0
		for text[end] != '"' {
			if end-open <= most {
				cut = end
			}
			switch {
			case text[end] != '\\':
				_, n := utf8.DecodeRuneInString(text[end:])
				end += n
			case text[end+1] == 'u':
				end += len(`\u0000`)
			default:
				end += len(`\n`)
			}
		}
		if length := end - open - 1; length > most {
			fmt.Fprintf(&b, "%s... (%d bytes)", text[:cut], length)
		} else {
			b.WriteString(text[:end])
		}
		b.WriteByte('"')
		text = text[end+1:]
	}
}

// escapeData escapes, in JSON, what is not printable, which can only be in strings.
func (s *Screen) escapeData(text string) string {
	var b strings.Builder
	for _, r := range text {
		high, low := utf16.EncodeRune(r)
		switch {
		case r == '\n' || printable(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		case s.Format == YAML: // which has no pairs
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		}
	}
	return b.String()
}

// Tone is how something is to be taken.
type Tone int

// The tones, each with a mark of its own.
const (
	Good Tone = iota
	Quiet
	Unsure
	Odd
	Bad
)

var tones = map[Tone]struct{ mark, style string }{
	Good: {"✔", "2"}, Quiet: {"-", "9"}, Unsure: {"?", "6"}, Odd: {"!", "3"}, Bad: {"✘", "4"},
}

// Mark is the mark of a tone, coloured.
func (s *Screen) Mark(t Tone) Styled { return s.Paint(t, tones[t].mark) }

// Paint colours text, if colours are used.
func (s *Screen) Paint(t Tone, text string) Styled { return Styled{tones[t].style, text} }

// Bold makes text stand out, if colours are used.
func (s *Screen) Bold(text string) Styled { return Styled{"1", text} }

// Line writes one line. What the format breaks into lines stays so; a line break in an argument is escaped.
func (s *Screen) Line(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", values(args)...) }

// Progress writes one line about work under way, which is not part of the result.
func (s *Screen) Progress(format string, args ...any) {
	fmt.Fprintf(s.Err, format+"\n", values(args)...)
}

// Table writes rows under a header, in columns; empty cells show as "-".
func (s *Screen) Table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(s.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = Escape(Cut(cell))
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
}
