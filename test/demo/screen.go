package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// A screen prints the story: short lines, with colours on a terminal only.
type screen struct {
	file   *os.File
	colour bool

	mu sync.Mutex
}

func newScreen(file *os.File) *screen {
	info, err := file.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{file: file, colour: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// What is emphasised how: SGR codes.
const (
	bold  = "1"
	dim   = "2"
	red   = "31;1"
	green = "32;1"
	cyan  = "36"
)

func (s *screen) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *screen) printf(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.file, format, args...)
}

// chapter begins a part of the story.
func (s *screen) chapter(title string) { s.printf("\n%s\n", s.paint(bold, title)) }

// note says something about what is done.
func (s *screen) note(format string, args ...any) {
	s.printf("  %s\n", s.paint(dim, fmt.Sprintf(format, args...)))
}

// command shows what is typed, and where.
func (s *screen) command(where, line string) {
	s.printf("  %s %s\n", s.paint(cyan, where+"$"), s.paint(bold, line))
}

// output shows what a command printed.
func (s *screen) output(text string) {
	for line := range strings.Lines(text) {
		s.printf("  %s\n", strings.TrimRight(line, "\n"))
	}
}

// Write shows what a compiler says of itself.
func (s *screen) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		s.note("%s", strings.TrimRight(line, "\n"))
	}
	return len(p), nil
}

// result is the last line.
func (s *screen) result(good bool, text string) {
	if good {
		s.printf("\n%s %s\n", s.paint(green, "PASSED"), text)
		return
	}
	s.printf("\n%s %s\n", s.paint(red, "FAILED"), text)
}
