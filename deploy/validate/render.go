// Package validate renders what deploy/ holds, the way Helm and kustomize do it for people, so that its tests can hold it
// against the programs' flags, against each other, and against real API servers.
//
// It is a module of its own: Helm and kustomize are heavy, and the product needs neither.
package validate

import (
	"bytes"
	"fmt"
	"io"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	releases "helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// Where things are, from this folder.
const (
	deployDir = ".."
	chartDir  = deployDir + "/chart/multicluster"
	rootDir   = deployDir + "/.."
)

// Names that the bases and the default release of the chart share.
const (
	release   = "multicluster"
	namespace = "mcs-system"
)

// Kustomize returns what `kubectl apply -k` would apply of a folder below deploy/.
func Kustomize(dir string) ([]*unstructured.Unstructured, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), deployDir+"/"+dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	manifest, err := resources.AsYaml()
	if err != nil {
		return nil, fmt.Errorf("kustomize %s: %w", dir, err)
	}
	return Objects(manifest)
}

// Template returns what `helm template` would print of the chart, the CRDs left out, for a cluster of the given version.
func Template(name string, values map[string]any, kubeVersion string) ([]*unstructured.Unstructured, error) {
	r, err := install(name, values, kubeVersion)
	if err != nil {
		return nil, err
	}
	return Objects([]byte(r.Manifest))
}

// Notes returns what `helm install` would print last.
func Notes(name string, values map[string]any, kubeVersion string) (string, error) {
	r, err := install(name, values, kubeVersion)
	if err != nil {
		return "", err
	}
	return r.Info.Notes, nil
}

// install renders the chart without a cluster.
func install(name string, values map[string]any, kubeVersion string) (*releases.Release, error) {
	c, err := loader.LoadDir(chartDir)
	if err != nil {
		return nil, err
	}
	install := action.NewInstall(&action.Configuration{Log: discard})
	install.DryRun, install.ClientOnly = true, true
	install.ReleaseName, install.Namespace = name, namespace
	if install.KubeVersion, err = chartutil.ParseKubeVersion(kubeVersion); err != nil {
		return nil, err
	}
	return install.Run(c, values)
}

// Chart loads the chart from a folder.
func Chart(dir string) (*chart.Chart, error) { return loader.LoadDir(dir) }

// Objects parses a stream of YAML documents; documents without content are left out.
func Objects(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	for {
		o := &unstructured.Unstructured{}
		err := documents.Decode(&o.Object)
		if err == io.EOF {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the manifest: %w", err)
		}
		if len(o.Object) > 0 {
			objects = append(objects, o)
		}
	}
}

func discard(string, ...any) {}
