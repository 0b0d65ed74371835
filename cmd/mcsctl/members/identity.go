package members

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/excerpt"
)

// propertyPath is the ClusterProperty that holds a cluster's id (KEP-2149).
const propertyPath = "/apis/about.k8s.io/v1beta1/clusterproperties/cluster.clusterset.k8s.io"

// property returns the id that a cluster gives itself, "" if it gives none.
func (c *Cluster) property(ctx context.Context) string {
	body, err := c.Kube.Discovery().RESTClient().Get().AbsPath(propertyPath).DoRaw(ctx)
	if err != nil {
		return ""
	}
	var property struct {
		Spec struct {
			Value string `json:"value"`
		} `json:"spec"`
	}
	if json.Unmarshal(body, &property) != nil || registration.ValidID(property.Spec.Value) != nil {
		return ""
	}
	return property.Spec.Value
}

func gitVersion(body []byte) (string, error) {
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(body, &version); err != nil {
		return "", fmt.Errorf("reading the server's version: %w", err)
	}
	return version.GitVersion, nil
}

// Controller is how the controller that runs in a cluster was set up, as its Deployment says.
type Controller struct {
	// Self is the cluster's own id; empty in the fleet role, in which one controller serves all members.
	Self string
	// ClusterSet is the name of the clusterset.
	ClusterSet string
	// Automatic says whether imports are created for every exported service.
	Automatic bool
	// Ready and Replicas are the controller's pods.
	Ready, Replicas int32
	Image           string
}

// ControllerOf looks for the controller's Deployment in a namespace; nil if there is none.
func (c *Cluster) ControllerOf(ctx context.Context, ns string) (*Controller, error) {
	list, err := c.Kube.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=mcs-controller"})
	if err != nil {
		return nil, err
	}
	deployment := first(list.Items)
	if deployment == nil {
		return nil, nil
	}
	env := func(ref *corev1.ConfigMapKeySelector) string {
		m, err := c.Kube.CoreV1().ConfigMaps(ns).Get(ctx, ref.Name, metav1.GetOptions{})
		if err != nil {
			return ""
		}
		return m.Data[ref.Key]
	}
	return settings(deployment, env), nil
}

// settings reads the controller's flags, in which $(NAME) stands for a variable of the container's environment; lookup
// answers for variables that come from a ConfigMap.
func settings(d *appsv1.Deployment, lookup func(*corev1.ConfigMapKeySelector) string) *Controller {
	found := &Controller{ClusterSet: "default", Automatic: true, Ready: d.Status.ReadyReplicas, Replicas: d.Status.Replicas}
	at := slices.IndexFunc(d.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == "mcs-controller" })
	if at < 0 {
		return found
	}
	container := &d.Spec.Template.Spec.Containers[at]
	found.Image = container.Image
	for _, arg := range container.Args {
		name, value, ok := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !ok {
			continue
		}
		value = expand(value, container.Env, lookup)
		switch name {
		case "self":
			if registration.ValidID(value) == nil {
				found.Self = value
			}
		case "clusterset":
			found.ClusterSet = value
		case "automatic-imports":
			found.Automatic = value != "false"
		}
	}
	return found
}

// maxArg is the length of an argument of the controller, or of a variable in it, that is looked at. What they say is shorter: an id,
// a name, a word.
const maxArg = 1 << 10

// variable is a reference to a variable of the container's environment, as an argument may have it.
var variable = regexp.MustCompile(`\$\(([^()]+)\)`)

// expand replaces references to variables in an argument, once: what stands for a variable is not looked at again, so that a
// Deployment of somebody else can't make a value grow without end.
func expand(value string, env []corev1.EnvVar, lookup func(*corev1.ConfigMapKeySelector) string) string {
	if len(value) > maxArg {
		return ""
	}
	return variable.ReplaceAllStringFunc(value, func(reference string) string {
		name := reference[len("$(") : len(reference)-len(")")]
		i := slices.IndexFunc(env, func(e corev1.EnvVar) bool { return e.Name == name })
		if i < 0 {
			return reference
		}
		is := env[i].Value
		if from := env[i].ValueFrom; from != nil && from.ConfigMapKeyRef != nil {
			is = lookup(from.ConfigMapKeyRef)
		}
		return excerpt.Cut(is, maxArg)
	})
}
