package image

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A container is a program from an image, started as a kubelet would have it started under the security context of
// deploy/: no root, a read-only root file system, no new privileges, and of all capabilities NET_BIND_SERVICE or none.
type container struct {
	root       string
	capability bool
	args       []string
}

// enterVariable marks the process of this test program that is to turn into a container.
const enterVariable = "MULTICLUSTER_IMAGE_TEST_CONTAINER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(enterVariable); spec != "" {
		fmt.Fprintln(os.Stderr, "starting the container:", enter(spec))
		os.Exit(125)
	}
	os.Exit(m.Run())
}

// command returns what starts c, with mounts and processes of its own, and in the network of the calling thread.
func (c container) command() *exec.Cmd {
	spec, err := json.Marshal(map[string]any{"root": c.root, "capability": c.capability, "args": c.args})
	if err != nil {
		panic(err) // strings and a boolean
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = []string{enterVariable + "=" + string(spec)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID, Pdeathsig: unix.SIGKILL}
	return cmd
}

// output runs c to its end, and returns what it prints.
func output(t *testing.T, c container) string {
	t.Helper()
	out, err := c.command().CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", c.args, err, out)
	}
	return string(out)
}

// enter turns the calling process into the container that spec describes. It returns only what kept it from that.
func enter(spec string) error {
	runtime.LockOSThread() // capabilities are a thread's own
	var c struct {
		Root       string
		Capability bool
		Args       []string
	}
	if err := json.Unmarshal([]byte(spec), &c); err != nil {
		return err
	}
	if err := readOnlyRoot(c.Root); err != nil {
		return err
	}
	if err := restrict(c.Capability); err != nil {
		return err
	}
	return unix.Exec(c.Args[0], c.Args, nil)
}

// readOnlyRoot makes root the root of the file system, with a /proc as every runtime mounts it.
func readOnlyRoot(root string) error {
	if err := os.MkdirAll(root+"/proc", 0o555); err != nil {
		return err
	}
	for _, m := range []struct {
		source, target, kind string
		flags                uintptr
	}{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE},
		{root, root, "", unix.MS_BIND},
		{"proc", root + "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC},
		{"", root, "", unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY},
	} {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, ""); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := unix.Chroot(root); err != nil {
		return err
	}
	return unix.Chdir("/")
}

// restrict gives up root and all capabilities, the one excepted if asked, in the order that runc has: bounding set, user, the
// sets of the thread, no new privileges.
func restrict(netBindService bool) error {
	keep := uint32(0)
	if netBindService {
		keep = 1 << unix.CAP_NET_BIND_SERVICE
	}
	for capability := uintptr(0); capability <= unix.CAP_LAST_CAP; capability++ {
		if keep == 0 || capability != unix.CAP_NET_BIND_SERVICE {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil {
				return fmt.Errorf("dropping capability %d: %w", capability, err)
			}
		}
	}
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return err
	}
	const nobody = 65532
	if err := syscall.Setgroups([]int{nobody}); err != nil {
		return err
	}
	if err := syscall.Setgid(nobody); err != nil {
		return err
	}
	if err := syscall.Setuid(nobody); err != nil {
		return err
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	sets := [2]unix.CapUserData{{Effective: keep, Permitted: keep}}
	if err := unix.Capset(&header, &sets[0]); err != nil {
		return fmt.Errorf("setting capabilities: %w", err)
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
