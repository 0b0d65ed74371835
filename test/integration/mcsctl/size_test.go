package mcsctl

import (
	"context"
	"fmt"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// BenchmarkExplain: one explanation in a clusterset of 3 clusters with 2,000 exported services each, all in one namespace.
// It should take well under a second.
func BenchmarkExplain(b *testing.B) {
	const services, workers = 2000, 16
	var args []string
	all := controlplane.AllForTest(b, controlplane.Options{Name: "c1"}, controlplane.Options{Name: "c2"}, controlplane.Options{Name: "c3"})
	var wg sync.WaitGroup
	for _, cp := range all {
		kit.Must(b, cp.InstallCRDs(b.Context()))
		c := connect(b, cp)
		namespace(b, "big", c)
		args = append(args, "--cluster", c.Name()+"="+c.Kubeconfig())
		for w := range workers {
			wg.Go(func() {
				for n := w; n < services; n += workers {
					if err := c.fill(b.Context(), "big", fmt.Sprintf("svc-%d", n)); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	args = append([]string{"explain", "svc-1234.big", "--no-dns"}, args...)
	for b.Loop() {
		if o := mcsctl(b, args...); o.code != 1 { // no controller: nothing is imported
			b.Fatal(o.out, o.err)
		}
	}
}

// fill makes a Service, its slice and its export.
func (c *cluster) fill(ctx context.Context, ns, name string) error {
	_, err := c.kube.CoreV1().Services(ns).Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = c.kube.DiscoveryV1().EndpointSlices(ns).Create(ctx, &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.5"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	e := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
	return c.mcs.Post().Namespace(ns).Resource("serviceexports").Body(e).Do(ctx).Error()
}
