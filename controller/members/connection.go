package members

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

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Limits of one member's clients. They are there against mistakes of ours, not for fairness: API servers have had priority
// and fairness since 1.20 and know better than a constant here what they can bear, and what bounds the load is the number
// of workers per member. Each member has its own, so that none waits for another's.
const (
	clientQPS   = 1000
	clientBurst = 2000
)

// connection is one member reached with one set of credentials: clients, the stores, and the feeds that fill them. All of
// it ends with the context given to run.
type connection struct {
	member   *Member
	reg      registration.Registration
	interval time.Duration
	log      *slog.Logger
	client   *kubeclient.Client
	kube     kubernetes.Interface

	exports    mirror.Track[*mcs.ServiceExport]
	imports    mirror.Track[*mcs.ServiceImport]
	services   *mirror.Feed[*corev1.Service]
	sources    *mirror.Feed[*discoveryv1.EndpointSlice]
	imported   *mirror.Feed[*discoveryv1.EndpointSlice]
	namespaces *mirror.Feed[*corev1.Namespace]
	nodes      *mirror.Feed[*corev1.Node]
	ranges     atomic.Pointer[serviceRanges]
	held       heldAddresses
	// nodeAddresses are those of nodes.
	nodeAddresses nodeAddresses
	rangesErr     error  // of the last try; used by the loop only
	problem       string // last logged; used by the loop only

	// choosing is held while a name is selected or not; reads are the names that are read anew, pages the share of this cluster
	// in the pages that are read at once. ctx is that of run.
	choosing sync.Mutex
	chosen   uint64                              // by which limits all were chosen last, see [Member.limitsChanged]; used by the loop only
	chosenBy []*mirror.Store[*mcs.ServiceExport] // likewise the exports
	reads    reads
	pages    chan struct{}
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

// within reports whether the API server answered the last probe, no longer ago than that: one that is still waited for, or was never
// sent, is no answer.
func (c *contact) within(now time.Time, long time.Duration) bool {
	return c.Err == nil && !c.At.IsZero() && now.Sub(c.At) <= long
}

// newConnection returns a connection that does nothing yet.
func newConnection(m *Member, reg registration.Registration, opts Options) (*connection, error) {
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
		client: client, wake: make(chan struct{}, 1), pages: make(chan struct{}, mirror.PagesOfOne),
	}
	c.heard.Store(&contact{})
	core := rest.CopyConfig(client.Config)
	core.ContentType = runtime.ContentTypeProtobuf
	core.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	if c.kube, err = kubernetes.NewForConfigAndClient(core, client.HTTP); err != nil {
		return nil, err
	}
	c.services = mirror.NewFeed(serviceKind(c.kube, reg.Consumer), newStore(byService[*corev1.Service], m.serviceChanged), c.look)
	c.sources = mirror.NewFeed(sourceKind(c.kube, reg.Consumer), newStore(bySource, m.sourceChanged), c.look)
	c.imported = mirror.NewFeed(importedKind(c.kube), newStore(byService[*discoveryv1.EndpointSlice], m.importedChanged), c.look)
	c.services.Store.Doubt.Of = func(s *corev1.Service) bool { _, derived := byService(s); return !derived }
	c.services.Store.Doubt.Hold = opts.doubtAbsence()
	c.sources.Store.Doubt.Of = mirror.Always[*discoveryv1.EndpointSlice]
	c.sources.Store.Doubt.Hold = opts.doubtAbsence()
	c.sources.Store.Budget = mirror.Budget[*discoveryv1.EndpointSlice]{
		Weigh: func(s *discoveryv1.EndpointSlice) mirror.Weight { return keep.Weigh(s) }, Most: keep.MostOfName,
		Told: func(name types.NamespacedName) {
			if c.sources.Store.Live.Load() {
				m.handler.Changed(m, name)
			}
		},
	}
	c.namespaces = mirror.NewFeed(namespaceKind(c.kube), newStore(nil, m.namespaceChanged), c.look)
	c.nodes = mirror.NewFeed(nodeKind(c.kube), newStore(nil, c.nodeChanged), c.look)
	c.boundConsumer()
	c.services.Tries, c.sources.Tries, c.imported.Tries = m.tries("services"), m.tries("sources"), m.tries("imported")
	c.namespaces.Tries, c.nodes.Tries = m.tries("namespaces"), m.tries("nodes")
	c.selectExported()
	return c, nil
}

// newStore makes a store that reports no change of nothing but a version.
func newStore[T mirror.Object](group func(T) (types.NamespacedName, bool), changed func(before, after T)) *mirror.Store[T] {
	s := mirror.NewStore(group, changed)
	s.Alike = mirror.AlikeButVersion[T]
	return s
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
	c.reads = reads{ctx: ctx, start: c.feeds.Go, most: parallelReads, sooner: make(chan struct{}, 1)}
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
			if c.member.probes(c.interval).Wait(ctx) != nil {
				return
			}
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
	c.chooseAnew()
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
	c.exports.Promote(c.live)
	c.chooseAnew()
	c.imports.Promote(c.live)
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
		err := c.exports.Follow(served[exportResource], func(v string) (*mirror.Version[*mcs.ServiceExport], error) {
			return startVersion(ctx, c, v, exportKind, c.exportStore(), exportResource)
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
	return c.imports.Follow(served[importResource], func(v string) (*mirror.Version[*mcs.ServiceImport], error) {
		return startVersion(ctx, c, v, importKind, c.importStore(), importResource)
	})
}

// startServices starts to read Services and slices once it is known what is exported, so that nothing else is kept. A
// consumer's Services don't wait for exports that can't be had.
func (c *connection) startServices(ctx context.Context, served map[string]string) {
	exports := c.exports.Next.Load()
	hopeless := !c.reg.Provider || served[exportResource] == "" || exports != nil && exports.Feed.State().Err != nil
	known := c.exports.State().Synced
	if known || c.reg.Consumer && hopeless {
		startOnce(ctx, c, c.services)
	}
	if known {
		startOnce(ctx, c, c.sources)
	}
}

// exportStore makes a store that doubts the removal of exports, until the API server has said that the CRD is there still.
func (c *connection) exportStore() *mirror.Store[*mcs.ServiceExport] {
	s := newStore(nil, c.member.exportChanged)
	s.Present = c.choose
	s.DoubtAbsences(c.member.opts.doubtAbsence())
	s.DoubtRemovals(func() { time.AfterFunc(mirror.DiscoveryLag, c.look) })
	return s
}

// importStore makes a store that doubts a list without the imports that were there: those that people made would lose all that
// was made of them.
func (c *connection) importStore() *mirror.Store[*mcs.ServiceImport] {
	s := newStore(byDerived, c.member.importChanged)
	s.Total = total[*mcs.ServiceImport](keep.MaxImports, keep.WeighImport)
	s.DoubtAbsences(c.member.opts.doubtAbsence())
	return s
}

// settleDoubts lets the stores go of what they held back, after a probe of then that was answered.
func (c *connection) settleDoubts(asked time.Time) {
	if imports := c.imports.Current.Load(); imports != nil {
		mirror.Settle(imports.Feed, asked)
	}
	if exports := c.exports.Current.Load(); exports != nil {
		confirmed := asked
		if !c.exports.Served.Load() {
			confirmed = time.Time{}
		}
		mirror.Settle(exports.Feed, confirmed)
	}
	mirror.Settle(c.services, asked)
	mirror.Settle(c.sources, asked)
}

// startOnce runs a feed until ctx ends, unless it runs already. It is called by the loop only.
func startOnce[T mirror.Object](ctx context.Context, c *connection, f *mirror.Feed[T]) {
	if !f.Started {
		f.Started, f.Malformed, f.Share = true, c.member.malformed, c.pages
		f.Silence, f.Patience = c.member.opts.Silence, c.member.opts.Patience
		c.feeds.Go(func() { f.Run(ctx) })
	}
}

// startVersion starts a feed at one version of multicluster.x-k8s.io.
func startVersion[T mirror.Object](
	ctx context.Context, c *connection, name string, kind func(rest.Interface, string) mirror.Kind[T], s *mirror.Store[T], resource string,
) (*mirror.Version[T], error) {
	client, err := mcsapi.NewClientWith(c.client, name)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s/%s: %w", mcsapi.Group, name, err)
	}
	ctx, stop := context.WithCancel(ctx)
	v := &mirror.Version[T]{Name: name, Client: client, Feed: mirror.NewFeed(kind(client, name), s, c.look), Stop: stop}
	v.Feed.Tries = c.member.tries(resource)
	startOnce(ctx, c, v.Feed)
	return v, nil
}

// kick tells all feeds to try again at once.
func (c *connection) kick() {
	c.exports.Kick()
	c.imports.Kick()
	c.services.Kick()
	c.sources.Kick()
	c.imported.Kick()
	c.namespaces.Kick()
	c.nodes.Kick()
}

// providerSynced and consumerSynced say whether all that a role reads is known.
func (c *connection) providerSynced() bool {
	return c.reg.Provider && c.exports.State().Synced && c.services.State().Synced && c.sources.State().Synced
}

func (c *connection) consumerSynced() bool {
	return c.reg.Consumer && c.imports.State().Synced && c.services.State().Synced && c.imported.State().Synced &&
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
	c.services.Store.Adopt(old.services.Store)
	c.sources.Store.Adopt(old.sources.Store)
	c.imported.Store.Adopt(old.imported.Store)
	mirror.Adopt(&c.exports, &old.exports)
	mirror.Adopt(&c.imports, &old.imports)
	c.chooseAll()
	c.goLive()
	publish()
	c.services.Store.TellDifference(old.services.Store)
	c.sources.Store.TellDifference(old.sources.Store)
	c.imported.Store.TellDifference(old.imported.Store)
	c.namespaces.Store.TellDifference(old.namespaces.Store)
	c.nodes.Store.TellDifference(old.nodes.Store)
	mirror.TellDifference(&c.exports, &old.exports)
	mirror.TellDifference(&c.imports, &old.imports)
}

func (c *connection) goLive() {
	c.services.Store.Live.Store(true)
	c.sources.Store.Live.Store(true)
	c.imported.Store.Live.Store(true)
	c.namespaces.Store.Live.Store(true)
	c.nodes.Store.Live.Store(true)
	c.exports.GoLive()
	c.imports.GoLive()
}
