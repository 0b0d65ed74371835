package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"golang.org/x/sys/unix"
)

// File descriptors that a container's process is started with.
const (
	SpecFD   = 3 // to read the [Spec] from
	StatusFD = 4 // closed without a word once the container runs; else it carries why it does not
)

// Enter reads the spec from [SpecFD], makes it true, and becomes the program or serves. It must be called first thing in
// a process that is alone in new mount, UTS and IPC namespaces: it changes all of them. It returns only when the
// container's server has ended or could not start, with the exit code.
func Enter() int {
	status := os.NewFile(StatusFD, "status")
	unix.CloseOnExec(StatusFD) // a program that was executed has started
	if err := enter(status); err != nil {
		// The starter reads it there; after the start nobody does, and the container's log has it.
		fmt.Fprint(status, err)
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func enter(status io.Closer) error {
	input := os.NewFile(SpecFD, "spec")
	spec, err := readSpec(input)
	input.Close()
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("setting the host name %q: %w", spec.Hostname, err)
	}
	if err := privateFiles(spec.Files); err != nil {
		return err
	}
	if len(spec.Args) > 0 {
		return execute(spec)
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM)
	defer stop()
	return spec.Web.Serve(ctx, func() { status.Close() })
}

// execute replaces this process with the program of spec.
func execute(spec *Spec) error {
	for _, env := range spec.Env {
		if path, ok := strings.CutPrefix(env, "PATH="); ok {
			os.Setenv("PATH", path)
		}
	}
	program, err := exec.LookPath(spec.Args[0])
	if err != nil {
		return err
	}
	err = unix.Exec(program, spec.Args, spec.Env)
	return fmt.Errorf("executing %s: %w", program, err)
}

// Init is process 1 of a node. It takes the node's host name, reaps what is left to it, and ends when its standard
// input does, which its starter holds the other end of; with it, whatever way it ends, the kernel kills every process
// of the node.
func Init(hostname string) error {
	if os.Getpid() != 1 {
		return errors.New("a node's init must be process 1 of a PID namespace")
	}
	if err := unix.Sethostname([]byte(hostname)); err != nil {
		return fmt.Errorf("setting the host name %q: %w", hostname, err)
	}
	if err := privateFiles(nil); err != nil {
		return err
	}
	children := make(chan os.Signal, 1)
	signal.Notify(children, unix.SIGCHLD)
	go func() {
		for range children {
			for pid := 1; pid > 0; {
				pid, _ = unix.Wait4(-1, nil, unix.WNOHANG, nil)
			}
		}
	}()
	// The starter has the node's namespaces from /proc once it has read this.
	if _, err := os.Stdout.WriteString("up\n"); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}
