package chaos

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/link"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/programs"
)

const (
	namespace = "shop"
	service   = "web"
	domain    = service + "." + namespace + ".svc.clusterset.local"
	// replicas is the number of pods of the service in every cluster.
	replicas = 2
	// grace and stable are the controller's; short, so that a run sees many withdrawals.
	grace, stable = 10 * time.Second, 3 * time.Second
)

// exporters export the service; the third cluster has one of the same name that it keeps to itself.
var exporters = []string{"a", "b"}

const everywhere = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: shop, labels: {app: client}}
spec:
  containers: [{name: client, image: curl, command: [sleep, infinity]}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: web-demo, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
`

const export = `
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: web, namespace: shop}
`

// world is the stage: the clusters, and between each of them and the controller a link.
type world struct {
	*clusterset.Set
	dir   string // the controller's kubeconfigs, one per member
	links map[string]*link.Link

	controller *programs.Process

	mu          sync.Mutex
	excuses     []excuse
	withdrawals []time.Duration
}

func newWorld(ctx context.Context, opts Options) (w *world, err error) {
	w = &world{links: map[string]*link.Link{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.Set, err = clusterset.New(ctx, clusterset.Options{
		Clusters: []clusterset.ClusterOptions{{Name: "a"}, {Name: "b"}, {Name: "c"}},
		Packets:  true, Progress: opts.Progress, BuildLog: opts.BuildLog,
	})
	if err != nil {
		return w, err
	}
	if w.dir, err = os.MkdirTemp("", "chaos-"); err != nil {
		return w, err
	}
	for _, c := range w.Clusters {
		if w.links[c.Name], err = link.New(c.URL()); err != nil {
			return w, err
		}
		if err := w.writeCredentials(ctx, c); err != nil {
			return w, err
		}
		manifests := [][]byte{[]byte(everywhere)}
		if slices.Contains(exporters, c.Name) {
			manifests = append(manifests, []byte(export))
		}
		if err := c.ApplyYAML(ctx, manifests...); err != nil {
			return w, err
		}
	}
	return w, w.startController()
}

func (w *world) close() {
	if w.controller != nil {
		w.controller.Kill()
	}
	for _, l := range w.links {
		l.Close()
	}
	if w.Set != nil {
		w.Set.Close()
	}
	if w.dir != "" {
		_ = os.RemoveAll(w.dir)
	}
}

// writeCredentials gives the controller new ones for a member, as a person does: by replacing the file.
func (w *world) writeCredentials(ctx context.Context, c *clusterset.Cluster) error {
	content, err := c.ControllerCredentials(ctx, w.links[c.Name].URL())
	if err != nil {
		return err
	}
	hidden := filepath.Join(w.dir, "."+c.Name)
	if err := os.WriteFile(hidden, content, 0o600); err != nil {
		return err
	}
	return os.Rename(hidden, filepath.Join(w.dir, c.Name+".kubeconfig"))
}

func (w *world) startController() (err error) {
	w.controller, err = programs.Start(w.Programs.Controller, "--clusters-dir", w.dir,
		"--grace-period", grace.String(), "--stable-period", stable.String())
	return err
}

func (w *world) controllerLog() string {
	const most = 6000
	log := w.controller.Log()
	return "the end of the controller's log:\n" + log[max(0, len(log)-most):]
}

// settle waits until every cluster holds exactly the ready pods of the exporters, its kube-proxy leads there, and its DNS answers.
func (w *world) settle(ctx context.Context) error {
	return kit.Await(ctx, func(ctx context.Context) error {
		ips, err := w.readyPods(ctx)
		if err != nil {
			return err
		}
		want := node.Strings(ips)
		slices.Sort(want)
		for _, c := range w.Clusters {
			got, err := imported(ctx, c, "")
			if err != nil {
				return err
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("cluster %s holds the endpoints %v, not %v", c.Name, got, want)
			}
			if err := c.CheckRules(ctx, namespace, mcsapi.DerivedPrefix+service, clusterset.EveryPort, ips); err != nil {
				return err
			}
			if err := resolves(ctx, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// readyPods returns the IPv4 addresses of the exported pods that are ready.
func (w *world) readyPods(ctx context.Context) ([]netip.Addr, error) {
	var ips []netip.Addr
	for _, name := range exporters {
		pods, err := w.Cluster(name).ReadyPods(ctx, namespace, "app="+service, replicas)
		if err != nil {
			return nil, err
		}
		for _, ip := range clusterset.PodIPs(pods...) {
			if ip.Is4() {
				ips = append(ips, ip)
			}
		}
	}
	return ips, nil
}

// imported returns the ready IPv4 endpoints of the service that a cluster holds, those of one source or of all, sorted.
func imported(ctx context.Context, c *clusterset.Cluster, source string) ([]string, error) {
	selector := mcsapi.LabelServiceName + "=" + service
	if source != "" {
		selector += "," + mcsapi.LabelSourceCluster + "=" + source
	}
	list, err := c.Client.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	ips := []string{}
	for _, s := range list.Items {
		for _, e := range s.Endpoints {
			if ready := e.Conditions.Ready; s.AddressType == discoveryv1.AddressTypeIPv4 && (ready == nil || *ready) {
				ips = append(ips, e.Addresses...)
			}
		}
	}
	slices.Sort(ips)
	return ips, nil
}

// awaitImported waits until the given clusters hold count endpoints of a source.
func (w *world) awaitImported(ctx context.Context, clusters []*clusterset.Cluster, source string, count int) error {
	return kit.Await(ctx, func(ctx context.Context) error {
		for _, c := range clusters {
			ips, err := imported(ctx, c, source)
			if err != nil {
				return err
			}
			if len(ips) != count {
				return fmt.Errorf("cluster %s holds the endpoints %v of %s, want %d", c.Name, ips, source, count)
			}
		}
		return nil
	})
}

// others returns the clusters but c.
func (w *world) others(c *clusterset.Cluster) []*clusterset.Cluster {
	return slices.DeleteFunc(slices.Clone(w.Clusters), func(other *clusterset.Cluster) bool { return other == c })
}

// awaitWithdrawal waits until no other cluster holds endpoints of c, which is out of reach since a moment ago.
func (w *world) awaitWithdrawal(ctx context.Context, c *clusterset.Cluster) error {
	began := time.Now()
	err := w.awaitImported(ctx, w.others(c), c.Name, 0)
	if err == nil {
		w.mu.Lock()
		w.withdrawals = append(w.withdrawals, time.Since(began))
		w.mu.Unlock()
	}
	return err
}

// aPod returns one of the service's pods of a cluster.
func (w *world) aPod(ctx context.Context, h hurt) (*corev1.Pod, error) {
	pods, err := h.victim.ReadyPods(ctx, namespace, "app="+service, replicas)
	if err != nil {
		return nil, err
	}
	return pods[h.pick(len(pods))], nil
}

// wait lets time pass in which a fault lasts.
func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
