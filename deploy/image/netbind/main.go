//go:build linux

// Command netbind gives a program the file capability to listen on ports below 1024: what
// `setcap cap_net_bind_service=+ep FILE` does, for build stages that have neither setcap nor a shell.
//
// A container that drops this capability altogether can't start such a program: the kernel refuses what it can't grant.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
)

// The extended attribute that holds a file's capabilities, and its layout: struct vfs_cap_data of
// include/uapi/linux/capability.h.
const (
	attribute      = "security.capability"
	revision2      = 0x02000000
	effective      = 0x000001
	netBindService = 10
)

// capability returns the attribute's value for cap_net_bind_service=+ep.
func capability() []byte {
	words := []uint32{
		revision2 | effective,
		1 << netBindService, 0, // permitted and inheritable, capabilities 0 to 31
		0, 0, // the same, 32 to 63
	}
	var value []byte
	for _, w := range words {
		value = binary.LittleEndian.AppendUint32(value, w)
	}
	return value
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: netbind FILE")
		os.Exit(2)
	}
	if err := syscall.Setxattr(os.Args[1], attribute, capability(), 0); err != nil {
		fmt.Fprintf(os.Stderr, "netbind: giving %s the capability to bind low ports: %v (this takes root)\n", os.Args[1], err)
		os.Exit(1)
	}
}
