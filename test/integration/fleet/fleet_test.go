// Package fleet tests the controller as a whole, in the fleet role, against real API servers: what is written where, in
// which order, and what is left alone. Every test has namespaces of its own in clusters that all tests share, and names the
// line of the specification that it holds.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// cluster is one member with a person's clients.
type cluster struct {
	*controlplane.Cluster
	kube kubernetes.Interface
	mcs  rest.Interface // v1beta1
}

func connect(t testing.TB, c *controlplane.Cluster) *cluster {
	t.Helper()
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	client, err := mcsapi.NewClient(c.Config(), "v1beta1")
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{Cluster: c, kube: kube, mcs: client}
}

// start brings up clusters of the given options, with the CRDs of the API module.
func start(t testing.TB, opts ...controlplane.Options) []*cluster {
	t.Helper()
	var list []*cluster
	for _, c := range controlplane.AllForTest(t, opts...) {
		if err := c.InstallCRDs(t.Context()); err != nil {
			t.Fatal(err)
		}
		list = append(list, connect(t, c))
	}
	return list
}

// registrations is a source of registrations that a test may change at any time.
type registrations struct {
	mu      sync.Mutex
	list    []registration.Registration
	changed chan struct{}
}

func register(list ...*cluster) *registrations {
	m := &registrations{changed: make(chan struct{}, 1)}
	for _, c := range list {
		m.list = append(m.list, registered(c))
	}
	return m
}

func registered(c *cluster) registration.Registration {
	return registration.Registration{
		ID: c.Name(), Origin: "test " + c.Name(), Config: c.Config(), Revision: "1",
		Provider: true, Consumer: true, ExportStatus: true,
	}
}

// set replaces the registrations.
func (m *registrations) set(list ...registration.Registration) {
	m.mu.Lock()
	m.list = list
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Run implements [registration.Source].
func (m *registrations) Run(ctx context.Context, update func([]registration.Registration)) error {
	for {
		m.mu.Lock()
		list := append([]registration.Registration(nil), m.list...)
		m.mu.Unlock()
		update(list)
		select {
		case <-ctx.Done():
			return nil
		case <-m.changed:
		}
	}
}

// grace is how long a provider must be out of reach before its endpoints are withdrawn where a test waits for that, and
// probeInterval the time between two looks at it. Everywhere else the grace period is patientGrace, so that an API server that a
// busy machine keeps waiting for seconds does not count as one out of reach.
const (
	grace         = 6 * time.Second
	patientGrace  = 20 * time.Second
	probeInterval = 500 * time.Millisecond
)

// withdrawing gives a controller the grace period of tests that wait for its end.
func withdrawing(l *liveness.Periods) { l.Grace = grace }

// run starts a controller over the members and returns what stops it and waits for its end; the test's end does so too.
func run(t testing.TB, source registration.Source, change func(*controller.Options), patience ...func(*liveness.Periods)) (stop func()) {
	t.Helper()
	_, lead, stop := replica(t, source, change, patience...)
	lead()
	return stop
}

// replica is run for a controller that only stands by, with warm caches, until it leads.
func replica(t testing.TB, source registration.Source, change func(*controller.Options), patience ...func(*liveness.Periods)) (set *members.Set, lead, stop func()) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: logLevel()}))
	opts := controller.Options{ClusterSet: "test", Automatic: true, Workers: 4, Log: log}
	if change != nil {
		change(&opts)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := controller.New(opts)
	liveness := liveness.Periods{Grace: patientGrace, Stable: time.Second}
	for _, f := range patience {
		f(&liveness)
	}
	set = members.NewSet(c, log, members.Options{ClusterSet: opts.ClusterSet, ProbeInterval: probeInterval, Liveness: liveness})
	var wg sync.WaitGroup
	wg.Go(func() { _ = set.Run(ctx, source) })
	lead = func() {
		wg.Go(func() {
			_ = set.Lead(ctx, func(ctx context.Context) error { return c.Run(ctx, set) })
		})
	}
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return set, lead, stop
}

func logLevel() slog.Level {
	if os.Getenv("MCS_TEST_DEBUG") != "" {
		return slog.LevelDebug
	}
	return slog.LevelWarn
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func (c *cluster) getImport(ns, name string) (*mcs.ServiceImport, error) {
	i := &mcs.ServiceImport{}
	return i, c.mcs.Get().Namespace(ns).Resource("serviceimports").Name(name).Do(context.Background()).Into(i)
}

func (c *cluster) getExport(ns, name string) (*mcs.ServiceExport, error) {
	e := &mcs.ServiceExport{}
	return e, c.mcs.Get().Namespace(ns).Resource("serviceexports").Name(name).Do(context.Background()).Into(e)
}

func (c *cluster) getService(ns, name string) (*corev1.Service, error) {
	return c.kube.CoreV1().Services(ns).Get(context.Background(), name, metav1.GetOptions{})
}

// imported returns the imported slices of a multi-cluster service, in use and in reserve.
func (c *cluster) imported(ns, name string) ([]discoveryv1.EndpointSlice, error) {
	list, err := c.kube.DiscoveryV1().EndpointSlices(ns).List(context.Background(), metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster})
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(list.Items, func(s discoveryv1.EndpointSlice) bool {
		of, _ := mcsapi.ServiceOf(s.Labels)
		return of != name
	}), nil
}

// addresses returns the imported endpoints as "cluster/address", sorted by slice.
func (c *cluster) addresses(ns, name string) (map[string]bool, error) {
	list, err := c.imported(ns, name)
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, s := range list {
		for _, e := range s.Endpoints {
			found[s.Labels[mcsapi.LabelSourceCluster]+"/"+e.Addresses[0]] = true
		}
	}
	return found, nil
}

// wantAddresses is a condition for kit.Eventually: the imported endpoints are exactly these.
func (c *cluster) wantAddresses(ns, name string, want ...string) func() error {
	return func() error {
		got, err := c.addresses(ns, name)
		if err != nil {
			return err
		}
		for _, a := range want {
			if !got[a] {
				return fmt.Errorf("%s lacks %s in %s, has %v", name, a, c.Name(), got)
			}
		}
		if len(got) != len(want) {
			return fmt.Errorf("%s in %s has %v, want %v", name, c.Name(), got, want)
		}
		return nil
	}
}

// wantImported is a condition for kit.Eventually: the import is complete, with its derived Service's address.
func (c *cluster) wantImported(ns, name string) func() error {
	return func() error {
		i, err := c.getImport(ns, name)
		if err != nil {
			return err
		}
		ready := condition(i.Status.Conditions, "Ready")
		if ready == nil || ready.Status != metav1.ConditionTrue {
			return fmt.Errorf("import %s/%s in %s is not ready: %+v", ns, name, c.Name(), i.Status)
		}
		derived, err := c.getService(ns, i.Annotations[mcsapi.AnnotationDerivedService])
		if err != nil {
			return err
		}
		if i.Spec.Type == mcs.ClusterSetIP && (len(i.Spec.IPs) == 0 || i.Spec.IPs[0] != derived.Spec.ClusterIP) {
			return fmt.Errorf("spec.ips %v, derived Service %v", i.Spec.IPs, derived.Spec.ClusterIPs)
		}
		return nil
	}
}

// wantGone is a condition for kit.Eventually: import, derived Service and slices are all gone.
func (c *cluster) wantGone(ns, name string) func() error {
	return func() error {
		if _, err := c.getImport(ns, name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("import: %v", err)
		}
		return c.wantNotServed(ns, name)()
	}
}

// wantNotServed is a condition for kit.Eventually: derived Service and slices are gone.
func (c *cluster) wantNotServed(ns, name string) func() error {
	return func() error {
		if _, err := c.getService(ns, mcsapi.DerivedPrefix+name); !apierrors.IsNotFound(err) {
			return fmt.Errorf("derived Service: %v", err)
		}
		return c.wantAddresses(ns, name)()
	}
}

func condition(list []metav1.Condition, kind string) *metav1.Condition {
	for i := range list {
		if list[i].Type == kind {
			return &list[i]
		}
	}
	return nil
}

// wantCondition is a condition for kit.Eventually on a ServiceExport.
func (c *cluster) wantCondition(ns, name, kind string, status metav1.ConditionStatus, reason string) func() error {
	return func() error {
		e, err := c.getExport(ns, name)
		if err != nil {
			return err
		}
		got := condition(e.Status.Conditions, kind)
		if got == nil || got.Status != status || got.Reason != reason {
			return fmt.Errorf("export %s/%s in %s: want %s=%s/%s, has %+v", ns, name, c.Name(), kind, status, reason, e.Status.Conditions)
		}
		return nil
	}
}

// mutations counts the mutating requests that the controller sent to c, Leases apart.
func mutations(t testing.TB, c *cluster) int {
	t.Helper()
	return len(controllerRequests(t, c))
}

// controllerRequests are the mutating requests that the controller sent to c, Leases apart.
func controllerRequests(t testing.TB, c *cluster) (list []controlplane.AuditedRequest) {
	t.Helper()
	requests, err := c.AuditedRequests()
	kit.Must(t, err)
	for _, r := range requests {
		if strings.HasPrefix(r.UserAgent, "mcs-controller") {
			list = append(list, r)
		}
	}
	return list
}

// settle waits until the controller has sent no mutating request to the clusters for a second.
func settle(t testing.TB, list ...*cluster) {
	t.Helper()
	count := func() (n int) {
		for _, c := range list {
			n += mutations(t, c)
		}
		return n
	}
	last, since := count(), time.Now()
	kit.EventuallyWithin(t, 2*time.Minute, "the controller comes to rest", func() error {
		if n := count(); n != last {
			last, since = n, time.Now()
		}
		if quiet := time.Since(since); quiet < time.Second {
			return fmt.Errorf("%d mutating requests, the last %s ago", last, quiet)
		}
		return nil
	})
}
