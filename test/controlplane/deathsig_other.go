//go:build !linux

package controlplane

import "syscall"

// dieWithParent does nothing where the kernel has no such thing: there a SIGKILL of this program leaves its children.
func dieWithParent(*syscall.SysProcAttr) {}
