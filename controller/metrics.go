package controller

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of the engine. Labels are clusters, kinds and verbs: bounded by the number of members (STYLE 10).
type metrics struct {
	latency *prometheus.HistogramVec
	errors  *prometheus.CounterVec
	writes  *prometheus.CounterVec
	waited  *prometheus.CounterVec

	mu     sync.Mutex
	queues map[string]func() int
	depth  *prometheus.Desc
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mcs_controller_reconcile_duration_seconds",
			Help:    "Time that reconciling one name in one cluster took, writes included.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"cluster"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mcs_controller_reconcile_errors_total",
			Help: "Reconciles of a name in a cluster that failed and will be tried again.",
		}, []string{"cluster"}),
		writes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mcs_controller_writes_total",
			Help: "Writes to the API server of a cluster, by kind, verb and result.",
		}, []string{"cluster", "kind", "verb", "result"}),
		waited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mcs_controller_changes_delayed_total",
			Help: "Changes of objects in a cluster that waited, because it changes more than is carried to other clusters at once.",
		}, []string{"cluster"}),
		queues: map[string]func() int{},
		depth: prometheus.NewDesc("mcs_controller_queue_depth",
			"Names that wait to be reconciled in a cluster.", []string{"cluster"}, nil),
	}
	if r != nil {
		r.MustRegister(m.latency, m.errors, m.writes, m.waited, m)
	}
	return m
}

func (m *metrics) reconciled(cluster string, took time.Duration, err error) {
	m.latency.WithLabelValues(cluster).Observe(took.Seconds())
	if err != nil {
		m.errors.WithLabelValues(cluster).Inc()
	}
}

func (m *metrics) wrote(cluster, kind, verb string, err error) {
	result := "success"
	if err != nil {
		result = "error"
	}
	m.writes.WithLabelValues(cluster, kind, verb, result).Inc()
}

func (m *metrics) delayed(cluster string) { m.waited.WithLabelValues(cluster).Inc() }

// forget drops the series of a cluster that left, whether or not it had a queue.
func (m *metrics) forget(cluster string) { m.waited.DeleteLabelValues(cluster) }

func (m *metrics) watchQueue(cluster string, depth func() int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queues[cluster] = depth
}

// unwatchQueue forgets a cluster that left, with all its series.
func (m *metrics) unwatchQueue(cluster string) {
	m.mu.Lock()
	delete(m.queues, cluster)
	m.mu.Unlock()
	labels := prometheus.Labels{"cluster": cluster}
	m.latency.DeletePartialMatch(labels)
	m.errors.DeletePartialMatch(labels)
	m.writes.DeletePartialMatch(labels)
}

// Describe implements [prometheus.Collector] for the depth of the queues.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.depth }

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for cluster, depth := range m.queues {
		ch <- prometheus.MustNewConstMetric(m.depth, prometheus.GaugeValue, float64(depth()), cluster)
	}
}
