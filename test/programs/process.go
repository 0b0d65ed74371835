package programs

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Process is a program that runs on this machine until it is stopped, or this program ends, in whatever way.
type Process struct {
	cmd  *exec.Cmd
	log  *Tail
	done chan struct{}
}

// Start runs the program at path. The end of what it prints is kept, see [Process.Log].
func Start(path string, args ...string) (*Process, error) { return StartWithInput("", path, args...) }

// Environ is the environment of programs under test: one that was built with the race detector, and in which it finds a race,
// says where and ends.
func Environ() []string { return append([]string{"GORACE=halt_on_error=1"}, os.Environ()...) }

// StartWithInput is [Start] for a program that reads input.
func StartWithInput(input, path string, args ...string) (*Process, error) {
	p := &Process{cmd: exec.Command(path, args...), log: NewTail(), done: make(chan struct{})}
	p.cmd.Stdin = strings.NewReader(input)
	p.cmd.Env = Environ()
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	// A group of its own: a Ctrl-C in the terminal is for this program, which stops the others in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	result := make(chan error)
	lastingThread() <- func() { result <- p.cmd.Start() }
	if err := <-result; err != nil {
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is in ProcessState
		close(p.done)
	}()
	return p, nil
}

// PID is the process's number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Log returns the end of what the process printed.
func (p *Process) Log() string { return p.log.String() }

// Err says that the process has ended, how, and what it said last; nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended with %s:\n%s", p.cmd.Path, p.cmd.ProcessState, p.Log())
	default:
		return nil
	}
}

// Stop asks the process to end, kills it when it has not within grace, and returns when it has ended.
func (p *Process) Stop(grace time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timeout := time.NewTimer(grace)
	defer timeout.Stop()
	select {
	case <-p.done:
	case <-timeout.C:
		p.Kill()
	}
}

// Kill ends the process at once.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// lastingThread takes work for a thread that lives as long as this program: when the thread that started a process
// ends, the kernel takes its parent for dead, and Go ends threads as it likes.
var lastingThread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})
