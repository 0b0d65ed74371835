// Package nameserver finds the CoreDNS that a cluster's pods ask, and asks it.
//
// It reads ConfigMaps, Deployments and pods, and sends DNS queries; what the Corefile means is decided in package corefile,
// and what an answer means by whoever asked.
package nameserver

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/internal/mcsapi"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// Role is what a name server is to the pods of a cluster.
type Role string

// The roles.
const (
	// Stock is the CoreDNS that pods ask, by the Service kube-dns.
	Stock Role = "stock"
	// Own is a CoreDNS of this project's beside it, to which the stock one forwards.
	Own Role = "own"
	// NodeLocal is a cache on each node, in front of the stock one.
	NodeLocal Role = "node-local"
)

// Server is one name server: a workload and its Corefile.
type Server struct {
	Role      Role   `json:"role"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	// ConfigMap is the one with its Corefile.
	ConfigMap string `json:"configMap,omitempty"`
	Image     string `json:"image,omitempty"`
	// Ready and Wanted are its pods; Wanted is 0 where the workload was not found, or is scaled to 0.
	Ready  int32 `json:"ready"`
	Wanted int32 `json:"wanted"`
	// Addresses are those of its Service, where it is this project's.
	Addresses []string `json:"addresses,omitempty"`
	// Crash is why a container does not run, such as "CrashLoopBackOff: ...".
	Crash string `json:"crash,omitempty"`
	// Answer is what its Corefile says of the zone.
	Answer corefile.Answer `json:"zone"`
	// labels select its pods.
	labels string
}

const (
	system   = metav1.NamespaceSystem
	ownName  = "coredns-multicluster"
	ownLabel = "app.kubernetes.io/name=" + ownName
	// ownNamespace is that of deploy/coredns.
	ownNamespace = "mcs-dns"
)

// ownNamespaces are where a CoreDNS of this project's may be, in the order in which they are preferred: the one of
// deploy/coredns, and the controller's, where the chart has it and earlier versions of deploy/coredns had it.
func ownNamespaces(mcsNamespace string) []string {
	return slices.Compact([]string{ownNamespace, mcsNamespace})
}

// OwnNamespace is the namespace in which a CoreDNS of this project's has a Service; where it has none, the one where it is to be.
func OwnNamespace(ctx context.Context, kube kubernetes.Interface, mcsNamespace string) (string, error) {
	for _, namespace := range ownNamespaces(mcsNamespace) {
		_, err := kube.CoreV1().Services(namespace).Get(ctx, ownName, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) && !closed(err, namespace, mcsNamespace) {
			return namespace, err
		}
	}
	return ownNamespace, nil
}

// closed says whether a namespace can't be read by who may read the controller's, where the chart has our CoreDNS: that one then is
// as good as absent.
func closed(err error, namespace, mcsNamespace string) bool {
	return apierrors.IsForbidden(err) && namespace != mcsNamespace
}

// Servers finds the name servers of a cluster, and what they do with zone; mcsNamespace is the controller's. None is
// no error: the cluster's DNS may be something else.
func Servers(ctx context.Context, kube kubernetes.Interface, mcsNamespace, zone string) ([]Server, error) {
	var out []Server
	stock, err := configured(ctx, kube, Server{Role: Stock, Namespace: system, Name: "coredns", labels: "k8s-app=kube-dns"}, "coredns", zone)
	if err != nil {
		return nil, err
	}
	if stock != nil {
		if _, err := stock.deployment(ctx, kube, ""); err != nil {
			return nil, err
		}
		out = append(out, *stock)
	}
	local, err := configured(ctx, kube, Server{Role: NodeLocal, Namespace: system, Name: "node-local-dns", labels: "k8s-app=node-local-dns"}, "node-local-dns", zone)
	if err != nil {
		return nil, err
	}
	if local != nil {
		out = append(out, *local)
	}
	for _, namespace := range ownNamespaces(mcsNamespace) {
		own := Server{Role: Own, Namespace: namespace, Name: ownName, labels: ownLabel}
		found, err := own.deployment(ctx, kube, zone)
		if err == nil && found && (own.Wanted > 0 || stock != nil && stock.Answer.State == corefile.Forwarded) { // nobody asks one that is scaled to 0
			own.Addresses, err = addresses(ctx, kube, namespace)
			out = append(out, own)
		}
		if err != nil && !closed(err, namespace, mcsNamespace) {
			return nil, err
		}
	}
	for i := range out {
		if err := out[i].pods(ctx, kube); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Ours returns the CoreDNS of this project's among the name servers of a cluster, or nil.
func Ours(servers []Server) *Server {
	if at := slices.IndexFunc(servers, func(s Server) bool { return s.Role == Own }); at >= 0 {
		return &servers[at]
	}
	return nil
}

// configured returns s with what its ConfigMap says, or nil if there is no such ConfigMap.
func configured(ctx context.Context, kube kubernetes.Interface, s Server, configMap, zone string) (*Server, error) {
	m, err := kube.CoreV1().ConfigMaps(s.Namespace).Get(ctx, configMap, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.ConfigMap, s.Answer = configMap, corefile.Of(m.Data["Corefile"], zone)
	return &s, nil
}

// addresses returns the addresses of our CoreDNS's Service in a namespace; none where there is no such Service, or it can't be read.
func addresses(ctx context.Context, kube kubernetes.Interface, namespace string) ([]string, error) {
	s, err := kube.CoreV1().Services(namespace).Get(ctx, ownName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(s.Spec.ClusterIPs), func(ip string) bool { return ip == corev1.ClusterIPNone }), nil
}

// deployment reads image and replicas, and for a zone the Corefile of the ConfigMap that the pods mount. It reports whether there
// is a Deployment.
func (s *Server) deployment(ctx context.Context, kube kubernetes.Interface, zone string) (found bool, err error) {
	d, err := kube.AppsV1().Deployments(s.Namespace).Get(ctx, s.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	s.Ready, s.Wanted = d.Status.ReadyReplicas, max(1, d.Status.Replicas)
	if d.Spec.Replicas != nil {
		s.Wanted = *d.Spec.Replicas
	}
	if containers := d.Spec.Template.Spec.Containers; len(containers) > 0 {
		s.Image = containers[0].Image
	}
	if mounted := mountedConfigMap(d); zone != "" && mounted != "" {
		configured, err := configured(ctx, kube, *s, mounted, zone)
		if err != nil || configured == nil {
			return true, err
		}
		s.ConfigMap, s.Answer = configured.ConfigMap, configured.Answer
	}
	return true, nil
}

func mountedConfigMap(d *appsv1.Deployment) string {
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.ConfigMap != nil && mcsapi.IsSubdomain(v.ConfigMap.Name) {
			return v.ConfigMap.Name
		}
	}
	return ""
}

// pods counts those that are ready where no Deployment did, and finds out why one does not run.
func (s *Server) pods(ctx context.Context, kube kubernetes.Interface) error {
	list, err := kube.CoreV1().Pods(s.Namespace).List(ctx, metav1.ListOptions{LabelSelector: s.labels})
	if err != nil {
		return err
	}
	counted := s.Wanted > 0 || s.Role == Own
	for i := range list.Items {
		pod := &list.Items[i]
		if !counted {
			s.Wanted++
			if ready(pod) {
				s.Ready++
			}
		}
		if why := crash(pod); why != "" {
			s.Crash = why
		}
	}
	return nil
}

func ready(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// crash says why a container of the pod waits, or ended, with the last line that it left.
func crash(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting == nil || c.State.Waiting.Reason == "ContainerCreating" {
			continue
		}
		why := c.State.Waiting.Reason
		if last := c.LastTerminationState.Terminated; last != nil {
			lines := strings.Split(strings.TrimSpace(cmp.Or(last.Message, last.Reason)), "\n")
			why += ": " + lines[len(lines)-1]
		}
		return why
	}
	return ""
}
