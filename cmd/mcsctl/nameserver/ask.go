package nameserver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/kubeclient/forward"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Reply is what a name server said of a name.
type Reply struct {
	// Via says how it was asked: an address, or a pod.
	Via string `json:"via"`
	// Rcode is "NOERROR", "NXDOMAIN", and so on.
	Rcode string `json:"rcode"`
	// Addresses are of both families, sorted.
	Addresses []string `json:"addresses"`
	// Took is until the last of both answers.
	Took time.Duration `json:"-"`
}

// patience is how long a server may take to reply: the plugin forward says SERVFAIL after 5 s without an answer from its upstream,
// and whoever hangs up before does not hear that.
const patience = 6 * time.Second

// Ask asks the server at address, "host:port", for the addresses of name, over TCP.
func Ask(ctx context.Context, address, name string) (*Reply, error) {
	reply := &Reply{Via: address, Rcode: "NOERROR", Addresses: []string{}}
	start := time.Now()
	client := &dns.Client{Net: "tcp", ReadTimeout: patience}
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		asked := time.Now()
		m, _, err := client.ExchangeContext(ctx, new(dns.Msg).SetQuestion(dns.Fqdn(name), kind), address)
		if err != nil {
			return nil, &Unanswered{Via: address, After: time.Since(asked), Err: err}
		}
		if m.Rcode != dns.RcodeSuccess {
			reply.Rcode = dns.RcodeToString[m.Rcode]
		}
		for _, rr := range m.Answer {
			switch rr := rr.(type) {
			case *dns.A:
				reply.Addresses = append(reply.Addresses, rr.A.String())
			case *dns.AAAA:
				reply.Addresses = append(reply.Addresses, rr.AAAA.String())
			}
		}
	}
	slices.Sort(reply.Addresses)
	reply.Took = time.Since(start)
	return reply, nil
}

// ErrNoPod means that there is nobody to ask.
var ErrNoPod = errors.New("no pod of CoreDNS is ready")

// Unanswered means that a server was asked, and did not reply.
type Unanswered struct {
	// Via is an address, or a pod, as in [Reply]. Pod is the pod's name, if it is one.
	Via, Pod string
	// After is when it turned out.
	After time.Duration
	Err   error
}

// Error implements error.
func (u *Unanswered) Error() string {
	return fmt.Sprintf("%s: it does not reply within %s (%s)", u.Via, u.After.Round(time.Millisecond), u.Err)
}

// Unwrap returns the reason.
func (u *Unanswered) Unwrap() error { return u.Err }

// AskPod asks a ready pod of the stock CoreDNS, through a port that the API server forwards to it.
func AskPod(ctx context.Context, client *kubeclient.Client, kube kubernetes.Interface, name string) (*Reply, error) {
	pods, err := readyPods(ctx, kube)
	if err != nil {
		return nil, err
	}
	return askThrough(ctx, client, kube, &pods[0], name)
}

// AskPods asks every ready pod of the stock CoreDNS, one after the other, until one can't be asked.
func AskPods(ctx context.Context, client *kubeclient.Client, kube kubernetes.Interface, name string) (replies []*Reply, err error) {
	pods, err := readyPods(ctx, kube)
	if err != nil {
		return nil, err
	}
	for i := range pods {
		reply, err := askThrough(ctx, client, kube, &pods[i], name)
		if err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

// readyPods are those of the stock CoreDNS, one at least.
func readyPods(ctx context.Context, kube kubernetes.Interface) ([]corev1.Pod, error) {
	list, err := kube.CoreV1().Pods(system).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=kube-dns"})
	if err != nil {
		return nil, err
	}
	pods := slices.DeleteFunc(mcsapi.OnlyWellformed(list.Items, true), func(p corev1.Pod) bool { return !ready(&p) })
	if len(pods) == 0 {
		return nil, ErrNoPod
	}
	return pods, nil
}

func askThrough(ctx context.Context, client *kubeclient.Client, kube kubernetes.Interface, pod *corev1.Pod, name string) (*Reply, error) {
	at := kube.CoreV1().RESTClient().Post().Resource("pods").Namespace(pod.Namespace).Name(pod.Name).SubResource("portforward").URL()
	address, stop, err := forward.Port(ctx, client, at, 53)
	if err != nil {
		return nil, fmt.Errorf("forwarding a port to pod %s/%s: %w", system, pod.Name, err)
	}
	defer stop()
	reply, err := Ask(ctx, address, name)
	if u := (*Unanswered)(nil); errors.As(err, &u) {
		u.Via, u.Pod = "pod "+pod.Name, pod.Name
	}
	if err != nil {
		return nil, err
	}
	reply.Via = "pod " + pod.Name
	return reply, nil
}
