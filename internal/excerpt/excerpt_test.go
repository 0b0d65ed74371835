package excerpt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode"
	"unicode/utf8"
)

// TestOf_X6 holds that a text from outside becomes short, printable and valid, and stays as it is where it was that already.
func TestOf_X6(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       string
	}{
		{"as it is", "services is forbidden: naïve 雪", 100, "services is forbidden: naïve 雪"},
		{"exactly as long", "abcd", 4, "abcd"},
		{"lines and tabs", "a\nb\r\n\tc", 100, "a b   c"},
		{"terminal", "a\x1b[2Jb\x07\x00\x9b", 100, "a\uFFFD[2Jb\uFFFD\uFFFD\uFFFD"},
		{"bidirectional override", "a\u202eb\u200b\u2028", 100, "a\uFFFDb\uFFFD "},
		{"invalid UTF-8", "a\xff\xfeb\xe9", 100, "a\uFFFD\uFFFDb\uFFFD"},
		{"too long", strings.Repeat("x", 4<<20), 40, strings.Repeat("x", 21) + "... (4194304 bytes)"},
		{"longer by what replaces it", strings.Repeat("\x01", 40), 40, strings.Repeat("\uFFFD", 8) + "... (40 bytes)"},
		{"no room for the end", strings.Repeat("é", 10), 5, "éé"},
		{"none", "abc", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Of(c.text, c.most); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if err := quick.Check(func(text []byte, most uint8) bool {
		got := Of(string(text), int(most))
		bad := strings.ContainsFunc(got, func(r rune) bool { return r != ' ' && !unicode.IsPrint(r) && r != utf8.RuneError })
		return len(got) <= int(most) && utf8.ValidString(got) && !bad && Of(got, len(got)) == got
	}, nil); err != nil {
		t.Error(err)
	}
}

// TestCut_X6 holds that a text is cut between characters, and not changed otherwise.
func TestCut_X6(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"a\x1b\n", 3, "a\x1b\n"},
		{strings.Repeat("é", 100), 30, strings.Repeat("é", 7) + "... (200 bytes)"},
		{strings.Repeat("x", 100), 5, "... (100 bytes)"},
	} {
		if got := Cut(c.text, c.most); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

// TestError_X6 holds that an error with an excerpt for its text still is what it was.
func TestError_X6(t *testing.T) {
	if err := Error(nil); err != nil {
		t.Errorf("nil became %v", err)
	}
	if err := Error(io.EOF); err != io.EOF {
		t.Errorf("a short error became another one: %#v", err)
	}
	long := fmt.Errorf("%s: %w", strings.Repeat("\x1b[2J", 1<<20), context.DeadlineExceeded)
	short := Error(long)
	if len(short.Error()) > Line || strings.Contains(short.Error(), "\x1b") || !errors.Is(short, context.DeadlineExceeded) {
		t.Errorf("got %d bytes, %q", len(short.Error()), Of(short.Error(), 80))
	}
	slow := &url.Error{Op: "Get", URL: "https://x", Err: Error(&longTimeout{})}
	if !slow.Timeout() {
		t.Error("a timeout is none any longer")
	}
}

type longTimeout struct{}

func (*longTimeout) Error() string { return strings.Repeat("slow", 1<<10) }
func (*longTimeout) Timeout() bool { return true }

// TestLog_X6 holds that no text makes a line of the log long or two of it, wherever it stands in a record.
func TestLog_X6(t *testing.T) {
	evil := strings.Repeat("\x1b[2Jlevel=ERROR\n", 1<<16)
	for name, log := range map[string]func(*slog.Logger){
		"message":   func(l *slog.Logger) { l.Info(evil) },
		"attribute": func(l *slog.Logger) { l.Info("m", "a", evil) },
		"error":     func(l *slog.Logger) { l.Info("m", "err", errors.New(evil)) },
		"list":      func(l *slog.Logger) { l.Info("m", "a", []string{evil}) },
		"group":     func(l *slog.Logger) { l.Info("m", slog.Group("g", "a", evil)) },
		"before":    func(l *slog.Logger) { l.With("a", evil).Info("m") },
		"in group":  func(l *slog.Logger) { l.WithGroup("g").With("a", evil).Info("m") },
	} {
		for format, handler := range map[string]func(io.Writer) slog.Handler{
			"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
			"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		} {
			t.Run(name+"/"+format, func(t *testing.T) {
				var b bytes.Buffer
				log(slog.New(NewHandler(handler(&b))))
				if b.Len() == 0 || b.Len() > 2*Value || bytes.Count(b.Bytes(), []byte("\n")) != 1 || bytes.Contains(b.Bytes(), []byte("\x1b")) {
					t.Errorf("got %d bytes in %d lines", b.Len(), bytes.Count(b.Bytes(), []byte("\n")))
				}
			})
		}
	}
}

// TestLogRate_X6 holds that one member can't fill the log, that what it loses is counted, and that nobody else loses a line.
func TestLogRate_X6(t *testing.T) {
	var b bytes.Buffer
	log := slog.New(NewHandler(slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug})))
	hostile, other := log.With("cluster", "c1"), log.With("cluster", "c2")
	for range 10 * Burst {
		hostile.Warn("again")
		log.Warn("again", "cluster", "c3", "err", "x")
	}
	for range Burst {
		other.Info("c2 works")
		hostile.Debug("asked for")
	}
	log.Info("nobody's")
	for line, most := range map[string]int{"cluster=c1": Burst + 10*PerSecond + Burst, "cluster=c3": Burst + 10*PerSecond} {
		if n := strings.Count(b.String(), line); n < Burst || n > most {
			t.Errorf("%d lines of %s, want up to %d", n, line, most)
		}
	}
	for line, want := range map[string]int{"c2 works": Burst, "nobody's": 1, "asked for": Burst} {
		if n := strings.Count(b.String(), line); n != want {
			t.Errorf("%d lines %q, want %d", n, line, want)
		}
	}
	m := &meters{of: map[string]*meter{}}
	_, _ = m.allow("x", nil, timeAt(0))
	m.of["x"].omitted = 7
	if ok, n := m.allow("x", nil, timeAt(1)); !ok || n != 7 {
		t.Errorf("the next line has %d left out, want 7", n)
	}
}

func timeAt(seconds int64) time.Time { return time.Unix(1_800_000_000+seconds, 0) }

// TestLogShares_X6: members that are a cause of another one's failures have a share of its lines each, however their names mix; what they
// use up takes nothing from lines that have other causes, and that some are left out is said.
func TestLogShares_X6(t *testing.T) {
	m := &meters{of: map[string]*meter{}}
	now := timeAt(0)
	said := func(n int, causes ...string) (lines int) {
		for range n {
			if ok, _ := m.allow("cluster=c1", causes, now); ok {
				lines++
			}
		}
		return lines
	}
	if n := said(Burst, "evil"); n != Burst/Share {
		t.Errorf("%d lines because of one member, want %d", n, Burst/Share)
	}
	if n := said(Burst, "c2", "evil"); n != 0 {
		t.Errorf("%d lines more where others export the name, too", n)
	}
	if ok, omitted := m.allow("cluster=c1", []string{"c2"}, now); !ok || omitted != 2*Burst-Burst/Share {
		t.Errorf("the next line, because of another member: %v, with %d left out", ok, omitted)
	}
	for i := range 2 * Share { // all together no more than one source
		said(Burst, "evil-"+strings.Repeat("x", i))
	}
	if n := said(1, "c3"); n != 0 {
		t.Error("many causes get more lines than a member")
	}
	var b bytes.Buffer
	log := slog.New(NewHandler(slog.NewTextHandler(&b, nil)))
	for range Burst {
		log.Error("failed", "cluster", "c1", "err", "refused", Causes, []string{"evil", "c2"})
	}
	if n := strings.Count(b.String(), "\n"); n < Burst/Share || n > Burst/Share+PerSecond {
		t.Errorf("%d lines are written, want %d", n, Burst/Share)
	}
}

// TestLogForgets_X6: with many meters, a source whose meter is full still pays for its line, and meters in use are kept.
func TestLogForgets_X6(t *testing.T) {
	m := &meters{of: map[string]*meter{}}
	for i := range manyMeters {
		m.get(strings.Repeat("x", i%100)+strings.Repeat("y", i/100), Burst, PerSecond)
	}
	_, _ = m.allow("in use", nil, timeAt(0))
	for i := range manyMeters {
		m.get("more "+strings.Repeat("x", i%100)+strings.Repeat("y", i/100), Burst, PerSecond)
	}
	if ok, _ := m.allow("cluster=c1", []string{"c2", "c3"}, timeAt(0)); !ok {
		t.Fatal("no line")
	}
	for _, used := range []string{"in use", "cluster=c1", "cluster=c1 " + Causes + "=c2", "cluster=c1 " + Causes + "=c3"} {
		if of := m.of[used]; of == nil || of.limit.TokensAt(timeAt(0)) >= float64(of.limit.Burst()) {
			t.Errorf("the line of %q is forgotten", used)
		}
	}
	if len(m.of) > 4 {
		t.Errorf("%d meters are kept", len(m.of))
	}
}
