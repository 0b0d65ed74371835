// Package clusters tests controller/members against real API servers: members that join, leave, break and come back, under
// the identities of deploy/rbac. Each test names the line of the specification that it holds.
package clusters

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// cluster is a running cluster with a person's clients.
type cluster struct {
	*controlplane.Cluster
	t    testing.TB
	kube kubernetes.Interface
}

// start brings up a cluster with the ClusterRoles of deploy/rbac, bound to the users named like them, and the CRDs.
func start(t testing.TB, opts controlplane.Options) *cluster {
	t.Helper()
	c := bare(t, opts)
	if err := c.InstallCRDs(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// bare is start without the CRDs.
func bare(t testing.TB, opts controlplane.Options) *cluster {
	t.Helper()
	c := &cluster{Cluster: controlplane.ForTest(t, opts), t: t}
	var err error
	if c.kube, err = kubernetes.NewForConfig(c.Config()); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../deploy/rbac/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		manifest, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.ApplyYAML(t.Context(), manifest); err != nil {
			t.Fatal(err)
		}
	}
	for _, role := range []string{"consumer", "provider-read", "provider-export-status"} {
		c.bind(role, role)
		c.bind(role, "member")
	}
	return c
}

// bind gives a user a role of deploy/rbac.
func (c *cluster) bind(role, user string) {
	c.t.Helper()
	_, err := c.kube.RbacV1().ClusterRoleBindings().Create(context.Background(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role + ":" + user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "multicluster:" + role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
}

// mcs returns a person's client of a version of the MCS API.
func (c *cluster) mcs(version string) rest.Interface {
	c.t.Helper()
	client, err := mcsapi.NewClient(c.Config(), version)
	if err != nil {
		c.t.Fatal(err)
	}
	return client
}

func (c *cluster) namespace(name string) {
	c.t.Helper()
	kit.Namespace(c.t, c.kube, name)
}

func (c *cluster) export(namespace, name string) *mcs.ServiceExport {
	c.t.Helper()
	return kit.Export(c.t, c.mcs("v1beta1"), namespace, name)
}

func (c *cluster) unexport(namespace, name string) {
	c.t.Helper()
	kit.Unexport(c.t, c.mcs("v1beta1"), namespace, name)
}

func (c *cluster) service(namespace, name string, labels map[string]string) *corev1.Service {
	c.t.Helper()
	return kit.Service(c.t, c.kube, namespace, name, func(s *corev1.Service) {
		s.Labels, s.Spec.Selector = labels, map[string]string{"app": "x"}
	})
}

func (c *cluster) slice(namespace, name string, labels map[string]string) *discoveryv1.EndpointSlice {
	c.t.Helper()
	out, err := c.kube.DiscoveryV1().EndpointSlices(namespace).Create(context.Background(), &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: labels},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.1.2.3"}, NodeName: ptr.To("node"), Zone: ptr.To("zone"),
			TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "pod"},
		}},
		Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: ptr.To(int32(8080))}},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	return out
}

// as returns the registration of a cluster under an id, with the identity that the role allows.
func (c *cluster) as(id string) registration.Registration {
	return registration.Registration{ID: id, Origin: "test " + id, Config: c.ConfigFor("member"), Provider: true, Consumer: true, ExportStatus: true}
}

// source is a source that a test drives.
type source struct {
	mu      sync.Mutex
	present []registration.Registration
	changed chan struct{}
}

func newSource(present ...registration.Registration) *source {
	return &source{present: present, changed: make(chan struct{}, 1)}
}

func (s *source) set(present ...registration.Registration) {
	s.mu.Lock()
	s.present = present
	s.mu.Unlock()
	s.changed <- struct{}{}
}

func (s *source) Run(ctx context.Context, update func([]registration.Registration)) error {
	for {
		s.mu.Lock()
		present := append([]registration.Registration(nil), s.present...)
		s.mu.Unlock()
		update(present)
		select {
		case <-ctx.Done():
			return nil
		case <-s.changed:
		}
	}
}

// record is a handler that keeps what it is told.
type record struct {
	mu     sync.Mutex
	events []string
}

func (r *record) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

func (r *record) Joined(m *members.Member) { r.note("joined %s", m.ID()) }
func (r *record) Left(m *members.Member)   { r.note("left %s", m.ID()) }
func (r *record) Synced(m *members.Member) { r.note("synced %s", m.ID()) }
func (r *record) Changed(m *members.Member, key types.NamespacedName) {
	r.note("changed %s %s", m.ID(), key)
}
func (r *record) NamespaceChanged(m *members.Member, namespace string) {
	r.note("namespace %s %s", m.ID(), namespace)
}
func (r *record) ConsumerChanged(m *members.Member) { r.note("consumer %s", m.ID()) }

// take returns what was told since the last take.
func (r *record) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := r.events
	r.events = nil
	return events
}

func (r *record) has(event string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if e == event {
			return true
		}
	}
	return false
}

// buffer is a log that a test can read.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
	t  testing.TB
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.b.String(), what)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// running is a set that runs for a test.
type running struct {
	*members.Set
	*record
	log  *buffer
	stop func()
}

// run runs a set until the test ends, or stop is called, which returns when the set has ended.
func run(t testing.TB, sources ...registration.Source) *running {
	t.Helper()
	return runWith(t, members.Options{ClusterSet: "test", ProbeInterval: time.Second}, sources...)
}

func runWith(t testing.TB, opts members.Options, sources ...registration.Source) *running {
	t.Helper()
	r := &running{record: &record{}, log: &buffer{t: t}}
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	r.Set = members.NewSet(r.record, log, opts)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, sources...) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the set ended with %v", err)
		}
		if t.Failed() {
			t.Logf("log of the set:\n%s", r.log)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// member waits for a member to be in the set.
func (r *running) member(t testing.TB, id string) *members.Member {
	t.Helper()
	var found *members.Member
	kit.True(t, "member "+id+" is there", func() bool {
		for _, m := range r.Members() {
			if m.ID() == id {
				found = m
			}
		}
		return found != nil
	})
	return found
}

// synced waits for a member that is synced in both roles.
func (r *running) synced(t testing.TB, id string) *members.Member {
	t.Helper()
	m := r.member(t, id)
	kit.True(t, "member "+id+" is synced", func() bool { return m.ProviderSynced() && m.ConsumerSynced() })
	return m
}

func key(namespace, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: namespace, Name: name}
}
