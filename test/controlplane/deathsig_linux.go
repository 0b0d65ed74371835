package controlplane

import "syscall"

// dieWithParent has the kernel kill the child when this program ends, in whatever way, SIGKILL included.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
