package validate

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// readmeSection returns the commands that a person would type who follows a section of deploy/README.md: the lines of its
// console blocks that begin with a dollar sign, and what continues them, up to the next line of that kind or the block's end.
func readmeSection(t *testing.T, title string) []string {
	t.Helper()
	body, err := os.ReadFile(deployDir + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(body), "\n## "+title+"\n")
	if !ok {
		t.Fatalf("deploy/README.md has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var commands []string
	for i, block := range strings.Split(section, "```console\n") {
		if i == 0 {
			continue // what stands before the first
		}
		block, _, _ = strings.Cut(block, "```")
		for n, command := range strings.Split("\n"+strings.TrimSpace(block), "\n$ ") {
			if n > 0 {
				commands = append(commands, command)
			}
		}
	}
	return commands
}

// shell runs commands as one script, with the kubectl of the cluster, and returns what it printed.
func (s *server) shell(t *testing.T, kubeconfig string, commands ...string) string {
	t.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", strings.Join(commands, "\n"))
	cmd.Dir = rootDir
	cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+s.Binaries().Dir+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, strings.Join(commands, "\n"), out)
	}
	return string(out)
}
