// Package excerpt bounds texts that other machines sent before people read them: in a log, a condition, an Event, an error.
//
// What an API server, or an object of a member, says may be megabytes long and may contain what moves a terminal's cursor or
// begins another line of a log. This package is the one place that makes such a text short and harmless. It never decides
// whether a text is worth reading.
package excerpt

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line is the length, in bytes, of a text that is one of several in a line of a log, or the message of one answer.
const Line = 1 << 10

// Of returns text as valid UTF-8 of at most `most` bytes, without control characters. White space becomes a blank, everything
// else that does not print becomes U+FFFD. A text that is cut ends with its original length.
func Of(text string, most int) string {
	if len(text) <= most && harmless(text) {
		return text
	}
	end := fmt.Sprintf("... (%d bytes)", len(text))
	if 2*len(end) > most {
		end = ""
	}
	var b strings.Builder
	fits := 0 // how much may stand before end
	for _, r := range text {
		r = printable(r)
		if b.Len()+utf8.RuneLen(r) > most {
			return b.String()[:fits] + end
		}
		b.WriteRune(r)
		if b.Len()+len(end) <= most {
			fits = b.Len()
		}
	}
	return b.String()
}

// Cut returns the beginning of text, of at most `most` bytes, as it is, and with its original length at the end: for those who
// make it harmless in another way. It cuts between characters.
func Cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	end := fmt.Sprintf("... (%d bytes)", len(text))
	at := max(most-len(end), 0)
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	return text[:at] + end
}

// harmless reports whether text can stand as it is.
func harmless(text string) bool {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return false
			}
		}
		if printable(r) != r {
			return false
		}
	}
	return true
}

// printable returns what stands for a rune. Format characters (category Cf) reverse or hide the text around them.
func printable(r rune) rune {
	switch {
	case r == ' ' || unicode.IsPrint(r):
		return r
	case unicode.IsSpace(r):
		return ' '
	}
	return utf8.RuneError
}

// Error returns err, or an error in its place whose text is an excerpt of err's. Both have the same chain.
func Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	short := Of(text, Line)
	if short == text {
		return err
	}
	return &excerptError{short, err}
}

type excerptError struct {
	text string
	err  error
}

func (e *excerptError) Error() string { return e.text }
func (e *excerptError) Unwrap() error { return e.err }

// Timeout tells [net/url.Error], which asks its error itself.
func (e *excerptError) Timeout() bool {
	t, ok := e.err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}
