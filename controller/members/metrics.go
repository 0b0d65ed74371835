package members

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/clusterset/multicluster/controller/liveness"
)

// Collector gives the state of a set to Prometheus, one series per member and role.
type Collector struct{ set *Set }

// NewCollector returns a collector of s.
func NewCollector(s *Set) *Collector { return &Collector{s} }

var (
	membersDesc = prometheus.NewDesc("mcs_controller_members",
		"Members of the clusterset.", nil, nil)
	syncedDesc = prometheus.NewDesc("mcs_controller_member_synced",
		"1 if all that a member's role reads is known, 0 if not.", []string{"cluster", "role"}, nil)
	reachableDesc = prometheus.NewDesc("mcs_controller_member_reachable",
		"1 if the member's API server answered the last probe, 0 if not.", []string{"cluster"}, nil)
	withdrawnDesc = prometheus.NewDesc("mcs_controller_member_withdrawn",
		"1 if the provider was not reached for the grace period, so that its endpoints are withdrawn where others remain; 0 if not, or if this replica stands by.",
		[]string{"cluster"}, nil)
	suspendedDesc = prometheus.NewDesc("mcs_controller_withdrawal_suspended",
		"1 while more than half of the remote providers, and at least two, are missing and vanished together, so that they are not withdrawn.", nil, nil)
	heardDesc = prometheus.NewDesc("mcs_controller_member_last_contact_seconds",
		"Seconds since the member's API server last answered a probe; absent before the first answer.", []string{"cluster"}, nil)
)

// Describe implements [prometheus.Collector].
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	ch <- membersDesc
	ch <- syncedDesc
	ch <- reachableDesc
	ch <- heardDesc
	ch <- withdrawnDesc
	ch <- suspendedDesc
}

// Collect implements [prometheus.Collector].
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	members := c.set.Members()
	gauge(membersDesc, float64(len(members)))
	gauge(suspendedDesc, bit(c.set.Suspended()))
	for _, m := range members {
		reg := m.Registration()
		if reg.Provider {
			gauge(syncedDesc, bit(m.ProviderSynced()), reg.ID, "provider")
			gauge(withdrawnDesc, bit(m.Standing() == liveness.Withdrawn), reg.ID)
		}
		if reg.Consumer {
			gauge(syncedDesc, bit(m.ConsumerSynced()), reg.ID, "consumer")
		}
		heard := m.contact()
		gauge(reachableDesc, bit(!heard.At.IsZero() && heard.Err == nil), reg.ID)
		if !heard.At.IsZero() {
			gauge(heardDesc, time.Since(heard.At).Seconds(), reg.ID)
		}
	}
}

func bit(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
