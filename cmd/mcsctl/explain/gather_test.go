package explain

import (
	"net"
	"strconv"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// TestConnect: a connection is tried for every ready endpoint of a headless service, and for every address and TCP port of
// another.
func TestConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(listener.Addr().String())
	number, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	port, no := int32(number), false
	s := slice("c1", "127.0.0.1", "127.0.0.2")
	s.Endpoints[1].Conditions.Ready = &no
	s.Ports = []discoveryv1.EndpointPort{{Port: &port}}
	headless := &gathering{out: Cluster{Import: &mcs.ServiceImport{Spec: mcs.ServiceImportSpec{Type: mcs.Headless}}, Imported: []discoveryv1.EndpointSlice{s}}}
	headless.connect(t.Context(), time.Second)
	if got := headless.out.Connects; len(got) != 1 || got[0].Address != listener.Addr().String() || got[0].Err != "" {
		t.Errorf("headless: got %+v", got)
	}
	_ = listener.Close()
	clusterIP := &gathering{out: Cluster{Import: &mcs.ServiceImport{Spec: mcs.ServiceImportSpec{
		Type: mcs.ClusterSetIP, IPs: []string{"127.0.0.1"}, Ports: []mcs.ServicePort{{Port: port}, {Port: port, Protocol: "UDP"}},
	}}}}
	clusterIP.connect(t.Context(), time.Second)
	if got := clusterIP.out.Connects; len(got) != 1 || got[0].Err == "" {
		t.Errorf("nobody listens: got %+v", got)
	}
}
