package controlplane

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// testMutatingRequests holds that the instrument for SPEC S5 sees every change, refused ones too, and nothing else.
func testMutatingRequests(t *testing.T, c *Cluster) {
	const user = "auditee"
	apply(t, c, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: auditee}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: auditee}]
`)
	cfg := c.ConfigFor(user)
	cfg.UserAgent = "auditor-test"
	client := clientFor(t, cfg)
	before := mutationsOf(t, c, user)
	if len(before) != 0 {
		t.Fatalf("before it did anything, %s is said to have done %v", user, before)
	}

	maps := client.CoreV1().ConfigMaps("default")
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "audited"}}
	if _, err := maps.Create(t.Context(), config, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := maps.Update(t.Context(), config, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := maps.List(t.Context(), metav1.ListOptions{}); err != nil { // no mutation
		t.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "refused"}}
	if _, err := client.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); !apierrors.IsForbidden(err) {
		t.Fatalf("creating a namespace gave error %v, want forbidden", err)
	}
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: "renewed"}} // refused or not, it is not counted
	_, _ = client.CoordinationV1().Leases("default").Create(t.Context(), lease, metav1.CreateOptions{})

	want := map[Mutation]int{
		{user, "create", "configmaps"}: 1,
		{user, "update", "configmaps"}: 3,
		{user, "create", "namespaces"}: 1,
	}
	if have := mutationsOf(t, c, user); !reflect.DeepEqual(have, want) {
		t.Errorf("%s is said to have done %v, want %v", user, have, want)
	}
}

func mutationsOf(t *testing.T, c *Cluster, user string) map[Mutation]int {
	t.Helper()
	all, err := c.MutatingRequests()
	if err != nil {
		t.Fatal(err)
	}
	own := map[Mutation]int{}
	for mutation, n := range all {
		if mutation.User == user {
			own[mutation] = n
		}
	}
	return own
}

func TestAuditTrail(t *testing.T) {
	const first = `{"verb":"patch","user":{"username":"u"},"userAgent":"a/1","objectRef":{"resource":"serviceimports","namespace":"ns","name":"n","apiGroup":"multicluster.x-k8s.io","subresource":"status"},"responseStatus":{"code":409},"requestReceivedTimestamp":"2026-01-02T03:04:05.000006Z"}
{"verb":"create","user":{"userna`
	const rest = `me":"u"},"objectRef":{"resource":"services"},"responseStatus":{"code":201}}
`
	want := []AuditedRequest{{
		Mutation:  Mutation{"u", "patch", "serviceimports.multicluster.x-k8s.io/status"},
		UserAgent: "a/1", Namespace: "ns", Name: "n", Code: 409,
		Received: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC),
	}, {
		Mutation: Mutation{"u", "create", "services"}, Code: 201,
	}}
	path := filepath.Join(t.TempDir(), "audit.log")
	log, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	var trail auditTrail
	for read, text := range []string{first, rest, ""} {
		if _, err := log.WriteString(text); err != nil {
			t.Fatal(err)
		}
		if err := trail.readOn(path); err != nil {
			t.Fatal(err)
		}
		if whole := want[:min(read+1, 2)]; !reflect.DeepEqual(trail.requests, whole) {
			t.Errorf("after %q: got %+v, want %+v", text, trail.requests, whole)
		}
	}
	if _, err := log.WriteString("no JSON\n"); err != nil {
		t.Fatal(err)
	}
	if err := trail.readOn(path); err == nil {
		t.Error("a line that is no JSON is no error")
	}
}
