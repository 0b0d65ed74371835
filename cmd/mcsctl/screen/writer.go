package screen

import (
	"crypto/rand"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// Writer is where all output passes. What it is given comes in part from clusters that are not to be trusted with the terminal
// of the person who looks at them: everything but text, newlines and tabs is written as a visible escape, such as \x1b or
// \u202e. Colours are [Styled] text, and added behind that.
type Writer struct {
	raw   io.Writer
	color bool

	mu   sync.Mutex // a command that was abandoned may write still
	rest []byte     // the beginning of a character that the next write continues
}

// NewWriter returns a Writer to w, or w if it is one.
func NewWriter(w io.Writer) *Writer {
	if already, ok := w.(*Writer); ok {
		return already
	}
	return &Writer{raw: w}
}

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := string(w.rest) + string(p)
	w.rest = nil
	var b strings.Builder
	for len(text) > 0 {
		switch n, code, partial := w.style(text); {
		case partial || text[0] != marker && !utf8.FullRuneInString(text):
			w.rest, text = []byte(text), ""
			continue
		case n > 0:
			text = text[n:]
			if w.color {
				b.WriteString("\x1b[" + code + "m")
			}
			continue
		}
		r, n := utf8.DecodeRuneInString(text)
		if r == '\n' || r == '\t' {
			b.WriteByte(text[0])
		} else {
			b.WriteString(visible(r, text[:n]))
		}
		text = text[n:]
	}
	if _, err := io.WriteString(w.raw, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

// most is the length of one value, in bytes: 200 cluster ids of 63 characters are shorter. What a cluster says has no bound of
// its own.
const most = 16 << 10

// Cut returns text, without its end if it is too long for a value.
func Cut(text string) string { return excerpt.Cut(text, most) }

// Escape returns text of which nothing but printable characters is left: newlines and tabs are escaped, too, so that a value
// stays in its place in a line.
func Escape(text string) string {
	var b strings.Builder
	for len(text) > 0 {
		r, n := utf8.DecodeRuneInString(text)
		b.WriteString(visible(r, text[:n]))
		text = text[n:]
	}
	return b.String()
}

// visible returns the character r, encoded as text, as a person can see it.
func visible(r rune, text string) string {
	switch {
	case printable(r) && (r != utf8.RuneError || len(text) > 1):
		return text
	case r == utf8.RuneError:
		return fmt.Sprintf(`\x%02x`, text[0])
	}
	return strings.Trim(strconv.QuoteRuneToASCII(r), "'")
}

// printable reports whether r can be seen, and changes nothing around it: letters, marks, numbers, punctuation, symbols, and
// the space; no control or format characters, among them those that change the direction of text. Fillers are letters that
// can't be seen.
func printable(r rune) bool {
	switch r {
	case 0x115f, 0x1160, 0x3164, 0xffa0:
		return false
	}
	return strconv.IsPrint(r)
}

// Styled is text that stands out where colours are used; only [Screen] makes it.
type Styled struct{ style, text string }

// A style is told to a Writer by a byte that no text has, a word that nobody else can know, and the number of a style.
const marker = '\xff'

var word = rand.Text()[:8]

// styles are the codes of styles by their number.
var styles = map[byte]string{'0': "0", '1': "1", '2': "32", '3': "33", '4': "31", '6': "36", '9': "90"}

// Format implements fmt.Formatter: any verb writes the text, with its style.
func (s Styled) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.marked()) }

func (s Styled) marked() string {
	return string([]byte{marker}) + word + s.style + Escape(Cut(s.text)) + string([]byte{marker}) + word + "0"
}

// style reads a style at the beginning of text: its length and code, or that it may be one that the next write completes.
func (w *Writer) style(text string) (n int, code string, partial bool) {
	const length = 1 + 8 + 1
	begin := string([]byte{marker}) + word
	switch {
	case len(text) < length:
		return 0, "", strings.HasPrefix(begin, text) || strings.HasPrefix(text, begin)
	case !strings.HasPrefix(text, begin):
		return 0, "", false
	}
	code, ok := styles[text[length-1]]
	if !ok {
		return 0, "", false
	}
	return length, code, false
}

// value formats an argument and escapes what comes of it.
type value struct{ of any }

// Format implements fmt.Formatter.
func (v value) Format(f fmt.State, verb rune) {
	_, _ = io.WriteString(f, Escape(Cut(fmt.Sprintf(fmt.FormatString(f, verb), v.of))))
}

// values makes arguments of a format safe: one can't break the line that it is in.
func values(args []any) []any {
	out := make([]any, len(args))
	for i, arg := range args {
		switch arg.(type) {
		case Styled:
			out[i] = arg
		default:
			out[i] = value{arg}
		}
	}
	return out
}
