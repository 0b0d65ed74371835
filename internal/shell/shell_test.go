package shell

import (
	"os/exec"
	"testing"
)

// TestWord_X2: plain words stay plain, and whatever a word holds, a shell takes it as one word that is no option.
func TestWord_X2(t *testing.T) {
	for text, want := range map[string]string{
		"shop":                                 "shop",
		"provider-ns/service1":                 "provider-ns/service1",
		"arn:aws:eks:eu-1:12:cluster/a_b":      "arn:aws:eks:eu-1:12:cluster/a_b",
		"app=web,tier=x":                       "app=web,tier=x",
		"admin@c1":                             "admin@c1",
		"":                                     "''",
		"a;touch hurt":                         "'a;touch hurt'",
		"$(id)":                                "'$(id)'",
		"`id`":                                 "'`id`'",
		"a\nid":                                "'a\nid'",
		"it's":                                 `'it'\''s'`,
		"';id;'":                               `''\'';id;'\'''`,
		"--kubeconfig=x":                       `'\--kubeconfig=x'`,
		"-x":                                   `'\-x'`,
		"=id":                                  "'=id'",
		"~":                                    "'~'",
		"app in (a,b)":                         "'app in (a,b)'",
		"größe":                                "'größe'",
		"a!b":                                  "'a!b'",
		"tab\there, * and ? and {a,b} and #c ": "'tab\there, * and ? and {a,b} and #c '",
	} {
		if got := Word(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		said := text
		if text != "" && text[0] == '-' {
			said = `\` + text
		}
		out, err := exec.Command("sh", "-c", `printf '[%s]' `+Word(text)).Output()
		if got := string(out); err != nil || got != "["+said+"]" {
			t.Errorf("%q: a shell takes it as %s, %v", text, got, err)
		}
	}
}

// TestCommand: arguments are words, and what is a command line already is not quoted again.
func TestCommand(t *testing.T) {
	flags := Command(" --context %s", "my c1")
	got := Command("kubectl logs -n %s deployment/%s%s", "mcs-system", "a b", flags)
	if want := Text(`kubectl logs -n mcs-system deployment/'a b' --context 'my c1'`); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := At(flags, "kubectl get pods -n %s", "a b"); got != "kubectl get pods -n 'a b' --context 'my c1'" {
		t.Errorf("%q", got)
	}
	if got := Command("kubectl get pods -n %s%s", "shop", Text("")); got != "kubectl get pods -n shop" {
		t.Errorf("%q", got)
	}
}
