package command

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// asProgram makes the test binary be mcsctl, for the scripts of shells to run.
const asProgram = "MCSCTL_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(Run(context.Background(), "test", append([]string{"mcsctl"}, os.Args[1:]...), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// completed are what can follow these words, the last of which is not complete.
var completed = []struct {
	words []string
	want  []string
}{
	{[]string{"sta"}, []string{"status"}},
	{[]string{"ex"}, []string{"explain", "export"}},
	{[]string{"status", "-o", ""}, []string{"json", "yaml"}},
	{[]string{"status", "--context"}, []string{"--context", "--contexts"}},
	{[]string{"completion", ""}, []string{"bash", "fish", "powershell", "zsh"}},
	{[]string{"nonsense", ""}, nil},
}

// TestCompletion: the script for each shell registers itself for mcsctl and asks the program, which knows what can follow.
func TestCompletion(t *testing.T) {
	for shell, registers := range map[string]string{
		"bash":       "\n    complete -o default -F __start_mcsctl mcsctl\n",
		"zsh":        "\ncompdef _mcsctl mcsctl\n",
		"fish":       "\ncomplete -c mcsctl ",
		"powershell": "\nRegister-ArgumentCompleter -CommandName 'mcsctl' ",
	} {
		var out, errs bytes.Buffer
		code := Run(t.Context(), "test", []string{"mcsctl", "completion", shell}, &out, &errs)
		if code != ExitOK || errs.Len() > 0 || !strings.Contains(out.String(), registers) || !strings.Contains(out.String(), " __complete ") {
			t.Errorf("%s: exit code %d, standard error %q, want %q in\n%s", shell, code, errs.String(), registers, out.String())
		}
	}
	commands := []string{"help"}
	for _, c := range pages[1:] {
		commands = append(commands, c[0])
	}
	slices.Sort(commands)
	for _, c := range append(slices.Clone(completed), struct{ words, want []string }{[]string{""}, commands}) {
		var out, errs bytes.Buffer
		if code := Run(t.Context(), "test", append([]string{"mcsctl", "__completeNoDesc"}, c.words...), &out, &errs); code != ExitOK {
			t.Errorf("%q: exit code %d, %s", c.words, code, errs.String())
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if got := slices.Sorted(slices.Values(lines[:len(lines)-1])); !slices.Equal(got, c.want) { // the last line is for the script
			t.Errorf("%q: %q can follow, want %q", c.words, got, c.want)
		}
	}
}

// inBash loads the script and completes $@, with the part of the package bash-completion that it calls.
const inBash = `
mcsctl() { "$BINARY" "$@"; }
_get_comp_words_by_ref() { cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD; }
set -e
eval "$(mcsctl completion bash)"
set +e
COMP_WORDS=(mcsctl "$@") COMP_CWORD=$# COMP_TYPE=9 COMPREPLY=()
"$(complete -p mcsctl | sed 's/.*-F \([^ ]*\).*/\1/')"
printf '%s\n' "${COMPREPLY[@]}"
`

// TestCompletionInBash: a bash that has loaded the script completes.
func TestCompletionInBash(t *testing.T) {
	for _, c := range completed {
		shell := exec.CommandContext(t.Context(), "bash", append([]string{"-c", inBash, "bash"}, c.words...)...)
		var errs bytes.Buffer
		shell.Env, shell.Stderr = append(os.Environ(), asProgram+"=1", "BINARY="+os.Args[0]), &errs
		out, err := shell.Output()
		got := strings.Fields(string(out))
		slices.Sort(got)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: completed to %q, want %q: %v %s", c.words, got, c.want, err, errs.String())
		}
	}
}
