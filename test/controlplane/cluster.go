package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"k8s.io/client-go/kubernetes"
)

// Options say what a cluster is like. The zero value is a cluster that serves the API and runs no controllers.
type Options struct {
	// Name is that of the context in kubeconfigs, "cluster" by default. Clusters may have the same one.
	Name string

	// ServiceCIDRs are the ranges of cluster IPs, 10.96.0.0/16 by default; two of different families make the cluster
	// dual-stack, with the first as the family of Services that ask for none.
	ServiceCIDRs []string

	// PodCIDRs are the ranges of pod IPs. With a controller manager each node is given a part of them as
	// spec.podCIDRs; without any, nodes are given none.
	PodCIDRs []string

	// BindAddress is the IP address on which the API server listens, 127.0.0.1 by default. With 0.0.0.0 or ::,
	// kubeconfigs name the loopback address.
	BindAddress string

	// AdvertiseAddress is the IP address of the endpoint of Service default/kubernetes. Without one that Service has no
	// endpoint: the API server refuses to name a loopback address there.
	AdvertiseAddress string

	// SANs are names and IP addresses of the API server's certificate beside the usual ones.
	SANs []string

	// ControllerManager runs kube-controller-manager, with the controllers for workloads, EndpointSlices, namespaces,
	// service accounts, nodes and garbage. Without it nothing is ever done but serving the API; in particular a deleted
	// namespace stays terminating.
	ControllerManager bool

	// AuditLog records mutating requests for [Cluster.MutatingRequests].
	AuditLog bool
	// AuditReads records in the audit log what ServiceAccounts read, too, Leases included, for [Cluster.AuditedRequests].
	AuditReads bool

	// ExtraArgs are further command line arguments by program name, after and so stronger than the usual ones.
	ExtraArgs map[string][]string

	// Binaries are the programs to run. Without them Start calls [Build], with progress on standard error.
	Binaries *Binaries
}

func (o Options) withDefaults() Options {
	if o.Name == "" {
		o.Name = "cluster"
	}
	if len(o.ServiceCIDRs) == 0 {
		o.ServiceCIDRs = []string{"10.96.0.0/16"}
	}
	if o.BindAddress == "" {
		o.BindAddress = "127.0.0.1"
	}
	return o
}

// A Cluster is a running control plane.
type Cluster struct {
	opts    Options
	bind    netip.Addr
	scratch *scratch
	dir     string // scratch's
	port    *portReservation
	url     string
	ca      *authority
	client  kubernetes.Interface // the administrator's
	audit   auditTrail

	mu                                 sync.Mutex // guards what is below
	stopped                            bool
	identities                         map[string]keyPair
	etcd, apiServer, controllerManager *process
}

// Start starts a cluster and returns when it is ready to be used. It takes a few seconds; several may be started at once.
// ctx is for starting only: once it is started, the cluster runs until [Cluster.Stop], or until this program ends.
func Start(ctx context.Context, opts Options) (*Cluster, error) {
	opts = opts.withDefaults()
	if opts.Binaries == nil {
		var err error
		if opts.Binaries, err = Build(ctx, os.Stderr); err != nil {
			return nil, err
		}
	}
	removeAbandoned()
	c := &Cluster{opts: opts, identities: map[string]keyPair{}}
	if err := c.start(ctx); err != nil {
		c.Stop()
		return nil, fmt.Errorf("starting cluster %s: %w", opts.Name, err)
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) error {
	if err := c.prepare(); err != nil {
		return err
	}
	setStarted(c, true)
	return c.startAll(ctx)
}

// startAll starts the components and returns when the cluster is ready.
func (c *Cluster) startAll(ctx context.Context) error {
	if err := c.startEtcd(); err != nil {
		return err
	}
	if err := c.StartAPIServer(ctx); err != nil {
		return err
	}
	if !c.opts.ControllerManager {
		return nil
	}
	return c.startControllerManager(ctx)
}

// prepare makes all that is there before the first process: directory, port, keys and clients.
func (c *Cluster) prepare() (err error) {
	if c.bind, err = netip.ParseAddr(c.opts.BindAddress); err != nil {
		return fmt.Errorf("the bind address: %w", err)
	}
	names, err := c.serverNames()
	if err != nil {
		return err
	}
	if c.scratch, err = newScratch(); err != nil {
		return err
	}
	c.dir = c.scratch.path
	if c.port, err = reservePort(c.bind); err != nil {
		return err
	}
	c.url = "https://" + net.JoinHostPort(reachable(c.bind).String(), strconv.Itoa(c.port.port))
	if c.ca, err = newAuthority(c.opts.Name); err != nil {
		return err
	}
	if err := c.ca.writePKI(c.pki(), names); err != nil {
		return err
	}
	if c.client, err = kubernetes.NewForConfig(c.Config()); err != nil {
		return err
	}
	return c.writeKubeconfig(c.Kubeconfig(), adminUser, adminGroup)
}

// launch starts a component that does not run yet.
func (c *Cluster) launch(component **process, name string, args []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return fmt.Errorf("starting %s: cluster %s is stopped", name, c.opts.Name)
	}
	if (*component).running() {
		return fmt.Errorf("starting %s of cluster %s: it is running", name, c.opts.Name)
	}
	p, err := startProcess(c.opts.Binaries, c.dir, name, append(args, c.opts.ExtraArgs[name]...)...)
	if err == nil {
		*component = p
	}
	return err
}

// await waits for a component, of which it is known that it needs etcd too; see [process.await].
func (c *Cluster) await(ctx context.Context, component **process, ready func(context.Context) error) error {
	c.mu.Lock()
	p, etcd := *component, c.etcd
	c.mu.Unlock()
	return p.await(ctx, ready, etcd)
}

// Stop ends the cluster and leaves nothing of it behind. It is safe to call it twice, and on a cluster half started.
func (c *Cluster) Stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	c.stopped = true
	setStarted(c, false)
	c.killAll() // nothing is worth an orderly shutdown: the data go too
	if c.port != nil {
		c.port.release()
	}
	if c.scratch != nil {
		if err := c.scratch.remove(); err != nil {
			fmt.Fprintf(os.Stderr, "controlplane: stopping cluster %s: %v\n", c.opts.Name, err)
		}
	}
}

// killAll ends all components. The caller holds c.mu.
func (c *Cluster) killAll() {
	for _, p := range []*process{c.controllerManager, c.apiServer, c.etcd} {
		p.kill()
	}
}

// StartAll starts several clusters at once, and returns all of them or, after stopping those that did start, an error.
func StartAll(ctx context.Context, options ...Options) ([]*Cluster, error) {
	clusters, errs := make([]*Cluster, len(options)), make([]error, len(options))
	var wg sync.WaitGroup
	for i, opts := range options {
		wg.Go(func() { clusters[i], errs[i] = Start(ctx, opts) })
	}
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil {
		return clusters, nil
	}
	for _, c := range clusters {
		if c != nil {
			c.Stop()
		}
	}
	return nil, err
}

// Name returns the cluster's name, which is that of its context in kubeconfigs.
func (c *Cluster) Name() string { return c.opts.Name }

// URL returns the API server's, as "https://127.0.0.1:36443".
func (c *Cluster) URL() string { return c.url }

// Binaries returns the programs that the cluster runs.
func (c *Cluster) Binaries() *Binaries { return c.opts.Binaries }

// Logs returns the last lines that a component ("etcd", "kube-apiserver", "kube-controller-manager") printed.
func (c *Cluster) Logs(component string, lines int) string {
	return (&process{logFile: c.path(component + ".log")}).tail(lines)
}

// ServerVersion returns what the API server says of itself, as "v1.37.2".
func (c *Cluster) ServerVersion() (string, error) {
	version, err := c.client.Discovery().ServerVersion()
	if err != nil {
		return "", fmt.Errorf("asking cluster %s for its version: %w", c.opts.Name, err)
	}
	return version.GitVersion, nil
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }
func (c *Cluster) pki() string             { return c.path("pki") }

// reachable returns the address at which a server that listens on bind can be called from this machine.
func reachable(bind netip.Addr) netip.Addr {
	switch {
	case !bind.IsUnspecified():
		return bind
	case bind.Is4():
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	default:
		return netip.IPv6Loopback()
	}
}
