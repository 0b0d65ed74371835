package fleet

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/test/kit"
)

// TestOnlyExported_E1: a Service without a ServiceExport is never visible elsewhere, even where another cluster exports the name.
func TestOnlyExported_E1(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "only-exported"
	namespace(t, ns, a, b, c)
	for n, p := range []*cluster{a, b} {
		p.service(t, ns, "web")
		p.slice(t, ns, "web", "x", []string{fmt.Sprintf("10.%d.0.5", n+1)})
	}
	a.export(t, ns, "web")
	kit.Eventually(t, "import", c.wantImported(ns, "web"))
	kit.Eventually(t, "only a's", c.wantAddresses(ns, "web", "a/10.1.0.5"))
	sentinel(t, ns, b, c)
	kit.Must(t, c.wantAddresses(ns, "web", "a/10.1.0.5")())
}

// TestExportTypes_E2: which Services can be exported, and what is said of the others.
func TestExportTypes_E2(t *testing.T) {
	a, _, c := withAutomatic(t)
	const ns = "types"
	namespace(t, ns, a, c)
	for name, kind := range map[string]corev1.ServiceType{"nodeport": corev1.ServiceTypeNodePort, "balanced": corev1.ServiceTypeLoadBalancer} {
		a.service(t, ns, name, func(s *corev1.Service) { s.Spec.Type = kind })
		a.export(t, ns, name)
		kit.Eventually(t, name, c.wantImported(ns, name))
		derived, err := c.getService(ns, "amcs-"+name)
		kit.Must(t, err)
		if derived.Spec.Type != corev1.ServiceTypeClusterIP {
			t.Errorf("%s became %s", name, derived.Spec.Type)
		}
	}
	a.service(t, ns, "external", func(s *corev1.Service) {
		s.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "example.org"}
	})
	a.export(t, ns, "external")
	kit.Eventually(t, "ExternalName", a.wantCondition(ns, "external", "Valid", metav1.ConditionFalse, "InvalidServiceType"))
	a.export(t, ns, "missing")
	kit.Eventually(t, "no Service", a.wantCondition(ns, "missing", "Valid", metav1.ConditionFalse, "NoService"))

	// A derived Service is not exported again: no loops.
	c.export(t, ns, "amcs-nodeport")
	kit.Eventually(t, "derived", c.wantCondition(ns, "amcs-nodeport", "Valid", metav1.ConditionFalse, "InvalidServiceType"))
	sentinel(t, ns, a, c)
	sentinel(t, ns, c, c)
	for _, name := range []string{"external", "missing", "amcs-nodeport"} {
		kit.Must(t, c.wantGone(ns, name)())
	}
}

// TestExportStatus_E3: the three conditions, with message, generation, and a time that moves only with the status; the status
// is not written again when nothing changes.
func TestExportStatus_E3(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "export-status"
	namespace(t, ns, a, b)
	a.service(t, ns, "web")
	a.export(t, ns, "web")
	kit.Eventually(t, "Valid", a.wantCondition(ns, "web", "Valid", metav1.ConditionTrue, "Valid"))
	kit.Eventually(t, "Ready", a.wantCondition(ns, "web", "Ready", metav1.ConditionTrue, "Exported"))
	kit.Eventually(t, "Conflict", a.wantCondition(ns, "web", "Conflict", metav1.ConditionFalse, "NoConflicts"))
	before, err := a.getExport(ns, "web")
	kit.Must(t, err)
	for _, c := range before.Status.Conditions {
		if c.Message == "" || c.ObservedGeneration != before.Generation || c.LastTransitionTime.IsZero() {
			t.Errorf("condition %+v", c)
		}
	}
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	kit.Eventually(t, "endpoints", b.wantAddresses(ns, "web", "a/10.1.0.5"))
	sentinel(t, ns, a, b)
	now, err := a.getExport(ns, "web")
	kit.Must(t, err)
	if now.ResourceVersion != before.ResourceVersion {
		t.Errorf("the status was written again without a change: resourceVersion %s became %s: %+v", before.ResourceVersion, now.ResourceVersion, now.Status)
	}
}

// TestExportedLabels_E4: labels and annotations come from the export's spec only, and reserved keys are refused and named.
func TestExportedLabels_E4(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "exported-labels"
	namespace(t, ns, a, b)
	a.service(t, ns, "web", func(s *corev1.Service) { s.Labels = map[string]string{"of": "service"} })
	a.export(t, ns, "web", func(e *mcs.ServiceExport) {
		e.Labels = map[string]string{"of": "export"}
		e.Spec.ExportedLabels = map[string]string{"team": "blue", "app.kubernetes.io/name": "x"}
		e.Spec.ExportedAnnotations = map[string]string{"note": "hello", "clusterset.dev/clusterset": "evil"}
	})
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	i, err := b.getImport(ns, "web")
	kit.Must(t, err)
	derived, err := b.getService(ns, "amcs-web")
	kit.Must(t, err)
	for what, o := range map[string]metav1.Object{"import": i, "derived Service": derived} {
		if o.GetLabels()["team"] != "blue" || o.GetAnnotations()["note"] != "hello" {
			t.Errorf("%s has labels %v annotations %v", what, o.GetLabels(), o.GetAnnotations())
		}
		if o.GetLabels()["of"] != "" || o.GetLabels()["app.kubernetes.io/name"] != "" || o.GetAnnotations()["clusterset.dev/clusterset"] != "" {
			t.Errorf("%s carries what it must not: %v %v", what, o.GetLabels(), o.GetAnnotations())
		}
	}
	kit.Eventually(t, "the refusal is reported", func() error {
		e, err := a.getExport(ns, "web")
		if err == nil && !strings.Contains(fmt.Sprint(e.Status.Conditions), "app.kubernetes.io/name") {
			err = fmt.Errorf("conditions %+v", e.Status.Conditions)
		}
		return err
	})
}

// TestPortConflict_M2_M3_M4: the union of ports; traffic goes only where a port is exposed; every constituent hears of it.
func TestPortConflict_M2_M3_M4(t *testing.T) {
	a, b, c := withAutomatic(t)
	const ns = "ports"
	namespace(t, ns, a, b, c)
	a.service(t, ns, "web")
	a.slice(t, ns, "web", "x", []string{"10.1.0.5"})
	a.export(t, ns, "web")
	kit.Eventually(t, "the oldest is in", c.wantImported(ns, "web"))
	b.service(t, ns, "web", func(s *corev1.Service) {
		s.Spec.Ports = []corev1.ServicePort{
			{Name: "http", Port: 8080, TargetPort: intstr.FromInt32(8080)},
			{Name: "metrics", Port: 9090, TargetPort: intstr.FromInt32(9090)},
		}
	})
	b.slice(t, ns, "web", "x", []string{"10.2.0.5"}, func(s *discoveryv1.EndpointSlice) {
		metrics, number, tcp := "metrics", int32(9090), corev1.ProtocolTCP
		s.Ports = append(s.Ports, discoveryv1.EndpointPort{Name: &metrics, Port: &number, Protocol: &tcp})
	})
	b.export(t, ns, "web")
	for _, p := range []*cluster{a, b} {
		kit.Eventually(t, "conflict in "+p.Name(), p.wantCondition(ns, "web", "Conflict", metav1.ConditionTrue, "PortConflict"))
		e, err := p.getExport(ns, "web")
		kit.Must(t, err)
		if m := condition(e.Status.Conditions, "Conflict").Message; !strings.Contains(m, "80/TCP") || !strings.Contains(m, "8080/TCP") || !strings.Contains(m, "1/2 clusters disagree") {
			t.Errorf("message %q", m)
		}
	}
	kit.Eventually(t, "slices", c.wantAddresses(ns, "web", "a/10.1.0.5", "b/10.2.0.5"))
	kit.Eventually(t, "the union of ports", func() error {
		derived, err := c.getService(ns, "amcs-web")
		if err != nil {
			return err
		}
		var got []string
		for _, p := range derived.Spec.Ports {
			got = append(got, fmt.Sprintf("%s:%d", p.Name, p.Port))
		}
		if fmt.Sprint(got) != "[http:80 metrics:9090]" {
			return fmt.Errorf("ports %v, want the union with the oldest export's http", got)
		}
		return nil
	})
	list, err := c.imported(ns, "web")
	kit.Must(t, err)
	for _, s := range list {
		var names []string
		for _, p := range s.Ports {
			names = append(names, *p.Name)
		}
		want := map[string]string{"a": "[http]", "b": "[metrics]"}[s.Labels["multicluster.kubernetes.io/source-cluster"]]
		if fmt.Sprint(names) != want {
			t.Errorf("slice %s has ports %v, want %s: b's http is another port (M3)", s.Name, names, want)
		}
	}
	b.unexport(t, ns, "web")
	kit.Eventually(t, "conflict goes away (M5)", a.wantCondition(ns, "web", "Conflict", metav1.ConditionFalse, "NoConflicts"))
	kit.Eventually(t, "ports follow (M5)", func() error {
		derived, err := c.getService(ns, "amcs-web")
		if err == nil && len(derived.Spec.Ports) != 1 {
			err = fmt.Errorf("ports %+v", derived.Spec.Ports)
		}
		return err
	})
}

// TestHeadless_A6_I6: headless Services are imported as Headless, with a headless derived Service and without addresses, and a
// change of headlessness replaces it.
func TestHeadless_A6_I6(t *testing.T) {
	a, _, c := withAutomatic(t)
	const ns = "headless"
	namespace(t, ns, a, c)
	a.service(t, ns, "db", headless)
	a.slice(t, ns, "db", "x", []string{"10.1.0.5"})
	a.export(t, ns, "db")
	isHeadless := func(want bool) func() error {
		return func() error {
			if err := c.wantImported(ns, "db")(); err != nil {
				return err
			}
			i, err := c.getImport(ns, "db")
			if err != nil {
				return err
			}
			derived, err := c.getService(ns, "amcs-db")
			if err != nil {
				return err
			}
			list, err := c.imported(ns, "db")
			if err != nil {
				return err
			}
			for _, s := range list {
				if _, ok := s.Labels[corev1.IsHeadlessService]; ok != want {
					return fmt.Errorf("slice labels %v", s.Labels)
				}
			}
			if (i.Spec.Type == mcs.Headless) != want || (derived.Spec.ClusterIP == corev1.ClusterIPNone) != want || (len(i.Spec.IPs) == 0) != want {
				return fmt.Errorf("type %s ips %v derived %s", i.Spec.Type, i.Spec.IPs, derived.Spec.ClusterIP)
			}
			return nil
		}
	}
	kit.Eventually(t, "headless", isHeadless(true))
	kit.Must(t, a.kube.CoreV1().Services(ns).Delete(t.Context(), "db", metav1.DeleteOptions{}))
	a.service(t, ns, "db")
	kit.Eventually(t, "with an address", isHeadless(false))
}

// TestProperties_A6_I6: what the import and the derived Service take over from the exported Service, and follow.
func TestProperties_A6_I6(t *testing.T) {
	a, b, _ := withAutomatic(t)
	const ns = "properties"
	namespace(t, ns, a, b)
	timeout, local, appProtocol, distribution := int32(60), corev1.ServiceInternalTrafficPolicyLocal, "kubernetes.io/h2c", "PreferSameZone"
	a.service(t, ns, "web", func(s *corev1.Service) {
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}}
		s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = &local, &distribution
		s.Spec.Ports[0].AppProtocol = &appProtocol
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Port: 53, Protocol: corev1.ProtocolUDP}, corev1.ServicePort{Name: "sig", Port: 3868, Protocol: corev1.ProtocolSCTP})
	})
	a.export(t, ns, "web")
	kit.Eventually(t, "import", b.wantImported(ns, "web"))
	i, err := b.getImport(ns, "web")
	kit.Must(t, err)
	derived, err := b.getService(ns, "amcs-web")
	kit.Must(t, err)
	if i.Spec.SessionAffinity != corev1.ServiceAffinityClientIP || *i.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds != timeout ||
		*i.Spec.InternalTrafficPolicy != local || *i.Spec.TrafficDistribution != distribution || *i.Spec.Ports[0].AppProtocol != appProtocol || len(i.Spec.Ports) != 3 {
		t.Errorf("import %+v", i.Spec)
	}
	if derived.Spec.SessionAffinity != corev1.ServiceAffinityClientIP || *derived.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds != timeout ||
		*derived.Spec.InternalTrafficPolicy != local || *derived.Spec.TrafficDistribution != distribution || *derived.Spec.Ports[0].AppProtocol != appProtocol || len(derived.Spec.Ports) != 3 {
		t.Errorf("derived Service %+v", derived.Spec)
	}
	if derived.Spec.IPFamilyPolicy == nil || len(derived.Spec.IPFamilies) == 0 {
		t.Errorf("families are not explicit: %+v", derived.Spec)
	}
	patch(t, a, ns, "web", `{"spec":{"sessionAffinity":"None","sessionAffinityConfig":null}}`)
	ip := i.Spec.IPs[0]
	kit.Eventually(t, "affinity follows, the address stays (I4)", func() error {
		derived, err := b.getService(ns, "amcs-web")
		if err == nil && (derived.Spec.SessionAffinity != corev1.ServiceAffinityNone || derived.Spec.ClusterIP != ip) {
			err = fmt.Errorf("derived %+v", derived.Spec)
		}
		return err
	})
}

func patch(t *testing.T, c *cluster, ns, service, body string) {
	t.Helper()
	_, err := c.kube.CoreV1().Services(ns).Patch(context.Background(), service, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	kit.Must(t, err)
}
