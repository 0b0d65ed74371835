package programs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// A signal is delivered to a process some time after kill(2) has returned, thread by thread; on a busy machine much later.

// suspendTimeout is for the kernel, which must get a processor for each thread.
const suspendTimeout = time.Minute

// Suspend stops every thread of a process (SIGSTOP) and returns when none of them runs any longer.
func Suspend(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return fmt.Errorf("suspending process %d: %w", pid, err)
	}
	return awaitThreads(pid, "stopped", func(states string) bool { return strings.Trim(states, "T") == "" })
}

// Resume lets a suspended process go on (SIGCONT), and returns when none of its threads is stopped any longer. If the process
// ends as soon as it goes on, that is no error.
func Resume(pid int) error {
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return fmt.Errorf("resuming process %d: %w", pid, err)
	}
	err := awaitThreads(pid, "running again", func(states string) bool { return !strings.Contains(states, "T") })
	if errors.Is(err, errEnded) {
		return nil
	}
	return err
}

// awaitThreads waits until the states of the threads, one letter of proc_pid_stat(5) for each, are as reached says.
func awaitThreads(pid int, what string, reached func(states string) bool) error {
	for deadline := time.Now().Add(suspendTimeout); ; {
		states, err := threads(pid)
		if err != nil {
			return err
		}
		if reached(states) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the threads of process %d are not all %s after %v: their states are %s", pid, what, suspendTimeout, states)
		}
		<-time.After(time.Millisecond)
	}
}

var errEnded = errors.New("it has ended")

// threads returns the states of the threads of a process. A process that has ended, whether its parent knows it or not, is an
// error.
func threads(pid int) (states string, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		states += fields[0]
	}
	if strings.Trim(states, "ZX") == "" {
		return "", fmt.Errorf("process %d: %w", pid, errEnded)
	}
	return states, nil
}
