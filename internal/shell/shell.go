// Package shell composes the command lines that people copy into a shell: in advice, errors and progress.
//
// Names in them come from an argument, from a kubeconfig, or from a cluster, which may be hostile (SPEC X2): none may be more
// than one word of the command. Every command line with a value in it is made here; test/presubmit holds that. Which names a
// cluster can have at all is decided where they are read, by [mcsapi.Wellformed].
package shell

import (
	"fmt"
	"strings"
)

// Text is a part of a command line that is quoted already, such as " --context c1".
type Text string

// Command returns a command line: format with args in the place of its verbs, all %s. An argument is quoted as [Word] does,
// unless it is a [Text].
func Command(format string, args ...any) Text {
	words := make([]any, len(args))
	for i, arg := range args {
		if _, done := arg.(Text); !done {
			arg = Word(fmt.Sprint(arg))
		}
		words[i] = arg
	}
	return Text(fmt.Sprintf(format, words...))
}

// At returns a command line, as [Command] makes it, for kubectl or mcsctl, with the flags that make it act on the cluster that it is
// about. Without them it would act on whichever cluster happens to be the current one of who copies it.
func At(flags Text, format string, args ...any) Text { return Command(format, args...) + flags }

// Word returns text as one word, or a part of one, of a command line for a POSIX shell, bash and zsh. Text that means the same
// with and without quotes stays as it is. What begins with a dash would be an option, quoted or not; no object, cluster or zone
// has such a name, so it gets a backslash, by which the command fails.
func Word(text string) string {
	if strings.HasPrefix(text, "-") {
		text = `\` + text
	}
	if text != "" && strings.IndexFunc(text, special) < 0 && text[0] != '=' { // zsh replaces =command
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// special reports whether a shell may take a character as anything but itself.
func special(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("-_./:=@,+%", r)
}
