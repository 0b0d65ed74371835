package plan

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestFirst(t *testing.T) {
	c := newConsumer(t, defaultConsumer())
	c.settle(wanted(t, provider("a", time.Hour)), noon)
	t.Log(c.log)
	c.settle(wanted(t), noon)
	t.Log(c.log)
	c = newConsumer(t, Consumer{Cluster: "c", ClusterSet: "demo", ImportVersion: "v1alpha1", Families: []corev1.IPFamily{"IPv4"}})
	c.putImport(onDemand())
	c.settle(wanted(t), noon)
	c.settle(wanted(t, provider("a", time.Hour)), noon)
	c.settle(wanted(t, provider("a", time.Hour), provider("b", 2*time.Hour)), noon)
	c.settle(wanted(t), noon)
	for _, l := range c.log {
		t.Log(l)
	}
}
