package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/need"
)

func TestRun(t *testing.T) {
	const skip = `echo '{"Need":"packets","Test":"TestX","Reason":"no root"}' >>"$MCS_SKIPPED"; `
	for name, c := range map[string]struct {
		as, script, require string
		record              string // of an outer tally
		code                int
		stdout, stderr      string
	}{
		"all passed":               {as: "make test", script: "echo ok", stdout: "ok\nmake test: all passed\n"},
		"some skipped":             {as: "make test", script: skip + skip + "echo ok", stdout: "ok\nmake test: passed, 2 tests skipped: 2 packets (no root)\n"},
		"failed":                   {as: "make test", script: "echo FAIL; exit 3", code: 3, stdout: "FAIL\nmake test: failed\n"},
		"failed and skipped":       {as: "make test", script: skip + "exit 1", code: 1, stdout: "make test: failed, and 1 test skipped: 1 packets (no root)\n"},
		"ended by a signal":        {as: "make test", script: "kill -9 $$", code: 1, stdout: "make test: failed\n"},
		"no name":                  {script: "echo ok", stdout: "ok\n"},
		"no name, skipped":         {script: skip, stdout: "1 test skipped: 1 packets (no root)\n"},
		"inside another":           {script: skip + `echo "$MCS_SKIPPED"`, record: "/dev/null", stdout: "/dev/null\n"},
		"an unknown name":          {script: "echo ok", require: "pakets", code: 2, stderr: `tally: MCS_REQUIRE names "pakets"`},
		"a known name":             {script: "echo ok", require: "packets,root", stdout: "ok\n"},
		"a record with other text": {script: `echo x >"$MCS_SKIPPED"`, code: 2, stderr: "tally: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(need.Require, c.require)
			t.Setenv(need.Record, c.record)
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"-as", c.as, "sh", "-c", c.script}, &stdout, &stderr)
			if code != c.code || stdout.String() != c.stdout || !strings.HasPrefix(stderr.String(), c.stderr) {
				t.Errorf("got %d, %q, %q; want %d, %q, %q", code, stdout.String(), stderr.String(), c.code, c.stdout, c.stderr)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"-as", "x"}, {"-nonsense"}, {"/no/such/program"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 2 || stdout.Len() > 0 || stderr.Len() == 0 {
			t.Errorf("%q: got %d, %q, %q", args, code, stdout.String(), stderr.String())
		}
	}
}
