package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBadInput holds that what can't be done is told in one line, with what is wrong and what is expected, and a non-zero
// exit.
func TestBadInput(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken")
	if err := os.WriteFile(broken, []byte("not a kubeconfig"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(dir, "missing")
	for line, want := range map[string]string{
		"":                                                     "no members: want --cluster id=kubeconfig",
		"--nonsense":                                           "unknown flag: --nonsense",
		"c1=a.kubeconfig":                                      `unexpected argument "c1=a.kubeconfig"; members are given as --cluster`,
		"--cluster c1":                                         `--cluster: "c1": want id=kubeconfig[:context]`,
		"--cluster C1=x":                                       `--cluster: cluster id "C1": want one DNS label`,
		"--cluster c1=x --cluster c1=y":                        `--cluster c1=y: cluster id "c1" is given twice; want another id`,
		"--cluster c1=" + missing:                              "no member can be reached: --cluster c1=" + missing + ": open " + missing + ": no such file or directory",
		"--cluster c1=" + broken:                               broken + " is not a kubeconfig",
		"--clusters-dir " + missing:                            "--clusters-dir: open " + missing,
		"--clusterset A_B --cluster c1=x":                      `--clusterset "A_B": want lower-case letters`,
		"--workers 0 --cluster c1=x":                           "--workers 0: want at least 1",
		"--workers many --cluster c1=x":                        `invalid argument "many" for "--workers"`,
		"--prefer c1;c2 --cluster c1=x":                        `--prefer: cluster id "c1;c2": want one DNS label`,
		"--export-selector app==a=b --cluster c1=x":            `--export-selector: "app==a=b" is not a label selector, such as app=web`,
		"--log-format xml --cluster c1=x":                      `--log-format "xml": want text or json`,
		"--self c1":                                            "--self c1: this is not a pod; want --kubeconfig",
		"--self c1 --kubeconfig " + missing:                    "--kubeconfig " + missing + ": stat " + missing,
		"--namespace mcs":                                      "--namespace mcs: in which cluster? want --kubeconfig, or a pod",
		"--leader-elect --cluster c1=x":                        "--leader-elect: needs a cluster and a namespace for its Lease",
		"--cluster c1=x --endpoint-cidrs c1":                   "--endpoint-cidrs c1: \"c1\": want id=list",
		"--cluster c1=x --endpoint-cidrs c1=10.0.0.0":          `--endpoint-cidrs c1=10.0.0.0: endpoint-cidrs "10.0.0.0": want ranges such as`,
		"--cluster c1=x --import-namespaces c1=a*b":            `--import-namespaces c1=a*b: import-namespaces "a*b": want names of namespaces`,
		"--cluster c1=x --service-cidrs c2=10.0.0.0/8":         `--service-cidrs c2=10.0.0.0/8: no member "c2" is given by flags`,
		"--metrics-secure --cluster c1=x":                      "--metrics-secure: which cluster knows who may read? want --kubeconfig, or a pod",
		"--metrics-bind-address nowhere --clusters-dir " + dir: "--metrics-bind-address nowhere: listen tcp",
	} {
		t.Run(line, func(t *testing.T) {
			var out, errs strings.Builder
			code := run(t.Context(), strings.Fields(line), &out, &errs)
			if code == exitOK {
				t.Error("exit code 0")
			}
			if !strings.Contains(errs.String(), want) {
				t.Errorf("said %q, want %q", errs.String(), want)
			}
			if lines := strings.Count(errs.String(), "\n"); lines != 1 && code == exitUsage {
				t.Errorf("said %d lines: %s", lines, errs.String())
			}
		})
	}
}

func TestHelpAndVersion(t *testing.T) {
	for args, want := range map[string]string{
		"--help":    "mcs-controller --cluster c1=a.kubeconfig --cluster c2=b.kubeconfig",
		"-h":        "--automatic-imports",
		"--version": "mcs-controller unknown\n",
	} {
		var out, errs strings.Builder
		if code := run(t.Context(), strings.Fields(args), &out, &errs); code != exitOK || errs.Len() > 0 {
			t.Errorf("%s: exit code %d, said %q", args, code, errs.String())
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s: got %q, want %q", args, out.String(), want)
		}
	}
}
