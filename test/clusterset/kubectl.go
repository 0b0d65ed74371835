package clusterset

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// KubectlCommand returns the command that runs kubectl as the cluster's administrator.
func (c *Cluster) KubectlCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := c.set.Programs.Kubernetes.Command(ctx, "kubectl", args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig())
	return cmd
}

// Kubectl runs kubectl as the cluster's administrator, with stdin on its standard input, and returns what it printed.
func (c *Cluster) Kubectl(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := c.KubectlCommand(ctx, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s in cluster %s: %w: %s", strings.Join(args, " "), c.Name, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return out.String(), nil
}
