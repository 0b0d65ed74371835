package mcsctl

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

const kubeadm = ".:53 {\n    errors\n    kubernetes cluster.local in-addr.arpa ip6.arpa\n    forward . /etc/resolv.conf\n    reload\n}\n"

// TestDNSCommand: mcsctl dns writes its block and nothing else, only once there is somebody to forward to, never where somebody
// else has the zone, and takes it out without a trace. That names are then answered is tested with pods, in test/e2e/docs.
func TestDNSCommand(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	at := func(args ...string) outcome {
		t.Helper()
		return mcsctl(t, append(append([]string{"dns"}, args...), "--kubeconfig", kubeconfig, "--context", "c1")...)
	}
	at().wants(t, 1, "has no ConfigMap kube-system/coredns")
	c1.corefile(t, kubeadm)
	at().wants(t, 1, "has no Service mcs-dns/coredns-multicluster to forward to; install it first: kubectl apply -k deploy/coredns --kubeconfig "+kubeconfig+" --context c1")
	c1.ownDNS(t, "mcs-dns")
	at("--wait", "500ms").wants(t, 1, "no pod of mcs-dns/coredns-multicluster is ready after 500ms, so nothing was changed")
	if got := c1.corefileNow(t); got != kubeadm {
		t.Errorf("the Corefile is now\n%s", got)
	}
	c1.ownDNSReady(t, "mcs-dns")
	dry := at("--dry-run")
	dry.golden(t, "dns-dry-run")
	at("--wait", "1s").golden(t, "dns") // nobody answers: there are no pods
	if got := c1.corefileNow(t); got != dry.out {
		t.Errorf("the Corefile is\n%s\nwant what the dry run said\n%s", got, dry.out)
	}
	at("--wait", "0").wants(t, 0, "has what it needs already")
	at("--off", "--wait", "0").golden(t, "dns-off")
	if got := c1.corefileNow(t); got != kubeadm {
		t.Errorf("with --off the Corefile is\n%s", got)
	}
	at("--off", "--wait", "0").wants(t, 0, "nothing was changed")
	at("--off", "--wait", "1s").wants(t, 1, "whether every pod no longer answers could not be asked")

	for text, want := range map[string]string{
		strings.Replace(kubeadm, "cluster.local", "cluster.local clusterset.local", 1): "the directive kubernetes of kube-system/coredns claims clusterset.local",
		kubeadm + "clusterset.local {\n    whoami\n}\n":                                "has a server block clusterset.local.:53 of its own",
	} {
		c1.corefile(t, text)
		at().wants(t, 1, want)
		if got := c1.corefileNow(t); got != text {
			t.Errorf("refused, and yet changed to\n%s", got)
		}
	}
	served := strings.Replace(kubeadm, "    errors", "    errors\n    multicluster clusterset.local", 1)
	c1.corefile(t, served)
	at("--wait", "0").wants(t, 0, "has what it needs already")
	at("--off").wants(t, 0, "has the zone without a block of mcsctl dns: kube-system/coredns answers for clusterset.local")
	c1.corefile(t, kubeadm+"clusterset.local {\n    forward . 10.9.9.9\n}\n")
	at("--off").wants(t, 1, "the server block clusterset.local.:53 of the Corefile of kube-system/coredns still forwards clusterset.local to 10.9.9.9")
}

// TestDNSNamespace: a CoreDNS of ours in the controller's namespace, as the chart has it, and as earlier versions of
// deploy/coredns had it, goes on being found. One in the namespace of deploy/coredns is preferred, so that the old one can go.
func TestDNSNamespace(t *testing.T) {
	list, kubeconfig := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	c1.corefile(t, kubeadm)
	for _, in := range []string{system, "mcs-dns"} {
		c1.ownDNS(t, in)
		c1.ownDNSReady(t, in)
		mcsctl(t, "dns", "--wait", "0", "--kubeconfig", kubeconfig, "--context", "c1").wants(t, 0, "is set up to answer")
		s, err := c1.kube.CoreV1().Services(in).Get(t.Context(), "coredns-multicluster", getOptions)
		kit.Must(t, err)
		if got := c1.corefileNow(t); !strings.Contains(got, "forward . "+s.Spec.ClusterIP+"\n") {
			t.Errorf("with one in %s the Corefile is\n%s", in, got)
		}
		checked := mcsctl(t, "check", "--kubeconfig", kubeconfig, "--context", "c1")
		if want := in + "/coredns-multicluster"; !strings.Contains(checked.out, want) {
			t.Errorf("check does not show %s:\n%s", want, checked.out)
		}
	}
}

// ownDNS makes the Service and the Deployment of deploy/coredns, without pods.
func (c *cluster) ownDNS(t testing.TB, in string) {
	t.Helper()
	namespace(t, in, c)
	meta := metav1.ObjectMeta{Name: "coredns-multicluster", Namespace: in, Labels: map[string]string{"app.kubernetes.io/name": "coredns-multicluster"}}
	_, err := c.kube.CoreV1().Services(in).Create(t.Context(), &corev1.Service{
		ObjectMeta: meta, Spec: corev1.ServiceSpec{Selector: meta.Labels, Ports: []corev1.ServicePort{{Port: 53, TargetPort: intstr.FromInt32(53)}}},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	_, err = c.kube.AppsV1().Deployments(in).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: meta,
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: meta.Labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: meta.Labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "coredns", Image: "coredns-multicluster"}}},
			},
		},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
}

func (c *cluster) ownDNSReady(t testing.TB, in string) {
	t.Helper()
	d, err := c.kube.AppsV1().Deployments(in).Get(t.Context(), "coredns-multicluster", getOptions)
	kit.Must(t, err)
	d.Status = appsv1.DeploymentStatus{Replicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	_, err = c.kube.AppsV1().Deployments(in).UpdateStatus(t.Context(), d, metav1.UpdateOptions{})
	kit.Must(t, err)
}

func (c *cluster) corefileNow(t testing.TB) string {
	t.Helper()
	m, err := c.kube.CoreV1().ConfigMaps("kube-system").Get(t.Context(), "coredns", getOptions)
	kit.Must(t, err)
	return m.Data["Corefile"]
}
