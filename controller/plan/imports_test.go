package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// SPEC I3: each field of a person's import wrong, one at a time. What agrees works, what does not is named with its value
// and the expected one; the import keeps what the person wrote.
func TestMismatchOneAtATime_I3(t *testing.T) {
	for name, c := range map[string]struct {
		spec func(*mcs.ServiceImportSpec)
		// reason and message are those of the condition Mismatch; none if empty. served are the derived Service's ports.
		reason, message string
		served          []string
	}{
		"nothing":      {func(*mcs.ServiceImportSpec) {}, "", "", []string{"http"}},
		"all unset":    {func(s *mcs.ServiceImportSpec) { *s = mcs.ServiceImportSpec{Type: s.Type, Ports: []mcs.ServicePort{}} }, "", "", []string{"http", "admin"}},
		"no port name": {func(s *mcs.ServiceImportSpec) { s.Ports[0].Name = "" }, "", "", []string{"http"}},
		"no protocol":  {func(s *mcs.ServiceImportSpec) { s.Ports[0].Protocol = "" }, "", "", []string{"http"}},
		"port name": {func(s *mcs.ServiceImportSpec) { s.Ports[0].Name = "web" },
			"PortsMismatch", "spec.ports[0].name is web, expected http for 80/TCP", nil},
		"port number": {func(s *mcs.ServiceImportSpec) { s.Ports[0].Port = 8080 },
			"PortsMismatch", "spec.ports[0] is http 8080/TCP, expected 80/TCP", nil},
		"protocol": {func(s *mcs.ServiceImportSpec) { s.Ports[0].Protocol = "UDP" },
			"PortsMismatch", "spec.ports[0] is http 80/UDP, expected 80/TCP", nil},
		"appProtocol": {func(s *mcs.ServiceImportSpec) { s.Ports[0].AppProtocol = ptr("h2c") },
			"PortsMismatch", "spec.ports[0].appProtocol is h2c, expected http", []string{"http"}},
		"unknown port": {func(s *mcs.ServiceImportSpec) {
			s.Ports = append(s.Ports, mcs.ServicePort{Name: "other", Port: 1})
		}, "PortsMismatch", "spec.ports[1] is other 1/TCP, expected one of http 80/TCP, admin 81/TCP", []string{"http"}},
		"type": {func(s *mcs.ServiceImportSpec) { s.Type = mcs.Headless },
			"TypeMismatch", "spec.type is Headless, expected ClusterSetIP", nil},
		"sessionAffinity": {func(s *mcs.ServiceImportSpec) { s.SessionAffinity = "None" },
			"SessionAffinityMismatch", "spec.sessionAffinity is None, expected ClientIP", []string{"http"}},
		"sessionAffinityConfig": {func(s *mcs.ServiceImportSpec) {
			s.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: ptr(int32(7))}}
		}, "SessionAffinityConfigMismatch", "spec.sessionAffinityConfig is 7s, expected 10800s", []string{"http"}},
		"internalTrafficPolicy": {func(s *mcs.ServiceImportSpec) {
			s.InternalTrafficPolicy = ptr(corev1.ServiceInternalTrafficPolicyLocal)
		},
			"InternalTrafficPolicyMismatch", "spec.internalTrafficPolicy is Local, expected Cluster", []string{"http"}},
		"trafficDistribution": {func(s *mcs.ServiceImportSpec) { s.TrafficDistribution = ptr("PreferSameNode") },
			"TrafficDistributionMismatch", "spec.trafficDistribution is PreferSameNode, expected PreferSameZone", []string{"http"}},
		"old name of the same": {func(s *mcs.ServiceImportSpec) { s.TrafficDistribution = ptr("PreferClose") }, "", "", []string{"http"}},
		"two at once": {func(s *mcs.ServiceImportSpec) {
			s.SessionAffinity, s.TrafficDistribution = "None", ptr("PreferSameNode")
		},
			"SessionAffinityMismatch,TrafficDistributionMismatch",
			"spec.sessionAffinity is None, expected ClientIP; spec.trafficDistribution is PreferSameNode, expected PreferSameZone", []string{"http"}},
	} {
		t.Run(name, func(t *testing.T) {
			e := provider("east", time.Hour)
			e.service.Ports = []corev1.ServicePort{{Name: "http", Port: 80, AppProtocol: ptr("http")}, {Name: "admin", Port: 81}}
			e.service.SessionAffinity = corev1.ServiceAffinityClientIP
			e.service.TrafficDistribution = ptr("PreferSameZone")
			cluster := newConsumer(t, defaultConsumer())
			i := onDemand()
			c.spec(&i.Spec)
			cluster.putImport(i)
			asked := cluster.imp.DeepCopy()
			cluster.settle(wanted(t, e), noon)

			got := conditionOf(cluster.imp, ConditionMismatch)
			if got.Reason != c.reason || got.Message != c.message {
				t.Errorf("%s: %s", got.Reason, got.Message)
			}
			var served []string
			if cluster.svc != nil {
				for _, p := range cluster.svc.Spec.Ports {
					served = append(served, p.Name)
				}
				if cluster.svc.Spec.SessionAffinity != "ClientIP" || *cluster.svc.Spec.TrafficDistribution != "PreferSameZone" {
					t.Error("the derived Service does not follow the exports")
				}
			}
			if !slices.Equal(served, c.served) || (len(cluster.imp.Spec.IPs) > 0) != (len(c.served) > 0) {
				t.Errorf("served are %v at %v, expected %v", served, cluster.imp.Spec.IPs, c.served)
			}
			for n := range scalars {
				if f := &scalars[n]; f.held(&asked.Spec) != "" && f.held(&asked.Spec) != f.held(&cluster.imp.Spec) {
					t.Errorf("%s was changed", f.name)
				}
			}
			if len(asked.Spec.Ports) > 0 && !samePorts(asked.Spec.Ports, cluster.imp.Spec.Ports) || asked.Spec.Type != cluster.imp.Spec.Type {
				t.Error("the person's ports or type were changed")
			}
		})
	}
}

func conditionOf(i *mcs.ServiceImport, typ string) metav1.Condition {
	for _, c := range i.Status.Conditions {
		if c.Type == typ {
			return c
		}
	}
	return metav1.Condition{}
}

// SPEC I2: a namespace switched between automatic and on-demand imports loses nothing: neither the import, nor its address,
// nor an endpoint.
func TestSwitchAutomatic_I2(t *testing.T) {
	want := wanted(t, provider("east", time.Hour))
	c := newConsumer(t, defaultConsumer())
	c.settle(want, noon)
	address := c.imp.Spec.IPs[0]
	c.Automatic = false
	if actions := c.settle(want, noon); len(actions) > 0 {
		t.Errorf("switched off: %v", c.log)
	}
	// The person takes the import over by deleting it and applying their own.
	c.imp = nil
	c.putImport(onDemand())
	c.settle(want, noon)
	c.Automatic = true
	if actions := c.settle(want, noon); len(actions) > 0 {
		t.Errorf("switched on again: %v", c.log)
	}
	if c.imp.Spec.IPs[0] != address || len(c.slices) != 1 {
		t.Errorf("address %v, expected %s; %d slices", c.imp.Spec.IPs, address, len(c.slices))
	}
	if c.imp.Labels[mcsapi.LabelAutomatic] != "" {
		t.Error("the person's import was made automatic")
	}
}

// SPEC I2: kubectl replace drops our annotations from a person's import; nothing is lost by it.
func TestReplacedImport_I3(t *testing.T) {
	want := wanted(t, provider("east", time.Hour))
	c := newConsumer(t, Consumer{Cluster: "consumer", ClusterSet: "demo", ImportVersion: "v1beta1", Families: []corev1.IPFamily{"IPv4"}})
	c.putImport(onDemand())
	c.settle(want, noon)
	address := c.svc.Spec.ClusterIP
	replaced := c.imp.DeepCopy()
	replaced.Annotations = nil
	replaced.Spec = onDemand().Spec
	c.putImport(replaced)
	c.settle(want, noon)
	if !slices.Equal(c.imp.Spec.IPs, []string{address}) || c.svc.Spec.ClusterIP != address || len(c.slices) != 1 {
		t.Errorf("ips %v, Service %s, %d slices", c.imp.Spec.IPs, c.svc.Spec.ClusterIP, len(c.slices))
	}
}

// SPEC E4, I6: on the derived Service an exported label has the exported value, whoever wrote another; labels that are not
// exported stay whoever's they are.
func TestLabelsOfDerivedService_E4(t *testing.T) {
	e := provider("east", time.Hour)
	e.labels = map[string]string{"team": "shop"}
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, e), noon)
	c.svc = c.svc.DeepCopy()
	c.svc.Labels["team"], c.svc.Labels["cost-center"] = "theirs", "42"
	c.stamp(c.svc)
	c.settle(wanted(t, e), noon)
	if c.svc.Labels["team"] != "shop" || c.svc.Labels["cost-center"] != "42" {
		t.Errorf("%v", c.svc.Labels)
	}
	e.labels = nil
	c.settle(wanted(t, e), noon)
	if _, has := c.svc.Labels["team"]; has || c.svc.Labels["cost-center"] != "42" {
		t.Errorf("after the export lost its labels: %v", c.svc.Labels)
	}
}

// SPEC I6: names of 63 characters.
func TestLongName_I6(t *testing.T) {
	long := strings.Repeat("a", 63)
	seen := map[string]bool{}
	for _, name := range []string{"service1", "a", "1a", long, long[:62], long[:62] + "b", long[:57] + "-bbbbb", strings.Repeat("a", 58)} {
		derived := DerivedName(name)
		if errs := validation.IsDNS1035Label(derived); len(errs) > 0 || !strings.HasPrefix(derived, "amcs-") || seen[derived] {
			t.Errorf("%s: %s: %v", name, derived, errs)
		}
		if len(name) <= 58 && derived != "amcs-"+name {
			t.Errorf("%s is shortened to %s without need", name, derived)
		}
		seen[derived] = true
		slice := SliceName(derived, long, strings.Repeat("s", 253), discoveryv1.AddressTypeIPv6)
		if errs := validation.IsDNS1123Subdomain(slice); len(errs) > 0 || !strings.HasPrefix(slice, derived+"-") {
			t.Errorf("%s: %v", slice, errs)
		}
	}
}

// Blocked says why a write was refused, once, and is taken back when it succeeds.
func TestBlocked(t *testing.T) {
	want := wanted(t, provider("east", time.Hour))
	c := newConsumer(t, defaultConsumer())
	c.apply(&For(c.Consumer, want, c.held(), noon)[0])
	a, ok := Blocked(c.Consumer, want, c.held(), "services: quota exceeded", noon)
	if !ok {
		t.Fatal("nothing to say")
	}
	c.apply(&a)
	if got := conditionOf(c.imp, "Ready"); got.Status != metav1.ConditionFalse || got.Message != "services: quota exceeded" {
		t.Errorf("%+v", got)
	}
	if _, ok := Blocked(c.Consumer, want, c.held(), "services: quota exceeded", noon.Add(time.Hour)); ok {
		t.Error("said twice")
	}
	c.settle(want, noon)
	if got := conditionOf(c.imp, "Ready"); got.Status != metav1.ConditionTrue {
		t.Errorf("%+v", got)
	}
}
