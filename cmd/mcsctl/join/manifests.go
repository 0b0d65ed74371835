package join

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/deploy"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Names of what deploy/components/provider and deploy/overlays/fleet-member make.
const (
	account       = "mcs-provider"
	tokenSecret   = "mcs-provider-token"
	leasesBinding = "mcs-provider-leases"
	// namespaceOfManifests is the one that the manifests have; another replaces it.
	namespaceOfManifests = "mcs-system"
)

// AnnotationPodCIDRs, on a Secret that registers a member, holds the ranges of its pods, joined by commas, for the next
// cluster that joins: the identity in a member may not list its nodes.
const AnnotationPodCIDRs = mcsapi.Domain + "/pod-cidrs"

// Identity is what the cluster that joins gets: namespace, roles, service account with token, bindings, in the order in
// which they are applied. A member of a fleet, whose imports the controller keeps too, gets the right to write them.
func Identity(namespace string, fleet bool) ([]*unstructured.Unstructured, error) {
	sources := []embed.FS{deploy.Provider}
	if fleet {
		sources = append(sources, deploy.FleetMember)
	}
	out, err := manifests(sources...)
	if err != nil {
		return nil, err
	}
	for _, object := range out {
		place(object, namespace)
	}
	slices.SortStableFunc(out, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	return out, nil
}

// CRDs are the definitions of ServiceExport and ServiceImport.
func CRDs() ([]*unstructured.Unstructured, error) { return manifests(deploy.CRDs) }

// manifests are the objects of every file.
func manifests(sources ...embed.FS) (out []*unstructured.Unstructured, err error) {
	for _, source := range sources {
		err := fs.WalkDir(source, ".", func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := source.ReadFile(path)
			if err != nil {
				return err
			}
			objects, err := decode(content)
			out = append(out, objects...)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decode(content []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			out = append(out, object)
		}
	}
}

// place puts an object, and the subjects of a binding, into a namespace.
func place(object *unstructured.Unstructured, namespace string) {
	if object.GetKind() == kindNamespace {
		object.SetName(namespace)
	}
	if object.GetNamespace() == namespaceOfManifests {
		object.SetNamespace(namespace)
	}
	subjects, _, _ := unstructured.NestedSlice(object.Object, "subjects")
	for i := range subjects {
		if s, ok := subjects[i].(map[string]any); ok && s["namespace"] == namespaceOfManifests {
			s["namespace"] = namespace
		}
	}
	if len(subjects) > 0 {
		_ = unstructured.SetNestedSlice(object.Object, subjects, "subjects")
	}
}

var order = []string{kindNamespace, "ClusterRole", "ServiceAccount", "ClusterRoleBinding", "RoleBinding", "Secret"}

func rank(object *unstructured.Unstructured) int { return slices.Index(order, object.GetKind()) }

// Registration is the Secret that makes a cluster a member, for the controller in namespace.
func Registration(namespace, id, role string, pods []netip.Prefix, kubeconfig []byte) *corev1.Secret {
	s := &corev1.Secret{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: id,
			Labels:      map[string]string{registration.LabelMember: id, "app.kubernetes.io/part-of": "multicluster"},
			Annotations: map[string]string{registration.AnnotationRole: role},
		},
		Data: map[string][]byte{registration.KeyKubeconfig: kubeconfig},
	}
	if len(pods) > 0 {
		s.Annotations[AnnotationPodCIDRs] = joined(pods)
	}
	return s
}

func joined(list []netip.Prefix) string {
	texts := make([]string, len(list))
	for i, p := range list {
		texts[i] = p.String()
	}
	return strings.Join(texts, ",")
}

// ParseRole reads a role.
func ParseRole(role string) error {
	if !slices.Contains([]string{"provider", "consumer", "both"}, role) {
		return fmt.Errorf("--role %q: want provider, consumer or both", role)
	}
	return nil
}
