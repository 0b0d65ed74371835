// Package need declares what tests need of the machine they run on, and is the only place that skips a test for the lack of it.
//
// A skipped test is counted: command tally prints how many were skipped, and why, after the tests. Where MCS_REQUIRE names the
// need, its lack fails the test instead. test/presubmit refuses tests that skip in any other way.
package need

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Require is the environment variable that names the needs, separated by commas, that this machine must meet. The word "all"
// stands for every need there is, so that a gate which sets it can't miss a new one.
const Require = "MCS_REQUIRE"

const every = "all"

// A Need is something that some machines lack.
type Need struct {
	Name string // as in MCS_REQUIRE
	// check returns nil if the machine has it, otherwise an error that says what is missing and what to do.
	check func() error
}

var declared = map[string]*Need{}

// declare adds a need to those that MCS_REQUIRE may name. The machine is checked once per process.
func declare(name string, check func() error) *Need {
	if name == every || declared[name] != nil {
		panic("need " + name + " is declared twice")
	}
	declared[name] = &Need{Name: name, check: sync.OnceValue(check)}
	return declared[name]
}

var (
	// Root is the right to mount and to act as other users.
	Root = declare("root", func() error { return asRoot("mounts and other users' rights") })

	// Packets is what pods with network namespaces and a kube-proxy of their own need.
	Packets = declare("packets", func() error {
		const what = "pods with real packets"
		if err := asRoot(what); err != nil {
			return err
		}
		if err := programs(what, "ip:iproute2", "nft:nftables", "nsenter:util-linux", "curl:curl"); err != nil {
			return err
		}
		out, err := exec.Command("unshare", "--net", "nft", "add", "table", "inet", "check").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s need network namespaces with nftables, which this machine refuses: %w: %s", what, err, strings.TrimSpace(string(out)))
		}
		return nil
	})

	// IPTables is what a kube-proxy in that mode needs.
	IPTables = declare("iptables", func() error {
		const what = "kube-proxy in iptables mode"
		if err := asRoot(what); err != nil {
			return err
		}
		return programs(what, "iptables-save:iptables")
	})

	// Images is what building container images without a daemon or a base image needs.
	Images = declare("images", func() error {
		const what = "container images"
		if err := asRoot(what); err != nil {
			return err
		}
		return programs(what, "buildah:buildah")
	})
)

func asRoot(what string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s need root: run as root", what)
	}
	return nil
}

// programs checks for programs, each given with the Debian package that has it.
func programs(what string, pairs ...string) error {
	var missing []string
	for _, pair := range pairs {
		program, pkg, _ := strings.Cut(pair, ":")
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, pkg)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s need programs that are missing: apt-get install %s", what, strings.Join(missing, " "))
	}
	return nil
}

// Check returns nil if this machine meets the need, otherwise an error of one line that says what to do.
func (n *Need) Check() error {
	if err := n.check(); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// OrSkip skips the test where the machine does not meet the need, and fails it if MCS_REQUIRE names the need.
func (n *Need) OrSkip(t testing.TB) {
	t.Helper()
	// Read in any case: Go's cache of results then knows that the result depends on them.
	required, err := Required(os.Getenv(Require))
	if err != nil {
		t.Fatal(err)
	}
	record := os.Getenv(Record)
	reason := n.Check()
	if reason == nil {
		return
	}
	if required[n.Name] {
		t.Fatalf("this test must run here, because %s names %q, but %v", Require, n.Name, reason)
	}
	if err := (Skip{Need: n.Name, Test: t.Name(), Reason: reason.Error()}).appendTo(record); err != nil {
		t.Fatalf("recording a skipped test: %v", err)
	}
	t.Skip(reason)
}

// Required parses the value of MCS_REQUIRE. A name that no need has is an error.
func Required(value string) (map[string]bool, error) {
	required := map[string]bool{}
	for _, name := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' }) {
		switch {
		case name == every:
			for n := range maps.Keys(declared) {
				required[n] = true
			}
		case declared[name] == nil:
			return nil, fmt.Errorf("%s names %q, which no test needs; the names are %s, and %q for every one of them",
				Require, name, strings.Join(slices.Sorted(maps.Keys(declared)), ", "), every)
		default:
			required[name] = true
		}
	}
	return required, nil
}
