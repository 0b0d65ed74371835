package explain

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/corefile"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/controller/plan"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const ns, name, ip = "provider-ns", "service1", "10.2.0.17"

// well is a clusterset in which all is well: c1 exports, c2 imports.
func well() *Facts {
	conds := []metav1.Condition{{Type: "Valid", Status: metav1.ConditionTrue}, {Type: "Ready", Status: metav1.ConditionTrue}}
	meta := metav1.ObjectMeta{Namespace: ns, Name: name, CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}
	c1 := Cluster{
		ID: "c1", Flags: " --context c1", Provider: true, Unread: map[string]string{}, NotServed: map[string]bool{},
		Export:  &mcs.ServiceExport{ObjectMeta: meta, Status: mcs.ServiceExportStatus{Conditions: conds}},
		Service: &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ClusterIP: "10.1.0.1", Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}}},
		Slices:  []discoveryv1.EndpointSlice{slice("", "10.1.1.5", "10.1.1.6")},
	}
	c2 := Cluster{
		ID: "c2", Consumer: true, Unread: map[string]string{}, NotServed: map[string]bool{},
		Namespace: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
		Import:    &mcs.ServiceImport{ObjectMeta: meta, Spec: mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, IPs: []string{ip}}, Status: mcs.ServiceImportStatus{Conditions: conds[1:]}},
		Derived: &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "amcs-service1", Labels: map[string]string{mcsapi.LabelClusterSet: "default"}},
			Spec:       corev1.ServiceSpec{ClusterIPs: []string{ip}, Ports: []corev1.ServicePort{{Port: 80, Protocol: "TCP"}}},
		},
		Imported: []discoveryv1.EndpointSlice{slice("c1", "10.1.1.5", "10.1.1.6")},
		Servers:  []nameserver.Server{{Role: nameserver.Stock, Namespace: "kube-system", Name: "coredns", Ready: 2, Wanted: 2, Answer: corefile.Answer{State: corefile.Served}}},
		Reply:    &nameserver.Reply{Via: "pod coredns-x", Rcode: "NOERROR", Addresses: []string{ip}},
	}
	return &Facts{
		Key: types.NamespacedName{Namespace: ns, Name: name}, Zone: "clusterset.local", Clusters: []Cluster{c1, c2}, Now: now, Namespace: "mcs-system",
		Controller: &members.Controller{ClusterSet: "default", Automatic: true, Ready: 2, Replicas: 2},
		Runs: finding.Controller{Deployed: &members.Controller{Ready: 2, Replicas: 2}, Namespace: "mcs-system",
			Leases: []members.Leases{{Leader: &members.Lease{Name: "mcs-system/mcs-controller-default", Holder: "mcs-controller-x", Renewed: now, Lasts: 15 * time.Second}}}},
	}
}

func slice(from string, addresses ...string) discoveryv1.EndpointSlice {
	s := discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4}
	if from != "" {
		s.Labels = map[string]string{mcsapi.LabelSourceCluster: from}
	}
	for _, a := range addresses {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}})
	}
	return s
}

// c1Remembered is what an import keeps of the export of c1.
const c1Remembered = `[{"cluster":"c1","created":"2026-01-01T00:00:00Z","sessionAffinity":"None","internalTrafficPolicy":"Cluster","ports":[{"number":80,"protocol":"TCP"}]}]`

func rememberC1(f *Facts) {
	f.Clusters[1].Import.Annotations = map[string]string{mcsapi.AnnotationExports: c1Remembered}
}

// another makes c3, which exports too.
func another(f *Facts) *Cluster {
	c := f.Clusters[0]
	c.ID, c.Service = "c3", c.Service.DeepCopy()
	c.Slices = []discoveryv1.EndpointSlice{slice("", "10.3.1.5")}
	f.Clusters = append(f.Clusters, c)
	f.Clusters[1].Imported = append(f.Clusters[1].Imported, slice("c3", "10.3.1.5"))
	return &f.Clusters[2]
}

func unready(s *discoveryv1.EndpointSlice) {
	no := false
	for i := range s.Endpoints {
		s.Endpoints[i].Conditions.Ready = &no
	}
}

// broken are clustersets with one fault, and what is said of it first.
var broken = []struct {
	name   string
	break_ func(f *Facts, c1, c2 *Cluster)
	want   string // "cluster link: part of what was found → part of the advice"; "" where all is well
}{
	{"all is well", func(*Facts, *Cluster, *Cluster) {}, ""},
	{"nobody exports, a Service is there", func(_ *Facts, c1, _ *Cluster) { c1.Export = nil }, " export: c1 has a Service of that name → mcsctl export provider-ns/service1 --context c1"},
	{"nobody exports, nothing is there", func(_ *Facts, c1, _ *Cluster) { c1.Export, c1.Service = nil, nil }, " export: no cluster exports provider-ns/service1 → is the name right"},
	{"no Service (E2)", func(_ *Facts, c1, _ *Cluster) { c1.Service = nil }, "c1 export: NoService → create Service service1"},
	{"ExternalName (E2)", func(_ *Facts, c1, _ *Cluster) { c1.Service.Spec.Type = corev1.ServiceTypeExternalName }, "c1 export: InvalidServiceType → export a Service with endpoints"},
	{"a derived Service (E2)", func(_ *Facts, c1, _ *Cluster) {
		c1.Service.Labels = map[string]string{mcsapi.LabelClusterSet: "default"}
	}, "c1 export: itself derived → mcsctl unexport"},
	{"no CRD where it is exported", func(_ *Facts, c1, _ *Cluster) { c1.Export, c1.NotServed["serviceexports"] = nil, true }, "c1 export: CRD is missing → kubectl apply --server-side -k deploy/crds --context c1"},
	{"no endpoint is ready", func(_ *Facts, c1, c2 *Cluster) { unready(&c1.Slices[0]); unready(&c2.Imported[0]) }, "c1 endpoints: 0 of 2 ready → kubectl get pods -n provider-ns -l app=web --context c1"},
	{"no pods", func(_ *Facts, c1, c2 *Cluster) { c1.Slices, c2.Imported = nil, nil }, "c1 endpoints: no pod backs → -l app=web"},
	{"no pods here, but elsewhere", func(f *Facts, c1, c2 *Cluster) {
		another(f)
		f.Clusters[0].Slices, f.Clusters[1].Imported = nil, f.Clusters[1].Imported[1:]
	}, ""},
	{"the exporter is not looked at", func(f *Facts, _, c2 *Cluster) {
		rememberC1(f)
		c2.Provider = true
		c2.Service = &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: corev1.ServiceSpec{ClusterIP: "10.2.0.9"}}
		f.Clusters = f.Clusters[1:]
	}, ""},
	{"the exporter is not looked at, and something is wrong here", func(f *Facts, _, c2 *Cluster) {
		rememberC1(f)
		c2.Reply.Rcode, c2.Reply.Addresses = "NXDOMAIN", nil
		f.Clusters = f.Clusters[1:]
	}, "c2 dns: says NXDOMAIN, want 10.2.0.17 → image with the plugin"},
	{"the exporter is down, its export is remembered (L9)", func(_ *Facts, c1, c2 *Cluster) {
		c1.Down, c1.Export, c1.Service, c1.Slices = "no answer", nil, nil, nil
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationExports: c1Remembered}
	}, ""},
	{"the exporter is down, of its export the age is remembered (L9)", func(_ *Facts, c1, c2 *Cluster) {
		c1.Down, c1.Export, c1.Service, c1.Slices = "no answer", nil, nil, nil
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationExports: `[{"cluster":"c1","created":"2026-01-01T00:00:00Z","truncated":true}]`}
	}, " export: not known of c1 → see to it that c1 can be reached"},
	{"the exporter is down, nothing is known", func(_ *Facts, c1, _ *Cluster) {
		c1.Down, c1.Export, c1.Service, c1.Slices = "no answer", nil, nil, nil
	}, " export: not known of c1 → see to it that c1 can be reached"},
	{"conflicts are told, but serve (M4)", func(f *Facts, _, _ *Cluster) { another(f).Service.Spec.Ports[0].Port = 8080 }, ""},
	{"the namespace is missing (I1)", func(_ *Facts, _, c2 *Cluster) { c2.Namespace, c2.Import = nil, nil }, "c2 namespace: there is no namespace → kubectl create namespace provider-ns"},
	{"imports on demand (I2)", func(f *Facts, _, c2 *Cluster) { f.Controller.Automatic, c2.Import = false, nil }, "c2 import: makes none by itself → mcsctl import provider-ns/service1"},
	{"the controller did not import", func(_ *Facts, _, c2 *Cluster) { c2.Import = nil }, "c2 import: is to make them by itself → mcsctl status"},
	{"because nobody leads", func(f *Facts, _, c2 *Cluster) { f.Runs.Leases[0], c2.Import = members.Leases{}, nil }, " controller: no replica of the controller leads → kubectl logs -n mcs-system deployment/mcs-controller"},
	{"or the leader is gone", func(f *Facts, _, c2 *Cluster) {
		f.Runs.Leases[0].Leader.Renewed, c2.Import = now.Add(-5*time.Minute), nil
	}, " controller: no replica of the controller has led since 2026"},
	{"a controller that is down stops nothing (L4)", func(f *Facts, _, _ *Cluster) { f.Runs.Leases[0].Leader = nil }, ""},
	{"no CRD where it is imported", func(_ *Facts, _, c2 *Cluster) { c2.Import, c2.NotServed["serviceimports"] = nil, true }, "c2 import: CRD is missing → deploy/crds"},
	{"nobody looked at the import", func(_ *Facts, _, c2 *Cluster) { c2.Import.Status.Conditions, c2.Import.Spec.IPs = nil, nil }, "c2 import: no controller has looked → mcsctl status"},
	{"the namespace is not trusted to the exporter (X3)", func(_ *Facts, c1, _ *Cluster) { c1.Limits.Exports = registration.Namespaces{"shop", "team-*"} }, "c1 export: may not export from namespace provider-ns, only from shop, team-* → annotation clusterset.dev/export-namespaces of its Secret in namespace mcs-system"},
	{"nor imported (X3)", func(_ *Facts, _, c2 *Cluster) { c2.Import, c2.Limits.Imports = nil, registration.Namespaces{"shop"} }, "c2 import: services of namespace provider-ns are not imported into c2 → --import-namespaces"},
	{"a namespace of Kubernetes (X3)", func(f *Facts, _, c2 *Cluster) { f.Key.Namespace, c2.Import = "kube-system", nil }, "c2 import: services of namespace kube-system are not imported → import-namespaces"},
	{"endpoints were refused (X2)", func(_ *Facts, _, c2 *Cluster) {
		c2.Imported = nil
		c2.Import.Status.Conditions = append(c2.Import.Status.Conditions, metav1.Condition{Type: plan.ConditionRefused, Status: metav1.ConditionTrue, Message: "not imported: c1: 10.1.1.5 (a node of this cluster)"})
	}, "c2 slices: none of the 2 ready endpoints of c1 is here → clusterset.dev/endpoint-cidrs"},
	{"the type disagrees (I3)", func(_ *Facts, _, c2 *Cluster) {
		c2.Import.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "Pending", Message: "nothing is served, because spec.type is not what is exported"},
			{Type: "Mismatch", Status: metav1.ConditionTrue, Message: "spec.type is Headless, expected ClusterSetIP"}}
	}, "c2 import: spec.type is not what is exported → expected ClusterSetIP"},
	{"another clusterset's import (X5)", func(_ *Facts, _, c2 *Cluster) {
		c2.Import.Annotations = map[string]string{mcsapi.AnnotationClusterSet: "blue"}
	}, "c2 import: clusterset blue serves"},
	{"a Service in the way (I6)", func(_ *Facts, _, c2 *Cluster) { c2.Derived.Labels = nil }, "c2 service: in the way → kubectl delete service -n provider-ns amcs-service1"},
	{"the derived Service is gone", func(_ *Facts, _, c2 *Cluster) { c2.Derived = nil }, "c2 service: amcs-service1 is missing"},
	{"the address differs (I8)", func(_ *Facts, _, c2 *Cluster) { c2.Derived.Spec.ClusterIPs = []string{"10.2.0.99"} }, "c2 service: 10.2.0.99, the import says 10.2.0.17"},
	{"the endpoints did not arrive", func(_ *Facts, _, c2 *Cluster) { c2.Imported = nil }, "c2 slices: none of the 2 ready endpoints of c1 is here"},
	{"some endpoints did not", func(_ *Facts, _, c2 *Cluster) { c2.Imported[0].Endpoints = c2.Imported[0].Endpoints[:1] }, ""},
	{"the line is missing", func(_ *Facts, _, c2 *Cluster) { c2.Servers[0].Answer.State = corefile.Missing }, "c2 coredns: no line for clusterset.local → add the line multicluster clusterset.local"},
	{"another block captures the zone", func(_ *Facts, _, c2 *Cluster) {
		c2.Servers[0].Answer = corefile.Answer{State: corefile.Captured, Server: "clusterset.local.:53"}
	}, "c2 coredns: the server block clusterset.local.:53 → move the line"},
	{"kubernetes claims the zone", func(_ *Facts, _, c2 *Cluster) { c2.Servers[0].Answer.State = corefile.Claimed }, "c2 coredns: claims clusterset.local → take clusterset.local out"},
	{"NodeLocal DNS sends it away", func(_ *Facts, _, c2 *Cluster) {
		c2.Servers = append(c2.Servers, nameserver.Server{Role: nameserver.NodeLocal, Name: "node-local-dns", Namespace: "kube-system", Answer: corefile.Answer{State: corefile.Missing}})
	}, "c2 coredns: kube-system/node-local-dns has no line → NodeLocal DNS"},
	{"CoreDNS crashes", func(_ *Facts, _, c2 *Cluster) {
		c2.Servers[0].Ready, c2.Servers[0].Crash = 0, "CrashLoopBackOff: Unknown directive 'multicluster'"
	}, "c2 coredns: Unknown directive 'multicluster' → kubectl logs -n kube-system deployment/coredns"},
	{"DNS says NXDOMAIN", func(_ *Facts, _, c2 *Cluster) { c2.Reply.Rcode, c2.Reply.Addresses = "NXDOMAIN", nil }, "c2 dns: says NXDOMAIN, want 10.2.0.17 → image with the plugin"},
	{"DNS says SERVFAIL (D8)", func(_ *Facts, _, c2 *Cluster) { c2.Reply.Rcode, c2.Reply.Addresses = "SERVFAIL", nil }, "c2 dns: SERVFAIL → kubectl apply -k deploy/coredns-stock"},
	{"DNS says SERVFAIL and forwards (D8)", func(_ *Facts, _, c2 *Cluster) {
		c2.Reply.Rcode, c2.Reply.Addresses = "SERVFAIL", nil
		c2.Servers[0].Answer = corefile.Answer{State: corefile.Forwarded, To: []string{"10.96.0.53"}}
		c2.Servers = append(c2.Servers, nameserver.Server{Role: nameserver.Own, Namespace: "mcs-dns", Name: "coredns-multicluster", Ready: 1, Wanted: 1, Answer: corefile.Answer{State: corefile.Served}})
	}, "c2 dns: SERVFAIL: mcs-dns/coredns-multicluster, to which it forwards, does not answer → kubectl logs -n mcs-dns deployment/coredns-multicluster"},
	{"our CoreDNS is scaled to 0", func(_ *Facts, _, c2 *Cluster) {
		c2.Servers = append(c2.Servers, nameserver.Server{Role: nameserver.Own, Namespace: "mcs-dns", Name: "coredns-multicluster", Answer: corefile.Answer{State: corefile.Served}})
	}, "c2 coredns: mcs-dns/coredns-multicluster is scaled to 0 → kubectl scale -n mcs-dns deployment/coredns-multicluster --replicas 2"},
	{"DNS says something else", func(_ *Facts, _, c2 *Cluster) { c2.Reply.Addresses = []string{"10.2.0.1"} }, "c2 dns: says 10.2.0.1, want 10.2.0.17 → caches"},
	{"DNS gives out the Service of the cluster itself", func(_ *Facts, c1, c2 *Cluster) {
		c2.Service = &corev1.Service{Spec: corev1.ServiceSpec{ClusterIPs: []string{"10.2.0.1"}}}
		c2.Reply.Addresses = []string{"10.2.0.1"}
	}, "c2 dns: this cluster's own Service → the plugin kubernetes answers"},
	{"DNS does not reply", func(_ *Facts, _, c2 *Cluster) {
		c2.Reply, c2.Unanswered = nil, &nameserver.Unanswered{Via: "pod coredns-x", Pod: "coredns-x", After: 5 * time.Second, Err: errors.New("i/o timeout")}
		c2.Servers = append(c2.Servers, nameserver.Server{Role: nameserver.Own, Namespace: "mcs-dns", Name: "coredns-multicluster", Ready: 1, Wanted: 1, Answer: corefile.Answer{State: corefile.Served}})
	}, "c2 dns: pod coredns-x did not answer within 5 s: i/o timeout → kubectl logs -n kube-system coredns-x; it forwards to the pods of mcs-dns/coredns-multicluster: kubectl get pods -n mcs-dns -l app.kubernetes.io/name=coredns-multicluster"},
	{"DNS refuses connections", func(_ *Facts, _, c2 *Cluster) {
		c2.Reply, c2.Unanswered = nil, &nameserver.Unanswered{Via: "10.0.0.1:53", Err: errors.New("connection refused")}
	}, "c2 dns: 10.0.0.1:53 did not answer: connection refused → does this machine reach it"},
	{"DNS can't be asked", func(_ *Facts, _, c2 *Cluster) { c2.Reply, c2.AskErr = nil, "no pod" }, ""},
	{"no connection", func(_ *Facts, _, c2 *Cluster) {
		c2.Connects = []Connect{{Address: ip + ":80", Err: "i/o timeout"}}
	}, "c2 connect: 10.2.0.17:80: i/o timeout → routed"},
	{"what may not be read is not wrong", func(_ *Facts, c1, c2 *Cluster) {
		c1.Unread["endpointslices"], c2.Unread["nameservers"] = "these credentials may not", "these credentials may not"
		c1.Slices, c2.Servers = nil, nil
	}, ""},
	{"the first of several", func(f *Facts, _, c2 *Cluster) {
		f.Clusters[0].Service = nil
		c2.Derived, c2.Servers[0].Answer.State = nil, corefile.Missing
	}, "c1 export: NoService"},
}

// TestDiagnose breaks one link at a time, and asks what is said first.
func TestDiagnose(t *testing.T) {
	for _, c := range broken {
		t.Run(c.name, func(t *testing.T) {
			f := well()
			c.break_(f, &f.Clusters[0], &f.Clusters[1])
			r := Diagnose(*f)
			if c.want == "" {
				if r.Problem != nil {
					t.Errorf("got %+v, want no problem", *r.Problem)
				}
				return
			}
			if r.Problem == nil {
				t.Fatalf("no problem was found; steps %+v", r.Steps)
			}
			where, rest, _ := strings.Cut(c.want, ": ")
			found, do, _ := strings.Cut(rest, " → ")
			if got := r.Problem.Cluster + " " + r.Problem.Link; got != where || !strings.Contains(r.Problem.Found, found) || !strings.Contains(r.Problem.Do, do) {
				t.Errorf("got %+v, want %s", *r.Problem, c.want)
			}
		})
	}
}

// TestCaveats_D18: a cache and a missing loadbalance in front of a zone that is answered are warnings with advice, and no problem.
func TestCaveats_D18(t *testing.T) {
	f := well()
	f.Clusters[1].Servers[0].Answer = corefile.Answer{State: corefile.Served, Server: ".:53", Cached: []string{"success"}, Unbalanced: true}
	r := Diagnose(*f)
	var warned []string
	for _, s := range r.Steps {
		if s.Verdict == finding.Warning && s.Cluster == "c2" && s.Link == "coredns" && strings.HasSuffix(s.Do, "kubectl edit configmap -n kube-system coredns") {
			warned = append(warned, s.Found)
		}
	}
	if r.Problem != nil || len(warned) != 2 || !strings.Contains(warned[0], "caches answers") || !strings.Contains(warned[1], "lacks loadbalance") {
		t.Errorf("got warnings %q, problem %+v", warned, r.Problem)
	}
	f.Clusters[1].Servers[0].Answer.State = corefile.Missing
	if caveats := finding.Caveats(&f.Clusters[1].Servers[0], f.Clusters[1].Servers, f.Zone, f.Namespace, ""); caveats != nil {
		t.Errorf("the zone is not answered, and yet: %+v", caveats)
	}
}

// TestDiagnoseHeadless: a headless name is to resolve to the ready endpoints of all clusters (SPEC D3).
func TestDiagnoseHeadless(t *testing.T) {
	f := well()
	f.Clusters[0].Service.Spec.ClusterIP = corev1.ClusterIPNone
	c2 := &f.Clusters[1]
	c2.Import.Spec.Type, c2.Import.Spec.IPs = mcs.Headless, nil
	c2.Derived.Spec.ClusterIPs = []string{corev1.ClusterIPNone}
	c2.Reply.Addresses = []string{"10.1.1.5", "10.1.1.6"}
	if r := Diagnose(*f); r.Problem != nil {
		t.Errorf("got %+v", *r.Problem)
	}
	c2.Reply.Addresses = c2.Reply.Addresses[:1]
	if r := Diagnose(*f); r.Problem == nil || r.Problem.Link != "dns" {
		t.Errorf("got %+v, want the DNS answer to be wrong", r.Problem)
	}
}
