package program

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"
)

// churned is how many services change all the time while leaders come and go.
const churned = 30

// churn is a provider whose services never rest: each has an endpoint that stays and one that is another at every change.
type churn struct {
	t    *testing.T
	kube kubernetes.Interface

	mu    sync.Mutex
	now   [churned]int // the last octet of the endpoint that changes
	count int
}

func stays(i int) string      { return fmt.Sprintf("10.1.%d.1", i) }
func moves(i, to int) string  { return fmt.Sprintf("10.1.%d.%d", i, to) }
func serviceOf(i int) string  { return fmt.Sprintf("web-%d", i) }
func sliceOf(i int) string    { return serviceOf(i) + "-x" }
func (c *churn) changes() int { c.mu.Lock(); defer c.mu.Unlock(); return c.count }

// provide makes the services and their exports.
func (c *churn) provide(cluster *controlplane.Cluster) {
	exports, err := mcsapi.NewClient(cluster.Config(), "v1beta1")
	kit.Must(c.t, err)
	for i := range churned {
		c.now[i] = 2
		_, err := c.kube.CoreV1().Services("churn").Create(c.t.Context(), &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: serviceOf(i)},
			Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
		}, metav1.CreateOptions{})
		kit.Must(c.t, err)
		_, err = c.kube.DiscoveryV1().EndpointSlices("churn").Create(c.t.Context(), c.slice(i), metav1.CreateOptions{})
		kit.Must(c.t, err)
		kit.Must(c.t, exports.Post().Namespace("churn").Resource("serviceexports").
			Body(&mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Name: serviceOf(i)}}).Do(c.t.Context()).Error())
	}
}

func (c *churn) slice(i int) *discoveryv1.EndpointSlice {
	name, port, protocol := "http", int32(8080), corev1.ProtocolTCP
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: sliceOf(i), Labels: map[string]string{discoveryv1.LabelServiceName: serviceOf(i)}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &name, Port: &port, Protocol: &protocol}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{stays(i)}}, {Addresses: []string{moves(i, c.now[i])}}},
	}
}

// run changes one service after another, a hundred a second, until ctx ends.
func (c *churn) run(ctx context.Context) {
	for i, tick := 0, time.NewTicker(10*time.Millisecond); ; i = (i + 1) % churned {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		c.now[i] = 2 + (c.now[i]-1)%250
		s := c.slice(i)
		c.count++
		c.mu.Unlock()
		if _, err := c.kube.DiscoveryV1().EndpointSlices("churn").Update(context.Background(), s, metav1.UpdateOptions{}); err != nil {
			c.t.Errorf("changing %s: %v", s.Name, err)
			return
		}
	}
}

// witness sees every change of the imported slices, and complains about each that no provider ever asked for.
type witness struct {
	mu     sync.Mutex
	seen   int
	wrongs []string
}

func (w *witness) watch(ctx context.Context, kube kubernetes.Interface) error {
	events, err := kube.DiscoveryV1().EndpointSlices("churn").Watch(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelManagedBy + "=" + mcsapi.ManagedBy})
	if err != nil {
		return err
	}
	go func() {
		for event := range events.ResultChan() {
			if ctx.Err() != nil {
				return
			}
			w.judge(event)
		}
		if ctx.Err() == nil {
			w.complain("the watch ended")
		}
	}()
	return nil
}

func (w *witness) judge(event watch.Event) {
	s, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok || event.Type == watch.Deleted {
		w.complain("%s %+v", event.Type, event.Object)
		return
	}
	w.mu.Lock()
	w.seen++
	w.mu.Unlock()
	var i int
	_, err := fmt.Sscanf(s.Labels[mcsapi.LabelServiceName], "web-%d", &i)
	got := addressesOf(s)
	if err != nil || len(got) != 2 || !slices.Contains(got, stays(i)) || !strings.HasPrefix(got[1], fmt.Sprintf("10.1.%d.", i)) {
		w.complain("%s has %v", s.Name, got)
	}
}

func (w *witness) complain(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrongs = append(w.wrongs, fmt.Sprintf(format, args...))
}

func (w *witness) report() (seen int, wrongs []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen, w.wrongs
}

func addressesOf(s *discoveryv1.EndpointSlice) (all []string) {
	for _, e := range s.Endpoints {
		all = append(all, e.Addresses...)
	}
	slices.Sort(all)
	return all
}

// imported says whether the consumer holds exactly what the provider has now.
func (c *churn) imported(consumer kubernetes.Interface) bool {
	list, err := consumer.DiscoveryV1().EndpointSlices("churn").List(context.Background(), metav1.ListOptions{LabelSelector: mcsapi.LabelServiceName})
	if err != nil || len(list.Items) != churned {
		return false
	}
	want := map[string]string{}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range churned {
		all := []string{stays(i), moves(i, c.now[i])}
		slices.Sort(all)
		want[serviceOf(i)] = strings.Join(all, " ")
	}
	for i := range list.Items {
		s := &list.Items[i]
		if want[s.Labels[mcsapi.LabelServiceName]] != strings.Join(addressesOf(s), " ") {
			return false
		}
	}
	return true
}

// TestFailover_L4: while a hundred endpoints change a second, a leader is killed, the next is suspended beyond its lease and
// comes back, and the one after is asked to end. Each time another works within the time of a lease; nothing that was not
// asked for is ever written, no endpoint is lost or deleted, and all is true in the end.
func TestFailover_L4(t *testing.T) {
	all := controlplane.AllForTest(t, controlplane.Options{Name: "provider"}, controlplane.Options{Name: "home", AuditLog: true})
	kubes := make([]kubernetes.Interface, len(all))
	for i, c := range all {
		kit.Must(t, c.InstallCRDs(t.Context()))
		var err error
		kubes[i], err = kubernetes.NewForConfig(c.Config())
		kit.Must(t, err)
		_, err = kubes[i].CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "churn"}}, metav1.CreateOptions{})
		kit.Must(t, err)
	}
	namespace(t, all[1])
	provider := &churn{t: t, kube: kubes[0]}
	provider.provide(all[0])
	// In the member role, so that home's own Services of the names are no exports and the provider is only read.
	args := []string{"--kubeconfig", all[1].Kubeconfig(), "--namespace", "mcs", "--self", "home", "--cluster", "provider=" + all[0].Kubeconfig()}
	standBy := func(name string) *process {
		p := start(t, name, args...)
		kit.True(t, name+" is warm", func() bool {
			return p.metric(`mcs_controller_member_synced{cluster="provider",role="provider"} 1`) && p.metric(`mcs_controller_member_synced{cluster="home",role="consumer"} 1`)
		})
		return p
	}
	first := standBy("the first")
	kit.True(t, "the first leads", first.leads)
	second := standBy("the second")
	kit.True(t, "all is imported", func() bool { return provider.imported(kubes[1]) })

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w := &witness{}
	kit.Must(t, w.watch(ctx, kubes[1]))
	churning, rest := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { provider.run(churning) })
	defer running.Wait()
	defer rest()
	follows := func(what string, p *process, within time.Duration) {
		t.Helper()
		began, changes := time.Now(), provider.changes()
		kit.TrueWithin(t, within, what, p.leads)
		led := time.Since(began)
		seen, _ := w.report()
		kit.True(t, what+" and works", func() bool { now, _ := w.report(); return now > seen+churned })
		t.Logf("%s: led after %v, wrote after %v, %d changes meanwhile", what, led.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), provider.changes()-changes)
	}
	kit.True(t, "the first follows the changes", func() bool { seen, _ := w.report(); return seen > 2*churned })

	first.signal(syscall.SIGKILL)
	<-first.done
	follows("the second leads after the first was killed", second, 60*time.Second)

	third := standBy("the third")
	kit.Must(t, programs.Suspend(second.cmd.Process.Pid))
	follows("the third leads while the second is suspended", third, 60*time.Second)
	kit.Must(t, programs.Resume(second.cmd.Process.Pid))
	woken := time.Now()
	kit.TrueWithin(t, 7500*time.Millisecond, "the second notices at once that it lost leadership", func() bool { // well below the 8 s of its deadline
		return second.said("this replica lost leadership", "lost=true") != ""
	})
	t.Logf("the second noticed after %v that it lost leadership", time.Since(woken).Round(time.Millisecond))

	third.signal(syscall.SIGTERM)
	<-third.done
	lease, err := kubes[1].CoordinationV1().Leases("mcs").Get(t.Context(), "mcs-controller-default", metav1.GetOptions{})
	kit.Must(t, err)
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder != "" && third.said("this replica leads", "identity="+*holder) != "" {
		t.Errorf("the Lease is held by %s, which ended", *holder)
	}
	kit.True(t, "the second leads again", func() bool { return second.metric("mcs_controller_leader 1") })

	rest()
	running.Wait()
	kit.True(t, "all is true at rest", func() bool { return provider.imported(kubes[1]) })
	seen, wrongs := w.report()
	for _, wrong := range wrongs {
		t.Errorf("the consumer: %s", wrong)
	}
	t.Logf("%d changes at the provider, %d seen at the consumer", provider.changes(), seen)
	noWrongWrites(t, all[1])
}

// noWrongWrites holds that the controllers deleted nothing, and that nothing was refused but what another had written first,
// or what was cut off with its sender, which the API server counts as a time-out or as an error of its own.
func noWrongWrites(t *testing.T, c *controlplane.Cluster) {
	t.Helper()
	requests, err := c.AuditedRequests()
	kit.Must(t, err)
	codes := map[int]int{}
	interrupted := []int{http.StatusGatewayTimeout, http.StatusInternalServerError}
	for _, r := range requests {
		if !strings.HasPrefix(r.UserAgent, "mcs-controller") {
			continue
		}
		codes[r.Code]++
		if r.Verb == "delete" || r.Code >= 400 && r.Code != http.StatusConflict && !slices.Contains(interrupted, r.Code) {
			t.Errorf("%+v", r)
		}
	}
	t.Logf("answers to the controllers: %v", codes)
}
