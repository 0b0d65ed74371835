package explain

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Options say what to look at.
type Options struct {
	Key types.NamespacedName
	// Sub is what the name has before that of the service; see [Facts].
	Sub, Zone string
	// Importing restricts the look at the importing side to one cluster id; empty means all.
	Importing string
	// Ask has CoreDNS asked for the name: through a forwarded port, or at Server, "host:port", if that is given.
	Ask    bool
	Server string
	// Connect has TCP connections tried from here to the addresses of the import, or the endpoints of a headless one.
	Connect bool
	// Timeout bounds a DNS query and a connection.
	Timeout time.Duration
}

// Gather reads what bears the name in every cluster, all at once: single objects and the slices of one Service, never a
// whole kind.
func Gather(ctx context.Context, set *members.Set, o Options) Facts {
	f := Facts{Key: o.Key, Sub: o.Sub, Zone: o.Zone, Controller: set.Controller, Namespace: set.Namespace, HomeFlags: set.Flags(), Look: set.Look(), Registering: set.Registering(),
		Clusters: make([]Cluster, len(set.Clusters))}
	var wg sync.WaitGroup
	wg.Go(func() { f.Runs = finding.ControllerOf(set, set.Leases(ctx), time.Now()) })
	for i, c := range set.Clusters {
		wg.Go(func() {
			g := &gathering{cluster: c, key: o.Key, out: Cluster{
				ID: c.ID, Flags: c.Flags(), Provider: c.Provider, Consumer: c.Consumer && (o.Importing == "" || o.Importing == c.ID), Limits: c.Limits,
				Unread: map[string]string{}, NotServed: map[string]bool{},
			}}
			g.all(ctx, set.Namespace, o)
			f.Clusters[i] = g.out
		})
	}
	wg.Wait()
	f.Now = time.Now()
	return f
}

// gathering is the reading of one cluster.
type gathering struct {
	cluster *members.Cluster
	key     types.NamespacedName
	mu      sync.Mutex
	out     Cluster
}

func (g *gathering) all(ctx context.Context, mcsNamespace string, o Options) {
	if g.cluster.Err != nil {
		g.out.Down = g.cluster.Err.Error()
		return
	}
	var wg sync.WaitGroup
	read := func(resource string, f func() error) { wg.Go(func() { g.note(resource, f()) }) }
	if g.out.Provider {
		read("serviceexports", func() (err error) { g.out.Export, err = g.cluster.Export(ctx, g.key); return err })
		read("services", func() (err error) { g.out.Service, err = g.cluster.Service(ctx, g.key); return err })
		read("endpointslices", func() (err error) {
			g.out.Slices, err = g.cluster.Slices(ctx, g.key.Namespace, discoveryv1.LabelServiceName, g.key.Name)
			return err
		})
	}
	if g.out.Consumer {
		read("serviceimports", func() error { return g.imported(ctx) })
		read("endpointslices", func() error { return g.slices(ctx) })
		read("namespaces", func() error { return g.namespace(ctx) })
		read("nameservers", func() (err error) {
			g.out.Servers, err = nameserver.Servers(ctx, g.cluster.Kube, mcsNamespace, o.Zone)
			return err
		})
		if o.Ask {
			wg.Go(func() { g.ask(ctx, o) })
		}
	}
	wg.Wait()
	if o.Connect && g.out.Import != nil {
		g.connect(ctx, o.Timeout)
	}
}

// note records why something could not be read.
func (g *gathering) note(resource string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case err == nil:
	case errors.Is(err, mcsapi.ErrNotServed):
		g.out.NotServed[resource] = true
	case members.Unreachable(err):
		g.out.Down = members.Brief(err)
	case apierrors.IsForbidden(err):
		g.out.Unread[resource] = "these credentials may not"
	default:
		g.out.Unread[resource] = err.Error()
	}
}

// imported reads the import, and the derived Service that it names.
func (g *gathering) imported(ctx context.Context) (err error) {
	g.out.Import, err = g.cluster.Import(ctx, g.key)
	if err != nil {
		return err
	}
	name := plan.DerivedName(g.key.Name)
	if g.out.Import != nil {
		name = derivedName(g.out.Import)
	}
	g.out.Derived, err = g.cluster.Service(ctx, types.NamespacedName{Namespace: g.key.Namespace, Name: name})
	g.note("services", err)
	return nil
}

// slices reads the imported slices, first those in use, then those in reserve. One that changes sides in between is there once.
func (g *gathering) slices(ctx context.Context) error {
	have := map[types.UID]bool{}
	for _, label := range []string{mcsapi.LabelServiceName, mcsapi.LabelReserve} {
		list, err := g.cluster.Slices(ctx, g.key.Namespace, label, g.key.Name)
		if err != nil {
			return err
		}
		for i := range list {
			if !have[list[i].UID] {
				have[list[i].UID] = true
				g.out.Imported = append(g.out.Imported, list[i])
			}
		}
	}
	return nil
}

func (g *gathering) namespace(ctx context.Context) error {
	ns, err := g.cluster.Kube.CoreV1().Namespaces().Get(ctx, g.key.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	g.out.Namespace = ns
	return nil
}

// ask has the name looked up.
func (g *gathering) ask(ctx context.Context, o Options) {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	name := domain(Facts{Key: g.key, Sub: o.Sub, Zone: o.Zone})
	var err error
	if o.Server != "" {
		g.out.Reply, err = nameserver.Ask(ctx, o.Server, name)
	} else {
		g.out.Reply, err = nameserver.AskPod(ctx, g.cluster.Client, g.cluster.Kube, name)
	}
	if err != nil && !errors.As(err, &g.out.Unanswered) {
		g.out.AskErr = members.Brief(err)
	}
}

// connect tries every TCP port of the service at every address, from here.
func (g *gathering) connect(ctx context.Context, timeout time.Duration) {
	var targets []string
	if len(g.out.Import.Spec.IPs) > 0 {
		for _, ip := range g.out.Import.Spec.IPs {
			for _, p := range g.out.Import.Spec.Ports {
				if p.Protocol == "TCP" || p.Protocol == "" {
					targets = append(targets, net.JoinHostPort(ip, fmt.Sprint(p.Port)))
				}
			}
		}
	} else {
		for i := range g.out.Imported {
			targets = append(targets, reachable(&g.out.Imported[i])...)
		}
	}
	const most = 10 // enough to tell
	targets = targets[:min(len(targets), most)]
	g.out.Connects = make([]Connect, len(targets))
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() {
			start := time.Now()
			conn, err := (&net.Dialer{Timeout: timeout}).DialContext(ctx, "tcp", target)
			g.out.Connects[i] = Connect{Address: target, Took: time.Since(start)}
			if err != nil {
				var op *net.OpError
				if errors.As(err, &op) {
					err = op.Err
				}
				g.out.Connects[i].Err = err.Error()
				return
			}
			_ = conn.Close()
		})
	}
	wg.Wait()
}

// reachable are the addresses and TCP ports of the ready endpoints of a slice.
func reachable(s *discoveryv1.EndpointSlice) (targets []string) {
	for _, e := range s.Endpoints {
		if len(e.Addresses) == 0 || e.Conditions.Ready != nil && !*e.Conditions.Ready {
			continue
		}
		for _, p := range s.Ports {
			if p.Port != nil && (p.Protocol == nil || *p.Protocol == "TCP") {
				targets = append(targets, net.JoinHostPort(e.Addresses[0], fmt.Sprint(*p.Port)))
			}
		}
	}
	return targets
}
