package node

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/need"
	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/node/webdemo"
)

const doomed = "MULTICLUSTER_TEST_DOOMED"

// TestMain lets the test binary be the program that TestNothingIsLeft kills.
func TestMain(m *testing.M) {
	if program := os.Getenv(doomed); program != "" {
		if err := waitToBeKilled(program); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// waitToBeKilled brings a network with a node and a pod up, says which namespaces these are, and waits.
func waitToBeKilled(program string) error {
	w, err := NewNetwork(program)
	if err != nil {
		return err
	}
	n, err := w.AddNode(context.Background(), "doomed", Plan(0))
	if err != nil {
		return err
	}
	p, err := n.NewPod()
	if err != nil {
		return err
	}
	if _, err := p.Run(&container.Spec{Web: &webdemo.Server{TCP: []uint16{80}}}); err != nil {
		return err
	}
	c, err := n.Run(&container.Spec{Env: []string{"PATH=" + os.Getenv("PATH")}, Args: []string{"sh", "-c", "sleep 1000 & sleep 1000"}})
	if err != nil {
		return err
	}
	for _, path := range []string{w.router.path(), n.netns.path(), p.netns.path(), fmt.Sprintf("/proc/%d/ns/mnt", c.PID())} {
		name, err := os.Readlink(path)
		if err != nil {
			return err
		}
		fmt.Print(name, " ")
	}
	fmt.Println()
	select {}
}

// A program that is killed without a chance to clean up leaves no process, no namespace, no link and no file.
func TestNothingIsLeft(t *testing.T) {
	need.Packets.OrSkip(t)
	program, err := inside()
	if err != nil {
		t.Fatal(err)
	}
	links := linksOfMachine(t)
	temp := t.TempDir()
	victim := exec.Command(os.Args[0])
	victim.Env = append(os.Environ(), doomed+"="+program, "TMPDIR="+temp)
	victim.Stderr = os.Stderr
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	namespaces := strings.Fields(line)
	if users := processesIn(t, namespaces); len(users) < 4 {
		t.Fatalf("only %v are in the namespaces %v: the test looks at the wrong place", users, namespaces)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := victim.Wait(); err == nil {
		t.Fatal("the victim ended before it was killed")
	}
	kit.Eventually(t, "the node settles", func() error {
		if users := processesIn(t, namespaces); len(users) > 0 {
			return fmt.Errorf("still alive: %v", users)
		}
		return nil
	})
	if now := linksOfMachine(t); now != links {
		t.Errorf("links of the machine before:\n%s\nand after:\n%s", links, now)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("files left: %v (%v)", left, err)
	}
}

func linksOfMachine(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

// processesIn returns the processes that are in one of the namespaces, or hold one open.
func processesIn(t *testing.T, namespaces []string) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"/proc/[0-9]*/ns/*", "/proc/[0-9]*/fd/*"} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			target, err := os.Readlink(path)
			pid := strings.Split(path, "/")[2]
			if err != nil || pid == strconv.Itoa(os.Getpid()) {
				continue // gone meanwhile
			}
			for _, namespace := range namespaces {
				if target == namespace {
					found = append(found, path)
				}
			}
		}
	}
	return found
}
