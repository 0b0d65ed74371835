package merge

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

func offered(mutate func(*mcs.ServiceExport, *corev1.Service)) (Export, *Invalid) {
	export := &mcs.ServiceExport{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web", CreationTimestamp: metav1.NewTime(now.Add(-time.Hour))}}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"},
		Spec:       corev1.ServiceSpec{ClusterIP: "10.0.0.1", Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	mutate(export, service)
	return Of("east", export, service, nil)
}

// SPEC A6, A7: a Service of an old API server, which defaults little, gives the same as one of a present server.
func TestDefaulting_A6(t *testing.T) {
	old, invalid := offered(func(*mcs.ServiceExport, *corev1.Service) {})
	if invalid != nil {
		t.Fatal(invalid)
	}
	policy, none := corev1.ServiceInternalTrafficPolicyCluster, ""
	present, _ := offered(func(_ *mcs.ServiceExport, s *corev1.Service) {
		s.Spec.Type = corev1.ServiceTypeClusterIP
		s.Spec.ClusterIPs = []string{"10.0.0.1"}
		s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
		s.Spec.SessionAffinity = corev1.ServiceAffinityNone
		s.Spec.InternalTrafficPolicy = &policy
		s.Spec.TrafficDistribution = &none
		s.Spec.Ports[0].Protocol = corev1.ProtocolTCP
		s.Spec.Ports[0].AppProtocol = &none
	})
	if !reflect.DeepEqual(old, present) {
		t.Errorf("old server: %+v\npresent server: %+v", old, present)
	}
}

func TestFamiliesOfOldServer_A7(t *testing.T) {
	for ip, want := range map[string][]corev1.IPFamily{
		"10.0.0.1": {corev1.IPv4Protocol}, "fd00::1": {corev1.IPv6Protocol}, "None": nil, "": nil,
	} {
		got, _ := offered(func(_ *mcs.ServiceExport, s *corev1.Service) { s.Spec.ClusterIP = ip })
		if !reflect.DeepEqual(got.IPFamilies, want) {
			t.Errorf("clusterIP %q: %v, expected %v", ip, got.IPFamilies, want)
		}
	}
}

// SPEC X2: what no API server has let pass is refused with a reason, or left out; it never reaches a consumer.
func TestHostileService_X2(t *testing.T) {
	for name, mutate := range map[string]func(*corev1.Service){
		"port 65536":        func(s *corev1.Service) { s.Spec.Ports[0].Port = 65536 },
		"negative port":     func(s *corev1.Service) { s.Spec.Ports[0].Port = -1 },
		"port name":         func(s *corev1.Service) { s.Spec.Ports[0].Name = "No Label" },
		"protocol":          func(s *corev1.Service) { s.Spec.Ports[0].Protocol = "ICMP" },
		"appProtocol":       func(s *corev1.Service) { v := "a b"; s.Spec.Ports[0].AppProtocol = &v },
		"10,000 ports":      func(s *corev1.Service) { s.Spec.Ports = make([]corev1.ServicePort, 10000) },
		"one port too many": func(s *corev1.Service) { s.Spec.Ports = ports(MaxPorts + 1) },
	} {
		t.Run(name, func(t *testing.T) {
			_, invalid := offered(func(_ *mcs.ServiceExport, s *corev1.Service) { mutate(s) })
			if invalid == nil || invalid.Reason != InvalidPorts || !strings.Contains(invalid.Message, "shop/web") {
				t.Errorf("got %+v", invalid)
			}
		})
	}
	if _, invalid := offered(func(_ *mcs.ServiceExport, s *corev1.Service) { s.Spec.Ports = ports(MaxPorts) }); invalid != nil {
		t.Errorf("%d ports: %+v", MaxPorts, invalid)
	}
	policy, timeout, long := corev1.ServiceInternalTrafficPolicy("Nowhere"), int32(-5), strings.Repeat("x", 1000)
	e, invalid := offered(func(_ *mcs.ServiceExport, s *corev1.Service) {
		s.Spec.InternalTrafficPolicy, s.Spec.TrafficDistribution = &policy, &long
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}}
		s.Spec.IPFamilies = []corev1.IPFamily{"IPv9", "IPv4", "IPv4"}
	})
	if invalid != nil {
		t.Fatal(invalid)
	}
	if err := e.Check(); err != nil {
		t.Error(err)
	}
}

func ports(n int) []corev1.ServicePort {
	out := make([]corev1.ServicePort, n)
	for i := range out {
		out[i] = corev1.ServicePort{Name: fmt.Sprintf("p%d", i), Port: int32(i + 1)}
	}
	return out
}

// SPEC X2, M1: no timestamp breaks the merge, and none that can't be is an age.
func TestHostileTimestamps_X2(t *testing.T) {
	for _, created := range []time.Time{
		{}, time.Unix(0, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -12*3600)), time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
	} {
		hostile, invalid := offered(func(e *mcs.ServiceExport, _ *corev1.Service) { e.CreationTimestamp = metav1.NewTime(created) })
		if invalid != nil {
			t.Fatal(invalid)
		}
		if err := hostile.Check(); err != nil {
			t.Errorf("%s can't be remembered: %v", created, err)
		}
		if _, err := json.Marshal(hostile); err != nil {
			t.Errorf("%s can't be remembered: %v", created, err)
		}
		honest := hostile
		honest.Cluster, honest.Created = "west", now.Add(-time.Minute)
		if winner := Merge([]Export{hostile, honest}, now).Clusters[0]; winner != "west" {
			t.Errorf("%s wins as an age", created)
		}
	}
}

// SPEC E4, X2: a megabyte of annotations costs their exporter the annotations, and nobody else anything.
func TestExportedSizeIsBounded_E4(t *testing.T) {
	e, invalid := offered(func(e *mcs.ServiceExport, _ *corev1.Service) {
		e.Spec.ExportedAnnotations = map[string]string{"a": "small", "huge": strings.Repeat("x", 1<<20), "z": "small"}
	})
	if invalid != nil {
		t.Fatal(invalid)
	}
	if want := map[string]string{"a": "small", "z": "small"}; !reflect.DeepEqual(e.Annotations, want) {
		t.Errorf("exported %d annotations", len(e.Annotations))
	}
	refused := RefusedKeys(&mcs.ServiceExport{Spec: mcs.ServiceExportSpec{ExportedAnnotations: map[string]string{"huge": strings.Repeat("x", 1<<20)}}}, nil)
	if len(refused) != 1 || refused[0] != "annotation huge (more than 32 KiB of labels and annotations)" {
		t.Errorf("refused: %q", refused)
	}
}

// TestCheck holds what Check finds in exports that were not made by Of.
func TestCheck(t *testing.T) {
	good, _ := offered(func(*mcs.ServiceExport, *corev1.Service) {})
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	timeout := int32(60)
	for name, mutate := range map[string]func(*Export){
		"no cluster":          func(e *Export) { e.Cluster = "" },
		"cluster with slash":  func(e *Export) { e.Cluster = "a/b" },
		"long cluster":        func(e *Export) { e.Cluster = strings.Repeat("a", 64) },
		"seen without need":   func(e *Export) { e.Since = e.Created.Add(time.Minute) },
		"seen in local time":  func(e *Export) { e.Since = e.Created.AddDate(1, 0, 0).In(time.FixedZone("", 3600)) },
		"local time":          func(e *Export) { e.Created = e.Created.In(time.FixedZone("", 3600)) },
		"no protocol":         func(e *Export) { e.Ports = []Port{{Number: 80}} },
		"port 0":              func(e *Export) { e.Ports = []Port{{Protocol: "TCP"}} },
		"affinity":            func(e *Export) { e.SessionAffinity = "Sometimes" },
		"timeout of nothing":  func(e *Export) { e.AffinityTimeout = &timeout },
		"no timeout":          func(e *Export) { e.SessionAffinity = corev1.ServiceAffinityClientIP },
		"no traffic policy":   func(e *Export) { e.InternalTrafficPolicy = "" },
		"long distribution":   func(e *Export) { e.TrafficDistribution = strings.Repeat("x", 1000) },
		"family":              func(e *Export) { e.IPFamilies = []corev1.IPFamily{"IPv9"} },
		"family twice":        func(e *Export) { e.IPFamilies = []corev1.IPFamily{"IPv4", "IPv4"} },
		"reserved label":      func(e *Export) { e.Labels = map[string]string{"kubernetes.io/x": "y"} },
		"label value":         func(e *Export) { e.Labels = map[string]string{"x": "a b"} },
		"reserved annotation": func(e *Export) { e.Annotations = map[string]string{"x.K8S.io/y": ""} },
		"huge annotation":     func(e *Export) { e.Annotations = map[string]string{"x": strings.Repeat("x", 1<<16)} },
	} {
		e := good
		mutate(&e)
		if e.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// BenchmarkMerge is one name with n exporters that agree, and that clash in everything.
func BenchmarkMerge(b *testing.B) {
	for _, n := range []int{1, 2, 10} {
		for _, clash := range []bool{false, true} {
			b.Run(fmt.Sprintf("exports=%d/clash=%v", n, clash), func(b *testing.B) {
				exports := make([]Export, n)
				for i := range exports {
					exports[i], _ = offered(func(e *mcs.ServiceExport, s *corev1.Service) {
						if clash {
							s.Spec.Ports = append(ports(i), s.Spec.Ports...)
							e.Spec.ExportedLabels = map[string]string{"cluster": fmt.Sprint(i)}
						}
					})
					exports[i].Cluster = fmt.Sprintf("cluster-%d", i)
				}
				b.ReportAllocs()
				for b.Loop() {
					Merge(exports, now)
				}
			})
		}
	}
}

// BenchmarkPortConflict is one name of 20 exporters with 1000 ports each, which disagree: in the names, the numbers, the appProtocols,
// or in nothing but the order.
func BenchmarkPortConflict(b *testing.B) {
	const exporters, most = 20, MaxPorts
	for name, port := range map[string]func(i, n int) Port{
		"names":   func(i, n int) Port { return Port{Name: fmt.Sprintf("p%d-%d", n, i), Number: int32(n + 1)} },
		"numbers": func(i, n int) Port { return Port{Name: fmt.Sprintf("p%d", n), Number: int32(most*i + n + 1)} },
		"both":    func(i, n int) Port { return Port{Name: fmt.Sprintf("p%d-%d", n, i), Number: int32(most*i + n + 1)} },
		"appProtocols": func(i, n int) Port {
			return Port{Name: fmt.Sprintf("p%d", n), Number: int32(n + 1), AppProtocol: fmt.Sprint("a", i)}
		},
		"order": func(i, n int) Port {
			n = (n + i) % most
			return Port{Name: fmt.Sprintf("p%d", n), Number: int32(n + 1)}
		},
	} {
		b.Run(name, func(b *testing.B) {
			exports := make([]Export, exporters)
			for i := range exports {
				exports[i], _ = offered(func(*mcs.ServiceExport, *corev1.Service) {})
				exports[i].Cluster, exports[i].Ports = fmt.Sprintf("cluster-%d", i), nil
				for n := range most {
					p := port(i, n)
					p.Protocol = corev1.ProtocolTCP
					exports[i].Ports = append(exports[i].Ports, p)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				Merge(exports, now)
			}
		})
	}
}

// TestManyKeys_X6: keys without number are not looked at one by one, since each would be sorted, judged and named.
func TestManyKeys_X6(t *testing.T) {
	many := map[string]string{}
	for i := range 100_000 {
		many[fmt.Sprintf("bad key %d", i)] = ""
	}
	refused := RefusedKeys(&mcs.ServiceExport{Spec: mcs.ServiceExportSpec{ExportedLabels: many, ExportedAnnotations: map[string]string{"team": "x"}}}, nil)
	if want := []string{"all labels (100000 of them, more than 4096)"}; !slices.Equal(refused, want) {
		t.Errorf("%d refused, such as %.100q; want %q", len(refused), refused[0], want)
	}
}
