package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/demo/manifests"
	"github.com/clusterset/multicluster/test/kit"
)

const namespace = "provider-ns"

type bench struct {
	set                *clusterset.Set
	provider, consumer *clusterset.Cluster
	servers            []*corev1.Pod
	client             *clusterset.Shell
	rules              *ruleWatch
	plain              netip.AddrPort // the consumer's CoreDNS without cache
}

func newBench(ctx context.Context, set *clusterset.Set) (*bench, error) {
	b := &bench{set: set, provider: set.Cluster("provider"), consumer: set.Cluster("consumer")}
	const namespaces = `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"provider-ns"}}
---
{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"consumer-ns"}}`
	if err := b.provider.ApplyYAML(ctx, []byte(namespaces), manifests.AppMeta); err != nil {
		return nil, err
	}
	if err := b.consumer.ApplyYAML(ctx, []byte(namespaces), manifests.ClientPod); err != nil {
		return nil, err
	}
	var err error
	if b.servers, err = b.provider.ReadyPods(ctx, namespace, "app=web-demo", 2); err != nil {
		return nil, err
	}
	clients, err := b.consumer.ReadyPods(ctx, "consumer-ns", "app=client-pod", 1)
	if err != nil {
		return nil, err
	}
	if b.client, err = b.consumer.Shell("consumer-ns", clients[0].Name); err != nil {
		return nil, err
	}
	resolvers, err := b.consumer.ReadyPods(ctx, "kube-system", "k8s-app=kube-dns", 1)
	if err != nil {
		return nil, err
	}
	resolver, err := netip.ParseAddr(resolvers[0].Status.PodIP)
	if err != nil {
		return nil, err
	}
	b.plain = netip.AddrPortFrom(resolver, 5353)
	b.rules, err = watchRules(ctx, b.consumer)
	return b, err
}

// export makes a Service of the web demo's pods, and its export, and waits for the controller to have seen it.
func (b *bench) export(ctx context.Context, name, clusterIP string) error {
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %[1]s, namespace: provider-ns}
spec:
  clusterIP: %[2]s
  selector: {app: web-demo}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: multicluster.x-k8s.io/v1alpha1
kind: ServiceExport
metadata: {name: %[1]s, namespace: provider-ns}
`, name, clusterIP)
	if err := b.provider.ApplyYAML(ctx, []byte(manifest)); err != nil {
		return err
	}
	return kit.Await(ctx, func(ctx context.Context) error {
		export, err := b.provider.ServiceExport(ctx, namespace, name)
		if err == nil && !slices.ContainsFunc(export.Status.Conditions, func(c metav1.Condition) bool { return c.Type == "Valid" && c.Status == "True" }) {
			err = errors.New("the export is not valid yet")
		}
		return err
	})
}

// remove takes one run's objects away, so that they are not changed by the next.
func (b *bench) remove(ctx context.Context, name string) error {
	if _, err := b.provider.Kubectl(ctx, nil, "delete", "serviceexport,service", name, "-n", namespace); err != nil {
		return err
	}
	_, err := b.consumer.Kubectl(ctx, nil, "delete", "serviceimport", name, "-n", namespace)
	return err
}

// imports measures new ServiceImports.
func (b *bench) imports(ctx context.Context, runs int) error {
	var addressed, ruled, answered []time.Duration
	for n := range runs {
		name := fmt.Sprintf("run-%d", n)
		if err := b.export(ctx, name, `""`); err != nil {
			return err
		}
		settle()
		asked := time.Now()
		if err := b.consumer.CreateImport(ctx, namespace, name, "ClusterSetIP"); err != nil {
			return err
		}
		err := kit.Await(ctx, func(ctx context.Context) error {
			object, err := b.consumer.ServiceImport(ctx, namespace, name)
			if err == nil && len(object.Spec.IPs) == 0 {
				err = errors.New("the import has no address")
			}
			return err
		})
		if err != nil {
			return err
		}
		addressed = append(addressed, time.Since(asked))
		err = kit.Await(ctx, func(ctx context.Context) error {
			_, err := b.client.Curl(ctx, name+"."+namespace+".svc.clusterset.local")
			return err
		})
		if err != nil {
			return err
		}
		answered = append(answered, time.Since(asked))
		if at, ok := b.rules.dispatch(asked, "amcs-"+name, b.servers[0].Status.PodIP, true); ok {
			ruled = append(ruled, at.Sub(asked))
		}
		if err := b.remove(ctx, name); err != nil {
			return err
		}
	}
	report("ServiceImport applied → it has its address", addressed)
	report("ServiceImport applied → kube-proxy's rules have it", ruled)
	report("ServiceImport applied → first curl answered", answered)
	return nil
}

// pods measures pods that become unready and ready again.
func (b *bench) pods(ctx context.Context, runs int) error {
	for name, clusterIP := range map[string]string{"headless": "None", "ordinary": `""`} {
		if err := b.export(ctx, name, clusterIP); err != nil {
			return err
		}
	}
	if err := errors.Join(b.consumer.CreateImport(ctx, namespace, "headless", "Headless"),
		b.consumer.CreateImport(ctx, namespace, "ordinary", "ClusterSetIP")); err != nil {
		return err
	}
	pod, ready := b.servers[0], true
	if _, err := b.resolved(ctx, pod.Status.PodIP, ready); err != nil {
		return err
	}
	var inDNS, inRules []time.Duration
	for range 2 * runs {
		settle()
		ready = !ready
		asked := time.Now()
		if err := b.provider.SetReady(ctx, namespace, pod.Name, ready); err != nil {
			return err
		}
		at, err := b.resolved(ctx, pod.Status.PodIP, ready)
		if err != nil {
			return err
		}
		inDNS = append(inDNS, at.Sub(asked))
		err = kit.Await(ctx, func(context.Context) error {
			at, ok := b.rules.dispatch(asked, "amcs-ordinary", pod.Status.PodIP, ready)
			if !ok {
				return errors.New("kube-proxy has not written the change")
			}
			inRules = append(inRules, at.Sub(asked))
			return nil
		})
		if err != nil {
			return err
		}
	}
	report("pod unready or ready again → the importing cluster's DNS", inDNS)
	report("pod unready or ready again → the importing kube-proxy's rules", inRules)
	return nil
}

// resolved waits until the headless name has the address, or has not, and returns when.
func (b *bench) resolved(ctx context.Context, address string, present bool) (time.Time, error) {
	deadline := time.Now().Add(30 * time.Second)
	for {
		reply, err := b.consumer.AskAt(ctx, b.plain, "headless."+namespace+".svc.clusterset.local", dns.TypeA)
		now := time.Now()
		if err == nil && (reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError) {
			has := slices.ContainsFunc(reply.Answer, func(rr dns.RR) bool {
				a, ok := rr.(*dns.A)
				return ok && a.A.String() == address
			})
			if has == present {
				return now, nil
			}
		}
		if now.After(deadline) || ctx.Err() != nil {
			return now, fmt.Errorf("DNS still has %s the other way: %v %v", address, reply, err)
		}
		wait(2 * time.Millisecond)
	}
}

// atRest counts what the controller changes when nothing happens.
func (b *bench) atRest(ctx context.Context, rest time.Duration) error {
	settle()
	before, err := b.controllerWrites()
	if err != nil {
		return err
	}
	select {
	case <-time.After(rest):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	after, err := b.controllerWrites()
	if err != nil {
		return err
	}
	fmt.Printf("%-62s %d mutating requests in %s, Leases apart (%d while things changed)\n", "at rest, the controller sent", after-before, rest, before)
	return nil
}

func (b *bench) controllerWrites() (int, error) {
	count := 0
	for _, c := range b.set.Clusters {
		requests, err := c.MutatingRequests()
		if err != nil {
			return 0, err
		}
		for request, n := range requests {
			if request.User == clusterset.ControllerUser {
				count += n
			}
		}
	}
	return count, nil
}

// settle waits until kube-proxy's last sync is over a second ago, so that it takes the next change at once. It may owe one
// more sync for the change before, a second after the first.
func settle() { wait(2500 * time.Millisecond) }

func wait(d time.Duration) { <-time.After(d) }
