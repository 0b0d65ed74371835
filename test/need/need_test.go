package need

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// absent is a need that no machine meets; present is one that every machine meets.
var (
	absent  = declare("absent", func() error { return errors.Join(errors.New("it is gone"), errors.New("get it")) })
	present = declare("present", func() error { return nil })
)

// A recorder is a test that keeps what becomes of it.
type recorder struct {
	testing.TB
	verdict string
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return "TestRecorded" }

func (r *recorder) Skip(args ...any) { r.end("skipped: " + fmt.Sprint(args...)) }

func (r *recorder) Fatal(args ...any) { r.end("failed: " + fmt.Sprint(args...)) }

func (r *recorder) Fatalf(format string, args ...any) {
	r.end("failed: " + fmt.Sprintf(format, args...))
}

func (r *recorder) end(verdict string) {
	r.verdict = verdict
	runtime.Goexit()
}

func verdict(n *Need) string {
	r := &recorder{verdict: "ran"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.OrSkip(r)
	}()
	<-done
	return r.verdict
}

func TestOrSkip(t *testing.T) {
	const why = "it is gone; get it"
	for name, c := range map[string]struct {
		need          *Need
		require, want string
		recorded      int
	}{
		"met":                       {need: present, want: "ran"},
		"met and required":          {need: present, require: "present", want: "ran"},
		"not met":                   {need: absent, want: "skipped: " + why, recorded: 1},
		"not met, another required": {need: absent, require: "present,root", want: "skipped: " + why, recorded: 1},
		"not met and required":      {need: absent, require: "root,absent", want: `failed: this test must run here, because MCS_REQUIRE names "absent", but ` + why},
		"not met and all required":  {need: absent, require: "all", want: `failed: this test must run here, because MCS_REQUIRE names "absent", but ` + why},
		"an unknown name": {need: present, require: "presnt",
			want: `failed: MCS_REQUIRE names "presnt", which no test needs; the names are absent, images, iptables, packets, present, root, and "all" for every one of them`},
	} {
		t.Run(name, func(t *testing.T) {
			record := filepath.Join(t.TempDir(), "skipped")
			t.Setenv(Require, c.require)
			t.Setenv(Record, record)
			if got := verdict(c.need); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			skips, err := ReadRecord(record)
			if err != nil || len(skips) != c.recorded {
				t.Errorf("got %v (%v) in the record, want %d", skips, err, c.recorded)
			}
			for _, s := range skips {
				if want := (Skip{Need: "absent", Test: "TestRecorded", Reason: why}); s != want {
					t.Errorf("got %+v in the record, want %+v", s, want)
				}
			}
		})
	}
}

// TestOrSkipWithoutRecord: a skipped test that can't be counted fails; one that nobody counts is skipped.
func TestOrSkipWithoutRecord(t *testing.T) {
	t.Setenv(Require, "")
	t.Setenv(Record, filepath.Join(t.TempDir(), "missing", "skipped"))
	if got := verdict(absent); !strings.HasPrefix(got, "failed: recording a skipped test: ") {
		t.Errorf("got %q with a record that can't be written", got)
	}
	t.Setenv(Record, "")
	if got := verdict(absent); !strings.HasPrefix(got, "skipped: ") {
		t.Errorf("got %q without a record", got)
	}
}

func TestSummary(t *testing.T) {
	for want, skips := range map[string][]Skip{
		"":                                nil,
		"1 test skipped: 1 absent (far)":  {{"absent", "TestA", "far"}},
		"2 tests skipped: 2 absent (far)": {{"absent", "TestA", "far"}, {"absent", "TestB", "far"}},
		"4 tests skipped: 2 sun (hot), 1 absent (dark), 1 absent (far)": {{"absent", "TestA", "far"}, {"sun", "TestC", "hot"},
			{"absent", "TestB", "dark"}, {"sun", "TestD", "hot"}},
	} {
		if got := Summary(skips); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestPrograms: what is missing is named by the package that has it.
func TestPrograms(t *testing.T) {
	if err := programs("tests", "go:golang"); err != nil {
		t.Error(err)
	}
	err := programs("tests", "go:golang", "no-such-program:nothing", "nor-this:void")
	if want := "tests need programs that are missing: apt-get install nothing void"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %q", err, want)
	}
}

// TestPrerequisites: the script that installs what machines lack knows every program that a need names.
func TestPrerequisites(t *testing.T) {
	source, err := os.ReadFile("need.go")
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile("../node/prerequisites.sh")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, word := range strings.Split(string(source), `"`) {
		program, pkg, pair := strings.Cut(word, ":")
		if !pair || program == "" || pkg == "" || strings.ContainsAny(word, " %\n") {
			continue
		}
		found++
		if !strings.Contains(string(script), word) {
			t.Errorf("test/node/prerequisites.sh does not install %s", word)
		}
	}
	if found < 5 {
		t.Errorf("only %d programs are found in need.go", found)
	}
}
