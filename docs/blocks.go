// Package docs reads the pages of this folder for the tests that hold them: what a reader is told to type is typed.
package docs

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.md
var pages embed.FS

// Block is a fenced block of a page.
type Block struct {
	// Page and Line are where it begins.
	Page string
	Line int
	// Section is the heading that it stands under, without the marks.
	Section string
	// Language is what follows the fence: "console", "yaml", ...
	Language string
	Text     string
}

// Commands are those that a reader would type: the lines of a console block that begin with a dollar sign, each with what
// continues it: lines after a backslash, and here-documents.
func (b Block) Commands() (commands []string) {
	lines := strings.Split(b.Text, "\n")
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			continue
		}
		end := ""
		if _, marker, found := strings.Cut(command, "<<"); found {
			end, _, _ = strings.Cut(strings.Trim(marker, "-'\""), " ")
			end = strings.Trim(end, "'\"")
		}
		for i+1 < len(lines) && (strings.HasSuffix(command, `\`) || end != "" && !strings.HasSuffix(command, "\n"+end)) {
			i++
			command += "\n" + lines[i]
		}
		commands = append(commands, command)
	}
	return commands
}

// Pages are the names of all pages.
func Pages() (names []string) {
	entries, _ := pages.ReadDir(".") // an embedded folder can be read
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Blocks returns the fenced blocks of a page of this folder.
func Blocks(page string) ([]Block, error) {
	text, err := pages.ReadFile(page)
	if err != nil {
		return nil, err
	}
	return BlocksOf(page, string(text)), nil
}

// BlocksOf returns the fenced blocks of a text.
func BlocksOf(page, text string) (blocks []Block) {
	section := ""
	var open *Block
	var indent string
	for n, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimLeft(line, " ")
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			indent = line[:len(line)-len(trimmed)]
			open = &Block{Page: page, Line: n + 1, Section: section, Language: strings.TrimSpace(trimmed[3:])}
		case open != nil && strings.HasPrefix(trimmed, "```"):
			blocks, open = append(blocks, *open), nil
		case open != nil:
			open.Text += strings.TrimPrefix(line, indent) + "\n"
		case strings.HasPrefix(line, "#"):
			section = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	return blocks
}

// Commands returns all commands under a heading of a page; an error if there are none.
func Commands(page, section string) (commands []string, err error) {
	blocks, err := Blocks(page)
	if err != nil {
		return nil, err
	}
	for _, b := range blocks {
		if b.Section == section && b.Language == "console" {
			commands = append(commands, b.Commands()...)
		}
	}
	if len(commands) == 0 {
		return nil, fmt.Errorf("%s has no commands under %q", page, section)
	}
	return commands, nil
}
