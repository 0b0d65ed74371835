package programs

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

const crowded = "MULTICLUSTER_TEST_THREADS"

// TestMain lets the test binary be the process that TestSuspend suspends: many threads that compute.
func TestMain(m *testing.M) {
	if os.Getenv(crowded) != "" {
		const threads = 8
		runtime.GOMAXPROCS(threads)
		for range threads - 1 {
			go compute()
		}
		fmt.Println("computing")
		compute()
	}
	os.Exit(m.Run())
}

func compute() {
	for n := 0; ; n++ {
		_ = n
	}
}

// Suspend returns when no thread of the process runs, and Resume when all may: neither takes the kernel's time for the signal as
// granted.
func TestSuspend(t *testing.T) {
	t.Setenv(crowded, "yes")
	p, err := Start(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); p.Log() != "computing\n"; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("it printed %q", p.Log())
		}
	}
	for range 10 {
		if err := Suspend(p.PID()); err != nil {
			t.Fatal(err)
		}
		before, err := p.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if states := must(threads(p.PID())); strings.Trim(states, "T") != "" {
			t.Fatalf("suspended, its threads are in the states %s", states)
		}
		if after := must(p.CPU()); after != before {
			t.Fatalf("suspended, it computes on: %v and then %v", before, after)
		}
		if err := Resume(p.PID()); err != nil {
			t.Fatal(err)
		}
		if states := must(threads(p.PID())); strings.Contains(states, "T") {
			t.Fatalf("resumed, its threads are in the states %s", states)
		}
	}
}

// A process that has ended can't be suspended, and a zombie neither.
func TestSuspendEnded(t *testing.T) {
	p, err := Start("/bin/true")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if err := Suspend(p.PID()); err == nil {
		t.Error("a process that has ended was suspended")
	}
	zombie := must(os.StartProcess("/bin/true", []string{"true"}, &os.ProcAttr{}))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for err := error(nil); !errors.Is(err, errEnded); <-tick.C {
		_, err = threads(zombie.Pid)
	}
	if err := Suspend(zombie.Pid); !errors.Is(err, errEnded) {
		t.Errorf("suspending a zombie gave error %v", err)
	}
	must(zombie.Wait())
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
