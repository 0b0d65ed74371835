// Package manifests holds the YAML and the Corefile of the walk-through, as its text has them; only where that has three
// dots they are completed. The demo applies them, and so do the end-to-end tests.
package manifests

import (
	"embed"
	"os"
)

// What the walk-through applies in the exporting cluster.
var (
	//go:embed app-meta.yaml
	AppMeta []byte // Service service1 and Deployment web-demo
	//go:embed service-export.yaml
	ServiceExport []byte
)

// What it applies in the importing cluster.
var (
	//go:embed service-import.yaml
	ServiceImport []byte
	//go:embed client-pod.yaml
	ClientPod []byte // with the short names' dnsConfig; completed with an image and a command
	//go:embed Corefile
	Corefile string // completed with what every stock Corefile has
)

//go:embed *.yaml Corefile
var files embed.FS

// WriteTo puts the files into an existing directory, under their names, for those who want to apply them by hand.
func WriteTo(dir string) error { return os.CopyFS(dir, files) }
