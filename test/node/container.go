package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/programs"
)

// A Container is a running program in the namespaces of a node or a pod.
type Container struct {
	spec *container.Spec
	cmd  *exec.Cmd
	log  *programs.Tail
	done chan struct{}
}

// run starts a container of the node in the network ns, and returns once its program runs, or its server listens.
func (n *Node) run(ns *netns, spec *container.Spec) (*Container, error) {
	c := &Container{spec: spec, log: programs.NewTail(), done: make(chan struct{})}
	if err := c.start(n, ns); err != nil {
		return nil, fmt.Errorf("starting a container on %s: %w", n.name, err)
	}
	return c, nil
}

func (c *Container) start(n *Node, ns *netns) error {
	specRead, specWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	defer specWrite.Close()
	statusRead, statusWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(err, specRead.Close())
	}
	defer statusRead.Close()

	c.cmd = exec.Command(n.inside, "container")
	c.cmd.ExtraFiles = []*os.File{container.SpecFD - 3: specRead, container.StatusFD - 3: statusWrite}
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	c.cmd.Env = []string{}
	c.cmd.WaitDelay = time.Second // for output that a grandchild keeps open
	c.cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid:     true, // so that the whole container can be killed
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
	}
	err = ns.do(func() error {
		// For children only: they are the node's, and die with its process 1.
		if err := unix.Setns(int(n.pidns.Fd()), unix.CLONE_NEWPID); err != nil {
			return fmt.Errorf("entering the node's process namespace: %w", err)
		}
		return c.cmd.Start()
	})
	specRead.Close()
	statusWrite.Close()
	if err != nil {
		return err
	}
	go func() {
		_ = c.cmd.Wait() // how it ended is in ProcessState
		_ = syscall.Kill(-c.cmd.Process.Pid, syscall.SIGKILL)
		close(c.done)
	}()
	return c.handOver(specWrite, statusRead)
}

// handOver sends the spec and waits for the word that the container runs.
func (c *Container) handOver(spec io.WriteCloser, status io.Reader) error {
	err := c.spec.Write(spec)
	err = errors.Join(err, spec.Close())
	complaint, readErr := io.ReadAll(status)
	if len(complaint) > 0 {
		err = errors.New(string(complaint))
	}
	if err = errors.Join(err, readErr); err != nil {
		c.Kill()
	}
	return err
}

// PID is the container's process as the machine counts it; `nsenter -t PID -n -m` looks at the world as it does.
func (c *Container) PID() int { return c.cmd.Process.Pid }

// Done is closed when the container has ended.
func (c *Container) Done() <-chan struct{} { return c.done }

// ExitCode is how it ended, once it has; -1 stands for a signal.
func (c *Container) ExitCode() int { return c.cmd.ProcessState.ExitCode() }

// Log returns the end of what it printed.
func (c *Container) Log() string { return c.log.String() }

// Kill ends the container at once, and returns when it has ended.
func (c *Container) Kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.done
}

// Stop asks the container to end, and kills it when it has not within grace, or when ctx is done.
func (c *Container) Stop(ctx context.Context, grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	select {
	case <-c.done:
	case <-ctx.Done():
		c.Kill()
	}
}

// Command returns a command that runs in the container, beside its program: same network, same files, same
// environment. It is killed when ctx is done.
func (c *Container) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	return enter(ctx, c.PID(), c.spec.Env, name, args)
}

// enter returns a command that runs in all namespaces of the process pid.
func enter(ctx context.Context, pid int, env []string, name string, args []string) *exec.Cmd {
	into := []string{"--target", strconv.Itoa(pid), "--net", "--mount", "--uts", "--ipc", "--pid", "--", name}
	cmd := exec.CommandContext(ctx, "nsenter", append(into, args...)...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // nsenter forks
	cmd.WaitDelay = time.Second
	return cmd
}
