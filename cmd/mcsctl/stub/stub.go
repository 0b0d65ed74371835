// Package stub has the CoreDNS that a cluster's pods ask forward the zone of the clusterset to a CoreDNS of this project's,
// and takes that back: the way for clusters whose own CoreDNS stays the image that it is.
//
// It writes one ConfigMap, kube-system/coredns, and there only the block that package corefile marks as its own.
package stub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/shell"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
)

// own is the Deployment and the Service of deploy/coredns.
const own = "coredns-multicluster"

// Request is a wish to have a zone forwarded, or no more.
type Request struct {
	Cluster *members.Cluster
	// Namespace is the one of our CoreDNS.
	Namespace string
	Zone      string
	// Overwrite gives up what somebody changed in the block by hand.
	Overwrite bool
	// Wait is how long our CoreDNS may take to be ready, and then the stock one to answer, or to answer no longer.
	Wait     time.Duration
	Progress func(format string, args ...any)

	controllers string // the controller's namespace
}

// Locate finds the namespace of our CoreDNS: that of deploy/coredns, or the controller's.
func (r *Request) Locate(ctx context.Context, controllers string) (err error) {
	r.controllers = controllers
	if r.Namespace, err = nameserver.OwnNamespace(ctx, r.Cluster.Kube, controllers); err != nil {
		return fmt.Errorf("looking for our CoreDNS in %s: %s", r.Cluster.Origin, members.Brief(err))
	}
	return nil
}

// On adds the block, where the zone is not answered already, and waits until every pod of the stock CoreDNS answers.
func (r *Request) On(ctx context.Context) error {
	edit, err := r.plan(ctx)
	if err != nil {
		return err
	}
	if edit == nil {
		return r.answered(ctx)
	}
	if err := r.ready(ctx); err != nil {
		return err
	}
	did := ""
	err = r.write(ctx, func(text string) string {
		did = "added a server block for %s to ConfigMap kube-system/coredns"
		if _, replaced := corefile.WithoutStub(text, r.Zone); replaced {
			did = "replaced the server block for %s in ConfigMap kube-system/coredns"
		}
		return edit(text)
	})
	if err != nil {
		return err
	}
	r.Progress(did, r.Zone)
	return r.answered(ctx)
}

// Off takes the block out again, and waits until no pod of the stock CoreDNS answers for the zone.
func (r *Request) Off(ctx context.Context) error {
	found, kept, served := false, false, false
	still := nameserver.Server{Role: nameserver.Stock, Namespace: metav1.NamespaceSystem, Name: configMap}
	err := r.write(ctx, func(text string) string {
		without := ""
		without, found = corefile.WithoutStub(text, r.Zone)
		still.Answer = corefile.Of(without, r.Zone)
		served = still.Answer.Works()
		if kept = r.edited(text); kept {
			return text
		}
		return without
	})
	switch {
	case err != nil:
		return err
	case kept:
		return fmt.Errorf("%s, so nothing was changed; --off --overwrite takes it out", r.changed())
	case still.Answer.State == corefile.Forwarded:
		return fmt.Errorf("the server block %s of the Corefile of kube-system/coredns still forwards %s to %s; mcsctl dns did not write it, so it stays; to take it out: %s",
			still.Answer.Server, r.Zone, strings.Join(still.Answer.To, ", "), shell.At(r.Cluster.Flags(), "kubectl edit configmap -n kube-system %s", configMap))
	case served: // by the stock CoreDNS itself
		r.Progress("the Corefile of kube-system/coredns has the zone without a block of mcsctl dns: %s", finding.Describe(&still, r.Zone))
		return nil
	case !found: // pods may still serve what an earlier run took out
		r.Progress("the Corefile of kube-system/coredns has no block for %s that mcsctl dns made; nothing was changed", r.Zone)
	}
	return r.settled(ctx, false)
}

// edited says whether the block of a Corefile was changed by hand, and stays as it is.
func (r *Request) edited(text string) bool { return !r.Overwrite && corefile.StubEdited(text, r.Zone) }

func (r *Request) changed() string {
	return fmt.Sprintf("the block for %s in the Corefile of kube-system/coredns is not as mcsctl dns wrote it: somebody changed it", r.Zone)
}

// DryRun returns the Corefile as [Request.On] would make it.
func (r *Request) DryRun(ctx context.Context) (string, error) {
	edit, err := r.plan(ctx)
	if err != nil {
		return "", err
	}
	m, err := r.configMap(ctx)
	if err != nil {
		return "", err
	}
	if edit == nil {
		return m.Data[key], nil
	}
	return edit(m.Data[key]), nil
}

const (
	configMap = "coredns"
	key       = "Corefile"
)

// plan returns what to do to the Corefile, nil for nothing, or why it can't be done.
func (r *Request) plan(ctx context.Context) (func(string) string, error) {
	m, err := r.configMap(ctx)
	if err != nil {
		return nil, err
	}
	text := m.Data[key]
	unmarked, ours := corefile.WithoutStub(text, r.Zone)
	before := nameserver.Server{Role: nameserver.Stock, Namespace: metav1.NamespaceSystem, Name: configMap, Answer: corefile.Of(unmarked, r.Zone)}
	switch a := &before.Answer; {
	case a.Works() && !ours:
		r.Progress("the Corefile has what it needs already")
		return nil, nil // somebody saw to it
	case a.Works(), a.State == corefile.Claimed, a.State == corefile.Captured:
		return nil, fmt.Errorf("%s; %s", finding.Describe(&before, r.Zone), cmp.Or(finding.Advice(&before, nil, r.Zone, r.controllers, r.Cluster.Flags()), string("to remove the block for it: "+shell.At(r.Cluster.Flags()+members.Besides(r.controllers, r.Zone), "mcsctl dns --off"))))
	case specific(a.Server, r.Zone):
		return nil, fmt.Errorf("the Corefile of kube-system/coredns has a server block %s of its own; add there what it needs, or take it out", a.Server)
	case r.edited(text):
		r.Progress("%s; it stays so, --overwrite replaces it", r.changed())
		return nil, nil
	}
	to, err := r.addresses(ctx)
	if err != nil {
		return nil, err
	}
	edit := func(text string) string {
		if r.edited(text) { // by now
			return text
		}
		return corefile.WithStub(text, r.Zone, to)
	}
	if edit(text) == text {
		r.Progress("the Corefile has what it needs already")
		return nil, nil
	}
	return edit, nil
}

// specific says whether a server block is that of the zone.
func specific(server, zone string) bool { return strings.HasPrefix(server, corefile.Zone(zone)+":") }

func (r *Request) configMap(ctx context.Context) (*corev1.ConfigMap, error) {
	m, err := r.Cluster.Kube.CoreV1().ConfigMaps(metav1.NamespaceSystem).Get(ctx, configMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s has no ConfigMap kube-system/coredns: its DNS is something else; deploy/README.md says what to do with other ones", r.Cluster.Origin)
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigMap kube-system/coredns of %s: %s", r.Cluster.Origin, members.Brief(err))
	}
	return m, nil
}

// addresses are those of the Service of our CoreDNS.
func (r *Request) addresses(ctx context.Context) ([]string, error) {
	s, err := r.Cluster.Kube.CoreV1().Services(r.Namespace).Get(ctx, own, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("%s has no Service %s/%s to forward to; install it first: %s", r.Cluster.Origin, r.Namespace, own,
			shell.At(r.Cluster.Flags(), "kubectl apply -k deploy/coredns"))
	}
	if err != nil {
		return nil, err
	}
	to := slices.DeleteFunc(slices.Clone(s.Spec.ClusterIPs), func(ip string) bool { return ip == "" || ip == corev1.ClusterIPNone })
	if len(to) == 0 {
		return nil, fmt.Errorf("the Service %s/%s has no address", r.Namespace, own)
	}
	return to, nil
}

// ready waits until there is somebody to forward to.
func (r *Request) ready(ctx context.Context) error {
	if r.Wait == 0 {
		return nil
	}
	said := false
	err := wait.PollUntilContextTimeout(ctx, 200*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
		d, err := r.Cluster.Kube.AppsV1().Deployments(r.Namespace).Get(ctx, own, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if d.Status.ReadyReplicas == 0 && !said {
			said = true
			r.Progress("waiting for Deployment %s/%s", r.Namespace, own)
		}
		return d.Status.ReadyReplicas > 0, nil
	})
	if wait.Interrupted(err) {
		return fmt.Errorf("no pod of %s/%s is ready after %s, so nothing was changed: %s", r.Namespace, own, r.Wait,
			shell.At(r.Cluster.Flags(), "kubectl describe pods -n %s", r.Namespace))
	}
	return err
}

// write changes the Corefile, and nobody's other change gets lost.
func (r *Request) write(ctx context.Context, edit func(string) string) error {
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		m, err := r.configMap(ctx)
		if err != nil {
			return err
		}
		text := edit(m.Data[key])
		if text == m.Data[key] {
			return nil
		}
		m.Data[key] = text
		_, err = r.Cluster.Kube.CoreV1().ConfigMaps(m.Namespace).Update(ctx, m, metav1.UpdateOptions{FieldManager: "mcsctl"})
		return err
	})
}

// answered waits until all pods of the stock CoreDNS answer for the zone, and warns of what is asked before them.
func (r *Request) answered(ctx context.Context) error {
	if err := r.settled(ctx, true); err != nil || r.Wait == 0 {
		return err
	}
	return r.warn(ctx)
}

// settled waits until all pods of the stock CoreDNS answer for the zone, or none does: the kubelet brings them the file within a
// minute or so, and the plugin reload reads it within another. Who does not reply does neither.
func (r *Request) settled(ctx context.Context, answering bool) error {
	if r.Wait == 0 {
		return nil
	}
	want, otherwise := "answers", "not every pod of kube-system/coredns answers"
	if !answering {
		want, otherwise = "no longer answers", "a pod of kube-system/coredns still answers"
	}
	r.Progress("waiting until every pod of kube-system/coredns has reloaded and %s; that may take two minutes", want)
	var last error
	heard, began := false, time.Now()
	err := wait.PollUntilContextTimeout(ctx, 500*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
		replies, err := nameserver.AskPods(ctx, r.Cluster.Client, r.Cluster.Kube, "svc."+r.Zone)
		if err != nil && ctx.Err() != nil && last != nil {
			return false, nil // out of time, in the middle of a request: what was before says more
		}
		last = err
		unanswered := (*nameserver.Unanswered)(nil)
		heard = heard || len(replies) > 0 || errors.As(err, &unanswered)
		for _, reply := range replies {
			if answers(reply) != answering {
				last = fmt.Errorf("%s says %s of svc.%s", reply.Via, said(reply), r.Zone)
			}
		}
		if !heard && !errors.Is(err, nameserver.ErrNoPod) && time.Since(began) > unaskable {
			return false, last
		}
		return last == nil, nil
	})
	switch last = cmp.Or(last, err); {
	case err == nil:
		return nil
	case !heard:
		return fmt.Errorf("the Corefile is as it should be, but whether every pod %s could not be asked: %s; a pod finds out with: %s, and with --wait 0 nobody asks",
			want, members.Brief(last), shell.Command("nslookup -type=TXT dns-version.%s", r.Zone))
	}
	return fmt.Errorf("the Corefile is as it should be, but after %s %s: %w; does it have the line reload? otherwise: %s",
		r.Wait, otherwise, last, shell.At(r.Cluster.Flags(), "kubectl rollout restart -n kube-system deployment/coredns"))
}

// answers says whether a reply about svc.<zone> is that of somebody who has the zone: the name exists there, and has no addresses.
// Name servers elsewhere know no such name, or have an address for every name.
func answers(reply *nameserver.Reply) bool {
	return reply.Rcode == "NOERROR" && len(reply.Addresses) == 0
}

func said(reply *nameserver.Reply) string {
	if len(reply.Addresses) > 0 {
		return strings.Join(reply.Addresses, ", ")
	}
	return reply.Rcode
}

// warn warns of caches on the nodes that pods ask first and that send the zone elsewhere, and of what keeps or does not balance
// its answers.
func (r *Request) warn(ctx context.Context) error {
	servers, err := nameserver.Servers(ctx, r.Cluster.Kube, r.Namespace, r.Zone)
	for i := range servers {
		s := &servers[i]
		if s.Role == nameserver.NodeLocal && !s.Answer.Works() {
			r.Progress("warning: %s", finding.Advice(s, servers, r.Zone, r.controllers, r.Cluster.Flags()))
		}
		for _, caveat := range finding.Caveats(s, servers, r.Zone, r.controllers, r.Cluster.Flags()) {
			r.Progress("warning: %s; %s", caveat.Found, caveat.Do)
		}
	}
	return err
}

// unaskable is after how long of nothing but failures to forward a port there will be none.
const unaskable = 20 * time.Second
