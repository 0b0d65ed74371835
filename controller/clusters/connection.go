package clusters

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Limits of one member's clients. They are there against mistakes of ours, not for fairness: API servers have had priority
// and fairness since 1.20 and know better than a constant here what they can bear, and what bounds the load is the number
// of workers per member. Each member has its own, so that none waits for another's.
const (
	clientQPS   = 1000
	clientBurst = 2000
	// discoveryLag is how long the API server may need to say of a CRD that it is about to go, after it began to delete
	// its objects.
	discoveryLag = 100 * time.Millisecond
)

// connection is one member reached with one set of credentials: clients, the stores, and the feeds that fill them. All of
// it ends with the context given to run.
type connection struct {
	member   *Member
	reg      Registration
	interval time.Duration
	log      *slog.Logger
	client   *kubeclient.Client
	kube     kubernetes.Interface

	exports    track[*mcs.ServiceExport]
	imports    track[*mcs.ServiceImport]
	services   *feed[*corev1.Service]
	sources    *feed[*discoveryv1.EndpointSlice]
	imported   *feed[*discoveryv1.EndpointSlice]
	namespaces *feed[*corev1.Namespace]
	nodes      *feed[*corev1.Node]
	ranges     atomic.Pointer[serviceRanges]
	held       heldAddresses
	// nodeAddresses are those of nodes.
	nodeAddresses nodeAddresses
	rangesErr     error  // of the last try; used by the loop only
	problem       string // last logged; used by the loop only

	// choosing is held while a name is selected or not; reads has room for those who read one. ctx is that of run.
	choosing sync.Mutex
	reads    chan struct{}
	ctx      context.Context

	// wake makes the loop look at once.
	wake  chan struct{}
	feeds sync.WaitGroup
	// live says that readers use this connection; set by the loop, once.
	live bool
	// uid is that of the kube-system namespace; identified is when the ClusterProperty was last read, calledItself what it said.
	uid          types.UID
	identified   time.Time
	calledItself string
	heard        atomic.Pointer[contact]
}

// contact is what the last probe found.
type contact struct {
	// At is when the API server last answered; zero if it never did.
	At time.Time
	// Err is why it did not answer last time; nil if it did.
	Err error
}

// newConnection returns a connection that does nothing yet.
func newConnection(m *Member, reg Registration, opts Options) (*connection, error) {
	cfg := rest.CopyConfig(reg.Config)
	cfg.QPS, cfg.Burst = clientQPS, clientBurst
	cfg.UserAgent = opts.UserAgent
	cfg.Timeout = 0 // watches live long; requests that must not have timeouts of their own
	client, err := kubeclient.New(cfg)
	if err != nil {
		return nil, err
	}
	c := &connection{
		member: m, reg: reg, interval: opts.ProbeInterval, log: m.log,
		client: client, wake: make(chan struct{}, 1),
	}
	c.heard.Store(&contact{})
	core := rest.CopyConfig(client.Config)
	core.ContentType = runtime.ContentTypeProtobuf
	core.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	if c.kube, err = kubernetes.NewForConfigAndClient(core, client.HTTP); err != nil {
		return nil, err
	}
	c.services = newFeed(serviceKind(c.kube), newStore(byService[*corev1.Service], m.serviceChanged), c.look)
	c.sources = newFeed(sourceKind(c.kube, reg.Consumer), newStore(bySource, m.sourceChanged), c.look)
	c.imported = newFeed(importedKind(c.kube), newStore(byService[*discoveryv1.EndpointSlice], m.importedChanged), c.look)
	c.services.store.doubt.of = func(s *corev1.Service) bool { _, derived := byService(s); return !derived }
	c.services.store.doubt.hold = opts.doubtAbsence()
	c.sources.store.doubt.of = always[*discoveryv1.EndpointSlice]
	c.sources.store.doubt.hold = opts.doubtAbsence()
	c.namespaces = newFeed(namespaceKind(c.kube), newStore(nil, m.namespaceChanged), c.look)
	c.nodes = newFeed(nodeKind(c.kube), newStore(nil, c.nodeChanged), c.look)
	c.selectExported()
	return c, nil
}

// look makes the loop look at once. It never blocks.
func (c *connection) look() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run keeps the connection until ctx ends, and returns when nothing of it runs any more.
func (c *connection) run(ctx context.Context) {
	c.ctx = ctx
	defer func() {
		c.feeds.Wait()
		c.client.HangUp()
	}()
	for {
		c.step(ctx)
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		case <-time.After(c.pause(time.Now())):
		}
	}
}

// pause returns how long after now the next probe is: not with all others, but with some of them, since with hundreds of
// members a process that wakes for each spends more CPU on waking than on probes.
func (c *connection) pause(now time.Time) time.Duration {
	return now.Add(c.interval - rand.N(c.interval/5)).Truncate(c.interval / 20).Sub(now)
}

// step probes the API server, follows what it serves, and tells the member where that leaves it.
func (c *connection) step(ctx context.Context) {
	asked := time.Now()
	served, err := c.probe(ctx)
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		err = c.member.admit(ctx, c)
	}
	if err == nil {
		err = c.follow(ctx, served)
	}
	if c.exports.promote(c.live) {
		c.chooseAll()
	}
	c.imports.promote(c.live)
	if err == nil {
		c.startServices(ctx, served)
		c.settleDoubts(asked)
	}
	c.member.consider(c, err)
}

// probe asks the API server what it serves: a heartbeat that needs no permission of its own, and notices other API
// versions within one interval.
func (c *connection) probe(ctx context.Context) (map[string]string, error) {
	served, err := mcsapi.ServedVersions(ctx, c.kube.Discovery(), c.member.opts.patience(), c.asked()...)
	was := c.heard.Load()
	if err != nil {
		c.heard.Store(&contact{At: was.At, Err: err})
		return nil, err
	}
	c.heard.Store(&contact{At: time.Now()})
	if was.Err != nil {
		c.kick()
	}
	return served, nil
}

// asked are the resources that the cluster's roles need: one request tells of all, but of one that is served in no version it
// takes a request per version to know.
func (c *connection) asked() (resources []string) {
	if c.reg.Provider {
		resources = append(resources, exportResource)
	}
	if c.reg.Consumer {
		resources = append(resources, importResource)
	}
	return resources
}

// follow starts what is to run and does not run yet.
func (c *connection) follow(ctx context.Context, served map[string]string) error {
	if c.reg.Provider {
		err := c.exports.follow(served[exportResource], func(v string) (*version[*mcs.ServiceExport], error) {
			return startVersion(ctx, c, v, exportKind, c.exportStore())
		})
		if err != nil {
			return err
		}
	}
	if !c.reg.Consumer {
		return nil
	}
	startOnce(ctx, c, c.imported)
	startOnce(ctx, c, c.namespaces)
	startOnce(ctx, c, c.nodes)
	c.refreshRanges(ctx)
	return c.imports.follow(served[importResource], func(v string) (*version[*mcs.ServiceImport], error) {
		return startVersion(ctx, c, v, importKind, c.importStore())
	})
}

// startServices starts to read Services and slices once it is known what is exported, so that nothing else is kept. A
// consumer's Services don't wait for exports that can't be had.
func (c *connection) startServices(ctx context.Context, served map[string]string) {
	exports := c.exports.next.Load()
	hopeless := !c.reg.Provider || served[exportResource] == "" || exports != nil && exports.feed.State().Err != nil
	known := c.exports.state().Synced
	if known || c.reg.Consumer && hopeless {
		startOnce(ctx, c, c.services)
	}
	if known {
		startOnce(ctx, c, c.sources)
	}
}

// exportStore makes a store that doubts the removal of exports, until the API server has said that the CRD is there still.
func (c *connection) exportStore() *store[*mcs.ServiceExport] {
	s := newStore(nil, c.member.exportChanged)
	s.present = c.choose
	s.doubtAbsences(c.member.opts.doubtAbsence())
	s.doubtRemovals(func() { time.AfterFunc(discoveryLag, c.look) })
	return s
}

// importStore makes a store that doubts a list without the imports that were there: those that people made would lose all that
// was made of them.
func (c *connection) importStore() *store[*mcs.ServiceImport] {
	s := newStore(byDerived, c.member.importChanged)
	s.doubtAbsences(c.member.opts.doubtAbsence())
	return s
}

// settleDoubts lets the stores go of what they held back, after a probe of then that was answered.
func (c *connection) settleDoubts(asked time.Time) {
	if imports := c.imports.current.Load(); imports != nil {
		settle(imports.feed, asked)
	}
	if exports := c.exports.current.Load(); exports != nil {
		confirmed := asked
		if !c.exports.served.Load() {
			confirmed = time.Time{}
		}
		settle(exports.feed, confirmed)
	}
	settle(c.services, asked)
	settle(c.sources, asked)
}

// startOnce runs a feed until ctx ends, unless it runs already. It is called by the loop only.
func startOnce[T object](ctx context.Context, c *connection, f *feed[T]) {
	if !f.started {
		f.started, f.malformed = true, c.member.malformed
		c.feeds.Go(func() { f.run(ctx) })
	}
}

// startVersion starts a feed at one version of multicluster.x-k8s.io.
func startVersion[T object](
	ctx context.Context, c *connection, name string, kind func(rest.Interface, string) kind[T], s *store[T],
) (*version[T], error) {
	client, err := mcsapi.NewClientWith(c.client, name)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s/%s: %w", mcsapi.Group, name, err)
	}
	ctx, stop := context.WithCancel(ctx)
	v := &version[T]{name: name, client: client, feed: newFeed(kind(client, name), s, c.look), stop: stop}
	startOnce(ctx, c, v.feed)
	return v, nil
}

// kick tells all feeds to try again at once.
func (c *connection) kick() {
	c.exports.kick()
	c.imports.kick()
	c.services.Kick()
	c.sources.Kick()
	c.imported.Kick()
	c.namespaces.Kick()
	c.nodes.Kick()
}

// providerSynced and consumerSynced say whether all that a role reads is known.
func (c *connection) providerSynced() bool {
	return c.reg.Provider && c.exports.state().Synced && c.services.State().Synced && c.sources.State().Synced
}

func (c *connection) consumerSynced() bool {
	return c.reg.Consumer && c.imports.state().Synced && c.services.State().Synced && c.imported.State().Synced &&
		c.namespaces.State().Synced && c.nodesKnown() && c.ranges.Load() != nil
}

// replace makes readers see this connection, in place of old, which may be nil: own writes that old's watches had not
// confirmed go over, and readers are told what differs.
func (c *connection) replace(old *connection, publish func()) {
	c.live = true
	if old == nil {
		c.goLive()
		publish()
		return
	}
	c.services.store.adopt(old.services.store)
	c.sources.store.adopt(old.sources.store)
	c.imported.store.adopt(old.imported.store)
	adopt(&c.exports, &old.exports)
	adopt(&c.imports, &old.imports)
	c.chooseAll()
	c.goLive()
	publish()
	c.services.store.tellDifference(old.services.store)
	c.sources.store.tellDifference(old.sources.store)
	c.imported.store.tellDifference(old.imported.store)
	c.namespaces.store.tellDifference(old.namespaces.store)
	c.nodes.store.tellDifference(old.nodes.store)
	tellDifference(&c.exports, &old.exports)
	tellDifference(&c.imports, &old.imports)
}

func (c *connection) goLive() {
	c.services.store.live.Store(true)
	c.sources.store.live.Store(true)
	c.imported.store.live.Store(true)
	c.namespaces.store.live.Store(true)
	c.nodes.store.live.Store(true)
	c.exports.goLive()
	c.imports.goLive()
}
