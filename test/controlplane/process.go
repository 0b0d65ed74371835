package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is one component of a cluster: a child in a process group of its own, so that a Ctrl-C in the terminal
// reaches only this program, which dies no later than this program does (see dieWithParent).
type process struct {
	name    string
	logFile string
	cmd     *exec.Cmd
	exited  chan struct{} // closed once the child has been waited for
}

// startProcess starts the named program of bin and appends what it prints to dir/name.log.
func startProcess(bin *Binaries, dir, name string, args ...string) (*process, error) {
	p := &process{name: name, logFile: filepath.Join(dir, name+".log"), exited: make(chan struct{})}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.cmd = bin.Command(context.Background(), name, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(p.cmd.SysProcAttr)
	if err := startOnLastingThread(p.cmd); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		// How it ended is in the log and in cmd.ProcessState; nobody needs the error twice.
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// running says whether p was started and has not ended. A nil process is not running.
func (p *process) running() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

var errNotRunning = errors.New("not running")

// kill ends p at once and returns when it is gone. Killing what does not run is no error.
func (p *process) kill() {
	if p.running() {
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// stop asks p to end, and kills it when it has not within grace.
func (p *process) stop(grace time.Duration) {
	if !p.running() {
		return
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // a stopped process takes no other signal
	timeout := time.NewTimer(grace)
	defer timeout.Stop()
	select {
	case <-p.exited:
	case <-timeout.C:
		p.kill()
	}
}

// startTimeout is for one component, on a machine with much else to do.
const startTimeout = 5 * time.Minute

var errStartTimeout = fmt.Errorf("it took more than %s", startTimeout)

// await polls ready until it returns nil. It gives up when ctx is done or startTimeout has passed, or when p, or one of
// the processes that it needs, has ended; the error then holds the end of the log of the one that failed.
func (p *process) await(ctx context.Context, ready func(context.Context) error, needs ...*process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errStartTimeout)
	defer cancel()
	failed := p
	err := poll(ctx, func(ctx context.Context) error {
		for _, q := range append(needs, p) {
			if !q.running() {
				failed = q
				return permanentError{fmt.Errorf("%s ended with %q", q.name, q.cmd.ProcessState)}
			}
		}
		return ready(ctx)
	})
	if err != nil {
		return fmt.Errorf("%s is not ready: %w; the end of the log of %s:\n%s", p.name, err, failed.name, failed.tail(20))
	}
	return nil
}

// tail returns the last n lines of p's log, or what kept it from being read.
func (p *process) tail(n int) string {
	log, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSuffix(string(log), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// permanentError ends a poll: asking again cannot help.
type permanentError struct{ error }

// poll calls condition until it returns nil, or a permanentError, or ctx is done.
func poll(ctx context.Context, condition func(context.Context) error) error {
	const interval = 25 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := condition(ctx)
		var permanent permanentError
		if err == nil || errors.As(err, &permanent) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// startOnLastingThread starts cmd on an operating system thread that lives as long as this program. The kernel takes
// "parent" in PR_SET_PDEATHSIG to be the thread that forked, and Go ends threads as it likes.
func startOnLastingThread(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	lastingThread() <- func() { result <- cmd.Start() }
	return <-result
}

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
