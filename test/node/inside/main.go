// Inside is the program that the test harness starts in namespaces: as process 1 of a node, or as a container, where it
// becomes the container's program or serves the web demo itself. It is of no use on its own.
package main

import (
	"fmt"
	"os"

	"github.com/clusterset/multicluster/test/node/container"
)

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "init":
		if err := container.Init(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case len(os.Args) == 2 && os.Args[1] == "container":
		os.Exit(container.Enter())
	default:
		fmt.Fprintln(os.Stderr, "inside: started by the test harness as `inside init HOSTNAME` or `inside container`")
		os.Exit(2)
	}
}
