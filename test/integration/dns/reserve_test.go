package dns

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"

	"github.com/miekg/dns"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// exportedDB is a headless Service with two endpoints, and its export.
const exportedDB = `
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NS}
spec: {clusterIP: None, ports: [{name: pg, port: 5432, protocol: TCP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db-x, namespace: NS, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
ports: [{name: pg, port: 5432, protocol: TCP}]
endpoints:
- {addresses: [10.1.0.1], hostname: db-0, conditions: {ready: true}}
- {addresses: [10.1.0.2], hostname: db-1, conditions: {ready: true}}
---
apiVersion: multicluster.x-k8s.io/v1beta1
kind: ServiceExport
metadata: {name: db, namespace: NS}`

// reserve is a cluster near that imports a headless service from itself and from a cluster far, which is in reserve.
type reserve struct {
	t         *testing.T
	near, far *controlplane.Cluster
	kube      kubernetes.Interface // of near
	ns        string
}

// startReserve exports the service from both clusters. Nothing is imported yet.
func startReserve(t *testing.T) *reserve {
	t.Helper()
	r := &reserve{t: t, near: ownCluster(t), far: sharedCluster(t)}
	var err error
	if r.kube, err = kubernetes.NewForConfig(r.near.Config()); err != nil {
		t.Fatal(err)
	}
	r.ns = namespaced(t, r.far)
	apply(t, r.near, r.ns, "apiVersion: v1\nkind: Namespace\nmetadata: {name: NS}")
	apply(t, r.near, r.ns, exportedDB)
	apply(t, r.far, r.ns, r.inFar(exportedDB))
	return r
}

// inFar gives endpoints the addresses that they have in the cluster far.
func (r *reserve) inFar(manifest string) string {
	return strings.ReplaceAll(manifest, "10.1.0.", "10.2.0.")
}

// controller runs the controller, which prefers the importing cluster's endpoints, until stop is called.
func (r *reserve) controller() (stop func()) {
	r.t.Helper()
	built, err := programs.Build(r.t.Context(), os.Stderr, "cmd/mcs-controller")
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := programs.Start(built[0], "--cluster", "near="+r.near.Kubeconfig(), "--cluster", "far="+r.far.Kubeconfig(), "--prefer", "local")
	if err != nil {
		r.t.Fatal(err)
	}
	stop = func() { p.Stop(10 * time.Second) }
	r.t.Cleanup(func() {
		stop()
		if r.t.Failed() {
			r.t.Logf("mcs-controller printed:\n%s", p.Log())
		}
	})
	return stop
}

// imported returns the imported slice of a cluster.
func (r *reserve) imported(cluster string) (*discoveryv1.EndpointSlice, error) {
	list, err := r.kube.DiscoveryV1().EndpointSlices(r.ns).List(context.Background(), metav1.ListOptions{LabelSelector: mcsapi.LabelSourceCluster + "=" + cluster})
	if err == nil && len(list.Items) != 1 {
		err = fmt.Errorf("%d slices of %s", len(list.Items), cluster)
	}
	if err != nil {
		return nil, err
	}
	return &list.Items[0], nil
}

// awaitReserve waits until the slice of the cluster far has the labels of one in reserve, or of one in use, beside that of near,
// and returns it.
func (r *reserve) awaitReserve(idle bool) (s *discoveryv1.EndpointSlice) {
	r.t.Helper()
	kit.Eventually(r.t, fmt.Sprintf("the endpoints of far are in reserve: %v", idle), func() (err error) {
		if _, err = r.imported("near"); err == nil {
			s, err = r.imported("far")
		}
		if err != nil {
			return err
		}
		has := func(label string) bool { _, is := s.Labels[label]; return is }
		if has(mcsapi.LabelReserve) != idle || has(mcsapi.LabelServiceName) == idle || has(discoveryv1.LabelServiceName) == idle {
			err = fmt.Errorf("labels %v", s.Labels)
		}
		return err
	})
	return s
}

// asOlderVersionsDid gives the slice in reserve the labels with which controllers wrote it before there was one for reserves.
func (r *reserve) asOlderVersionsDid() (name string, uid types.UID) {
	r.t.Helper()
	s := r.awaitReserve(true)
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:null,%q:"db"}}}`, mcsapi.LabelReserve, mcsapi.LabelServiceName)
	if _, err := r.kube.DiscoveryV1().EndpointSlices(r.ns).Patch(r.t.Context(), s.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		r.t.Fatal(err)
	}
	return s.Name, s.UID
}

// answer is that of the service, or below it of an endpoint, where its addresses are these.
func (r *reserve) answer(below string, addresses ...string) want {
	w := want{name: below + "db." + r.ns + ".svc.clusterset.local.", qtype: dns.TypeA}
	for _, a := range addresses {
		w.answer = append(w.answer, w.name+" 5 IN A "+a)
	}
	return w
}

// TestUpgrade_G1: CoreDNS comes first, and answers from reserves as older controllers labelled them; then the controller, which
// takes these over; then the preferred cluster fails and returns, a few times. Under constant load, for the service and for an
// endpoint of the reserve, every question is answered.
func TestUpgrade_G1(t *testing.T) {
	r := startReserve(t)
	stop := r.controller()
	r.awaitReserve(true)
	stop()
	name, uid := r.asOlderVersionsDid()

	s := serve(t, fmt.Sprintf(corefile, r.near.Kubeconfig()))
	near, far, inFar := r.answer("", "10.1.0.1", "10.1.0.2"), r.answer("", "10.2.0.1", "10.2.0.2"), r.answer("db-1.far.", "10.2.0.2")
	s.answers(near)
	s.answers(inFar)
	service, endpoint := startLoad(s, near), startLoad(s, inFar)
	r.controller()
	if is := r.awaitReserve(true); is.Name != name || is.UID != uid {
		t.Errorf("slice %s (%s) is another than %s (%s): it was not taken over", is.Name, is.UID, name, uid)
	}
	service.end(t, "upgrading the controller")

	service = startLoad(s, near, far)
	for range 3 {
		apply(t, r.near, r.ns, strings.ReplaceAll(exportedDB, "ready: true", "ready: false"))
		r.awaitReserve(false)
		s.answers(far)
		apply(t, r.near, r.ns, exportedDB)
		r.awaitReserve(true)
		s.answers(near)
	}
	service.end(t, "failing over")
	endpoint.end(t, "an endpoint of the reserve")
}

// TestOthersSlices_G1: a slice without the label of our controller is answered from, too, also when it gets that label, loses it,
// and goes while the plugin can't see it.
func TestOthersSlices_G1(t *testing.T) {
	c := sharedCluster(t)
	ns := namespaced(t, c)
	s := serve(t, fmt.Sprintf(corefile, c.Kubeconfig()))
	r := &reserve{ns: ns}
	ours := strings.Replace(dbEast, "labels: {", "labels: {clusterset.dev/clusterset: default, ", 1)
	idle := strings.Replace(ours, mcsapi.LabelServiceName, mcsapi.LabelReserve, 1)
	apply(t, c, ns, db)
	for _, slice := range []string{dbEast, ours, idle, ours, dbEast, idle} {
		apply(t, c, ns, slice)
		s.answers(r.answer("db-1.east.", "10.1.0.2"))
		apply(t, c, ns, strings.ReplaceAll(slice, "10.1.0.", "10.9.0."))
		s.answers(r.answer("db-1.east.", "10.9.0.2"))
		apply(t, c, ns, slice)
		s.answers(r.answer("db-1.east.", "10.1.0.2"))
	}
	if n := s.logged("ignored"); n > 0 {
		t.Error("it was logged as odd")
	}
	apply(t, c, ns, strings.Replace(ours, "multicluster.kubernetes.io/service-name: db, ", "", 1)) // of ours, for something else
	kit.Eventually(t, "it is gone", func() error {
		if reply := s.ask("db."+ns+".svc.clusterset.local.", dns.TypeA); reply.Rcode != dns.RcodeNameError {
			return errors.New("it is still answered")
		}
		return nil
	})
	if n := s.logged("ignored"); n > 0 {
		t.Error("it was logged as odd")
	}
}
