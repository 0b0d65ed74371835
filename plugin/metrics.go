package multicluster

import (
	"strings"
	"time"

	"github.com/clusterset/multicluster/plugin/decode"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var programmingDuration = promauto.NewHistogramVec(prometheus.HistogramOpts{
	Namespace:                   plugin.Namespace,
	Subsystem:                   pluginName,
	Name:                        "dns_programming_duration_seconds",
	Help:                        "Histogram of the time from the change of an object to the first moment that answers show it.",
	Buckets:                     prometheus.ExponentialBuckets(0.001, 2, 20), // 1 ms to 17 minutes
	NativeHistogramBucketFactor: plugin.NativeHistogramBucketFactor,
}, []string{"kind"})

func init() { prometheus.MustRegister(collector{}) }

// collector reports on the sources as they are when it is asked. There are as many values of its label source as there
// are different sources in the Corefile.
type collector struct{}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, pluginName, name), help, append([]string{"source"}, labels...), nil)
}

var (
	importsDesc   = desc("service_imports", "ServiceImports that are served.", "type")
	endpointsDesc = desc("endpoints", "Addresses of ready endpoints that are held.")
	syncedDesc    = desc("synced", "Whether everything has been read once (1) or the zone answers SERVFAIL (0).")
	watchingDesc  = desc("watching", "Whether a kind of objects can be followed at the moment (1) or not (0).", "kind")
	lastEventDesc = desc("last_event_age_seconds", "Seconds since the last change of a kind came.", "kind")
)

func (collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{importsDesc, endpointsDesc, syncedDesc, watchingDesc, lastEventDesc} {
		ch <- d
	}
}

func (collector) Collect(ch chan<- prometheus.Metric) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	for name, s := range latest(registry.sources) {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
		}
		counts := s.view.Counts()
		gauge(importsDesc, float64(counts.ClusterSetIP), "ClusterSetIP")
		gauge(importsDesc, float64(counts.Headless), "Headless")
		gauge(endpointsDesc, float64(counts.Endpoints))
		gauge(syncedDesc, number(s.synced()))
		for _, k := range s.health.states() {
			gauge(watchingDesc, number(k.watching), k.name)
			if !k.lastEvent.IsZero() {
				gauge(lastEventDesc, time.Since(k.lastEvent).Seconds(), k.name)
			}
		}
	}
}

// latest returns the sources by their names. During a reload with other credentials there are two of one name, and metrics that
// come twice would be refused, with all others.
func latest(sources map[sourceKey]*source) map[string]*source {
	byName := make(map[string]*source, len(sources))
	for key, s := range sources {
		name := key.String()
		if other := byName[name]; other == nil || s.health.began.After(other.health.began) {
			byName[name] = s
		}
	}
	return byName
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// String names a source in metrics: where it reads, and what it leaves out.
func (k sourceKey) String() string {
	parts := []string{k.server}
	if k.namespaces != "" {
		parts = append(parts, "namespaces="+strings.ReplaceAll(k.namespaces, " ", ","))
	}
	if k.labels != "" {
		parts = append(parts, "labels="+k.labels)
	}
	if k.noEndpoints {
		parts = append(parts, "noendpoints")
	}
	return strings.Join(parts, " ")
}

// observe notes that a change of an object, which came as an event, shows in answers now.
func observe(kind string, object metav1.Object) {
	if changed := decode.ChangeTime(object); !changed.IsZero() {
		programmingDuration.WithLabelValues(kind).Observe(max(time.Since(changed), 0).Seconds())
	}
}
