package node

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// needed are the programs that the package and kube-proxy call, each with the Debian package that has it.
var needed = []struct{ program, pkg string }{
	{"ip", "iproute2"}, {"nft", "nftables"}, {"nsenter", "util-linux"}, {"curl", "curl"},
}

// Check returns nil if this machine can have networks, else one line that says what is missing.
func Check() error {
	if os.Geteuid() != 0 {
		return errors.New("pods with real packets need root, for network namespaces")
	}
	var packages []string
	for _, n := range needed {
		if _, err := exec.LookPath(n.program); err != nil {
			packages = append(packages, n.pkg)
		}
	}
	if len(packages) > 0 {
		return fmt.Errorf("pods with real packets need programs that are missing here: apt-get install %s", strings.Join(packages, " "))
	}
	ns, err := newNetns()
	if err != nil {
		return fmt.Errorf("pods with real packets need network namespaces, which this machine refuses: %w", err)
	}
	defer ns.close()
	cmd := exec.Command("nft", "add", "table", "inet", "check")
	if err := ns.do(cmd.Run); err != nil {
		return fmt.Errorf("pods with real packets need nftables, which this machine refuses: %w", err)
	}
	return nil
}
