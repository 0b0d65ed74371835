// Package container is the little that a test's pods need of a container runtime: a program that sees files, a host name
// and an environment of its own, on the machine's own file system otherwise.
//
// The namespaces are made by whoever starts the process (package node); this package is what the process then does to
// itself before it becomes the program. It knows nothing of networks and nothing of Kubernetes.
package container

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/clusterset/multicluster/test/node/webdemo"
)

// Spec says what a new process turns into.
type Spec struct {
	Hostname string
	// Files are put at their absolute path, below /etc, /run or /var/run, and are seen by this container only.
	Files map[string][]byte
	Env   []string // NAME=value, whole: nothing is inherited
	// Args are the program, found in PATH or by its path, and its arguments. Without Args the container serves Web.
	Args []string
	Web  *webdemo.Server
}

// Write sends s to the process that [Enter]s it.
func (s *Spec) Write(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

func readSpec(r io.Reader) (*Spec, error) {
	s := new(Spec)
	if err := json.NewDecoder(r).Decode(s); err != nil {
		return nil, fmt.Errorf("reading the container's spec: %w", err)
	}
	if len(s.Args) == 0 && s.Web == nil {
		return nil, fmt.Errorf("the container %s has neither a program nor a server to run", s.Hostname)
	}
	return s, nil
}
