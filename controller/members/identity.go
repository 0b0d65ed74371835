package members

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// The ClusterProperty that holds a cluster's id (KEP-2149).
const (
	propertyGroup = "about.k8s.io"
	propertyName  = "cluster.clusterset.k8s.io"
)

// identityLife is how long a ClusterProperty is believed before it is read again.
const identityLife = 5 * time.Minute

// Texts that identify a cluster are short: a UID is one of RFC 4122, of 36 bytes, an id has 63 at most (SPEC X2).
const (
	maxUID  = 64
	maxSaid = 128 // of what it gives for its id
)

// refusal says why a cluster is not admitted as a member.
type refusal struct{ reason string }

func (r *refusal) Error() string { return r.reason }

// admit decides whether the cluster behind c may be the member: it must not be one that is already in the set under
// another id. A cluster that hides the UID of its kube-system namespace can't be told apart, and is taken at its word.
func (m *Member) admit(ctx context.Context, c *connection) error {
	ctx, cancel := context.WithTimeout(ctx, m.opts.patience())
	defer cancel()
	if c.uid == "" {
		ns, err := c.kube.CoreV1().Namespaces().Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
		switch {
		case err == nil && len(ns.UID) > maxUID: // it would be kept, and quoted to others
			return &refusal{fmt.Sprintf("the UID of its namespace %s has %d bytes; no API server gives such a UID", metav1.NamespaceSystem, len(ns.UID))}
		case err == nil:
			c.uid = ns.UID
		case !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err):
			return fmt.Errorf("reading namespace %s: %w", metav1.NamespaceSystem, err)
		}
	}
	if c.uid != "" {
		if err := m.set.claim(m, c.uid); err != nil {
			m.refuse(c)
			return err
		}
	}
	if time.Since(c.identified) > identityLife {
		c.identified = time.Now()
		m.compareProperty(ctx, c)
	}
	return nil
}

// compareProperty reports a ClusterProperty that differs from the id that the member is registered under; the
// registration holds (SPEC X4).
func (m *Member) compareProperty(ctx context.Context, c *connection) {
	id, err := clusterProperty(ctx, c.kube)
	if err != nil || id == c.calledItself {
		return
	}
	c.calledItself = id
	if id == "" || id == m.ID() {
		return
	}
	m.log.Warn("the cluster gives itself another id than it is registered under; the registered one holds",
		"clusterProperty", propertyName, "says", id)
}

// clusterProperty returns the id that a cluster gives itself, or "" if it gives none.
func clusterProperty(ctx context.Context, kube kubernetes.Interface) (string, error) {
	client := kube.Discovery().RESTClient()
	body, err := client.Get().AbsPath("/apis", propertyGroup).SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var group metav1.APIGroup
	if err := json.Unmarshal(body, &group); err != nil {
		return "", fmt.Errorf("reading the versions of %s: %w", propertyGroup, err)
	}
	version := group.PreferredVersion.Version
	if !mcsapi.IsLabel(version) {
		return "", fmt.Errorf("no version of %s can be called %.80q", propertyGroup, version)
	}
	body, err = client.Get().AbsPath("/apis", propertyGroup, version, "clusterproperties", propertyName).
		SetHeader("Accept", "application/json").DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	var property struct {
		Spec struct {
			Value string `json:"value"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &property); err != nil {
		return "", fmt.Errorf("reading ClusterProperty %s: %w", propertyName, err)
	}
	return excerpt.Of(property.Spec.Value, maxSaid), nil
}

// firstContact asks the cluster of a registration for its id.
func firstContact(ctx context.Context, reg registration.Registration, opts Options) (string, error) {
	cfg := rest.CopyConfig(reg.Config)
	cfg.Timeout, cfg.UserAgent = opts.patience(), opts.UserAgent
	client, err := kubeclient.New(cfg)
	if err != nil {
		return "", err
	}
	defer client.HangUp()
	kube, err := kubernetes.NewForConfigAndClient(client.Config, client.HTTP)
	if err != nil {
		return "", err
	}
	id, err := clusterProperty(ctx, kube)
	if err != nil {
		return "", err
	}
	if id == "" {
		return "", fmt.Errorf("the cluster has no ClusterProperty %s; want that, or the id in the registration", propertyName)
	}
	if err := registration.ValidID(id); err != nil {
		return "", fmt.Errorf("ClusterProperty %s: %w", propertyName, err)
	}
	return id, nil
}
