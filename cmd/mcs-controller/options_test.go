package main

import (
	"io"
	"testing"
)

// TestAddresses_X1 holds that metrics, which anybody may read who reaches them, are served beyond a pod's own loopback only
// where that is asked for, and probes where kubelet reaches them.
func TestAddresses_X1(t *testing.T) {
	for _, tc := range []struct {
		args           []string
		pod            bool
		metrics, probe string
	}{
		{nil, true, "127.0.0.1:8080", ":8081"},
		{nil, false, "", ""},
		{[]string{"--metrics-bind-address=:9090"}, true, ":9090", ":8081"},
		{[]string{"--metrics-bind-address=0", "--health-probe-bind-address=127.0.0.1:1"}, true, "0", "127.0.0.1:1"},
	} {
		o, err := parse(tc.args, io.Discard)
		if err == nil {
			err = o.complete(&home{pod: tc.pod})
		}
		if err != nil || o.metricsAddr != tc.metrics || o.probeAddr != tc.probe {
			t.Errorf("%v, in a pod %v: metrics at %q, probes at %q, %v", tc.args, tc.pod, o.metricsAddr, o.probeAddr, err)
		}
	}
}
