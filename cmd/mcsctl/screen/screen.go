// Package screen writes what commands found: tables and marks for people, JSON or YAML for programs.
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
	Out    io.Writer // what was found
	Err    io.Writer // progress, and what went wrong
	Format Format
	color  bool
}

// New returns a screen that colours what it writes if out is a terminal and the environment has nothing against it.
func New(out, err io.Writer, format Format) *Screen {
	s := &Screen{Out: out, Err: err, Format: format}
	if file, ok := out.(*os.File); ok && format == Text {
		s.color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
	}
	return s
}

// Data writes v in the format for programs.
func (s *Screen) Data(v any) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	if s.Format == YAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(s.Out, strings.TrimSuffix(string(text), "\n"))
	return err
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

var tones = map[Tone]struct{ mark, code string }{
	Good: {"✔", "32"}, Quiet: {"-", "90"}, Unsure: {"?", "36"}, Odd: {"!", "33"}, Bad: {"✘", "31"},
}

// Mark is the mark of a tone, coloured.
func (s *Screen) Mark(t Tone) string { return s.Paint(t, tones[t].mark) }

// Paint colours text, if colours are used.
func (s *Screen) Paint(t Tone, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + tones[t].code + "m" + text + "\x1b[0m"
}

// Bold makes text stand out, if colours are used.
func (s *Screen) Bold(text string) string {
	if !s.color {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// Line writes one line.
func (s *Screen) Line(format string, args ...any) { fmt.Fprintf(s.Out, format+"\n", args...) }

// Progress writes one line about work under way, which is not part of the result.
func (s *Screen) Progress(format string, args ...any) { fmt.Fprintf(s.Err, format+"\n", args...) }

// Table writes rows under a header, in columns; empty cells show as "-".
func (s *Screen) Table(header []string, rows [][]string) {
	w := tabwriter.NewWriter(s.Out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = cell
			if cell == "" {
				cells[i] = "-"
			}
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
	}
	_ = w.Flush()
}
