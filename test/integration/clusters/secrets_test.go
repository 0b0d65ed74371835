package clusters

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// home is a cluster with a namespace mcs for the Secrets of members, and the identity "home" that may do there what
// deploy/ allows.
func home(t *testing.T, opts controlplane.Options) (*cluster, kubernetes.Interface) {
	t.Helper()
	c := start(t, opts)
	c.namespace("mcs")
	if _, err := c.kube.RbacV1().Roles("mcs").Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "home"},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"list", "watch", "patch"}},
			{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get"}},
			{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "get", "update"}},
		},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.kube.RbacV1().RoleBindings("mcs").Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "home"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "home"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "home"}},
	}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(c.ConfigFor("home"))
	if err != nil {
		t.Fatal(err)
	}
	return c, client
}

// secret makes a Secret that registers a member.
func (c *cluster) secret(name, id string, data map[string][]byte, annotations map[string]string) {
	c.t.Helper()
	_, err := c.kube.CoreV1().Secrets("mcs").Create(context.Background(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{registration.LabelMember: id}, Annotations: annotations},
		Data:       data,
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) patchSecret(name, patch string) {
	c.t.Helper()
	_, err := c.kube.CoreV1().Secrets("mcs").Patch(context.Background(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) credentials(user string) map[string][]byte {
	c.t.Helper()
	content, err := c.KubeconfigContent(c.URL(), user)
	if err != nil {
		c.t.Fatal(err)
	}
	return map[string][]byte{registration.KeyKubeconfig: content}
}

// TestSecrets holds that labelled Secrets are members, at run time, and that a bad one is left out and named while the rest
// works (DESIGN 4, SPEC L6 L8 X2 X3).
func TestSecrets(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home"})
	other := start(t, controlplane.Options{Name: "other"})
	h.secret("bad", "c9", map[string][]byte{"config": []byte("very secret")}, nil)
	h.secret("unlabelled", "c8", h.credentials("member"), nil)
	h.patchSecret("unlabelled", fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, registration.LabelMember))
	h.secret("first", "c1", h.credentials("member"), nil)
	r := run(t, registration.Secrets{
		Client: client, Namespace: "mcs",
		Registration: registration.Registration{Provider: true, Consumer: true, ExportStatus: true},
	})
	r.synced(t, "c1")

	bad := r.member(t, "c9")
	if want := `Secret mcs/bad: no key \"kubeconfig\"; it has config; want a kubeconfig under that key`; r.log.count(want) != 1 {
		t.Errorf("the log does not say %s:\n%s", want, r.log)
	}
	if bad.ProviderSynced() || len(r.Members()) != 2 {
		t.Errorf("members are %v", r.Members())
	}

	h.secret("second", "c2", other.credentials("member"), map[string]string{registration.AnnotationRole: "provider"})
	m := r.member(t, "c2")
	kit.True(t, "the new member is synced", m.ProviderSynced)
	if reg := m.Registration(); reg.Consumer || !reg.Provider {
		t.Errorf("the role is %+v", reg)
	}

	// What it is trusted with changes without it leaving (X2, X3).
	limits := func(endpoints, namespaces string) {
		h.patchSecret("second", fmt.Sprintf(`{"metadata":{"annotations":{%q:%s,%q:%s}}}`,
			mcsapi.Domain+"/"+registration.LimitEndpointCIDRs, endpoints, mcsapi.Domain+"/"+registration.LimitExportNamespaces, namespaces))
	}
	limits(`"10.1.0.0/16"`, `"shop"`)
	kit.True(t, "the limits are taken", func() bool {
		l := m.Registration().Limits
		return fmt.Sprint(l.EndpointCIDRs) == "[10.1.0.0/16]" && l.MayExport("shop") && !l.MayExport("other")
	})
	limits("null", "null")
	kit.True(t, "the limits are gone", func() bool {
		l := m.Registration().Limits
		return len(l.EndpointCIDRs) == 0 && l.MayExport("other")
	})
	if r.has("left c2") || !m.ProviderSynced() {
		t.Error("other limits took the member away")
	}

	// What breaks keeps what it was.
	h.patchSecret("second", `{"data":{"kubeconfig":"AAAA"}}`)
	kit.True(t, "the broken Secret is told of", func() bool { return r.log.count("the old ones stay in use") == 1 })
	h.patchSecret("second", fmt.Sprintf(`{"metadata":{"labels":{%q:"UPPER"}}}`, registration.LabelMember))
	kit.True(t, "the bad id is told of", func() bool { return r.log.count(`cluster id \"UPPER\": want`) == 1 })
	h.patchSecret("second", fmt.Sprintf(`{"metadata":{"labels":{%q:"c2"},"annotations":{%q:"nonsense"}}}`,
		registration.LabelMember, registration.AnnotationRole))
	kit.True(t, "the bad role is told of", func() bool { return r.log.count(`is \"nonsense\"; want provider, consumer or both`) > 0 })
	if got := r.member(t, "c2"); got != m || !m.ProviderSynced() || r.has("left c2") {
		t.Error("a Secret that broke took its member away")
	}

	if err := h.kube.CoreV1().Secrets("mcs").Delete(t.Context(), "second", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "the member is gone", func() bool { return r.has("left c2") && len(r.Members()) == 2 })

	for _, secret := range []string{"very secret", "BEGIN", "client-key-data", "LS0t"} {
		if strings.Contains(r.log.String(), secret) {
			t.Errorf("the log holds %q, out of a Secret", secret)
		}
	}
}

// runSecrets runs a set of the members that Secrets of namespace mcs register, and returns the log of that source, too.
func runSecrets(t *testing.T, client kubernetes.Interface) (*running, *buffer) {
	said := &buffer{t: t}
	return run(t, registration.Secrets{
		Client: client, Namespace: "mcs", Registration: registration.Registration{Provider: true, Consumer: true},
		Log: slog.New(slog.NewTextHandler(said, nil)),
	}), said
}

// TestNamespaceDeleted_L6 holds that a member stays whose Secret is deleted along with the namespace, and its rights with it.
func TestNamespaceDeleted_L6(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home", ControllerManager: true})
	h.secret("first", "c1", h.credentials("member"), nil)
	r, said := runSecrets(t, client)
	r.synced(t, "c1")
	if err := h.kube.CoreV1().Namespaces().Delete(t.Context(), "mcs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "the namespace is gone", func() bool {
		_, err := h.kube.CoreV1().Namespaces().Get(t.Context(), "mcs", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	kit.True(t, "it is told of, or believed", func() bool { return said.count("with their namespace") == 1 || r.has("left c1") })
	if r.has("left c1") {
		t.Error("the member left")
	}
}

// TestNamespaceDeletedLater_L6 holds that Secrets which were all deleted at once are not believed gone, however much later, while
// their namespace is being deleted, too.
func TestNamespaceDeletedLater_L6(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home"}) // without a controller manager, which would let go of the namespace
	other := start(t, controlplane.Options{Name: "other"})
	h.secret("first", "c1", h.credentials("member"), nil)
	h.secret("second", "c2", other.credentials("member"), nil)
	r, said := runSecrets(t, client)
	r.synced(t, "c1")
	r.synced(t, "c2")
	if err := h.kube.CoreV1().Secrets("mcs").DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "it is told of", func() bool { return said.count("are deleted at once") == 1 })
	doubted := time.Now()
	if err := h.kube.CoreV1().Namespaces().Delete(t.Context(), "mcs", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "so is the namespace", func() bool { return said.count("with their namespace") == 1 })
	const hold = 30 * time.Second // for which their absence alone would be doubted
	kit.True(t, "well past that time", func() bool { return r.has("left c1") || r.has("left c2") || time.Since(doubted) > hold+10*time.Second })
	if r.has("left c1") || r.has("left c2") {
		t.Error("a member left")
	}
}

// TestVanished_L3_L6 holds that not all members leave because their Secrets are deleted at once, while one alone does, and so
// do those that were marked before.
func TestVanished_L3_L6(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home"})
	other, third := start(t, controlplane.Options{Name: "other"}), start(t, controlplane.Options{Name: "third"})
	h.secret("first", "c1", h.credentials("member"), nil)
	h.secret("second", "c2", other.credentials("member"), nil)
	h.secret("third", "c3", third.credentials("member"), nil)
	r, said := runSecrets(t, client)
	for _, id := range []string{"c1", "c2", "c3"} {
		r.synced(t, id)
	}
	secrets := h.kube.CoreV1().Secrets("mcs")
	if err := secrets.Delete(t.Context(), "third", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "one alone leaves", func() bool { return r.has("left c3") })
	if err := secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "it is told of, or believed", func() bool { return said.count("are deleted at once") == 1 || r.has("left c1") || r.has("left c2") })
	if r.has("left c1") || r.has("left c2") {
		t.Fatal("they left")
	}

	h.secret("first", "c1", h.credentials("member"), map[string]string{registration.AnnotationLeaving: "true"})
	h.secret("second", "c2", other.credentials("member"), map[string]string{registration.AnnotationLeaving: "true"})
	if err := secrets.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	kit.True(t, "those that were to leave do", func() bool { return r.has("left c1") && r.has("left c2") })
	if said.count("are deleted at once") != 1 {
		t.Error("it was doubted")
	}
}

// TestClusterProperty_X4 holds that a member registered without an id has the one that its cluster gives, pinned in its
// Secret from then on.
func TestClusterProperty_X4(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home"})
	h.secret("nameless", "", h.credentials("member"), nil)
	source := registration.Secrets{Client: client, Namespace: "mcs", Registration: registration.Registration{Provider: true, Consumer: true}}
	r := run(t, source)
	kit.True(t, "the missing id is told of", func() bool { return r.log.count("the cluster has no ClusterProperty") == 1 })
	if len(r.Members()) != 0 {
		t.Errorf("members are %v", r.Members())
	}
	// That the Secret gets limits meanwhile does not make it another one.
	if _, err := h.kube.CoreV1().Secrets("mcs").Patch(t.Context(), "nameless", types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"clusterset.dev/endpoint-cidrs":"10.0.0.0/8"}}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := h.SetClusterID(t.Context(), "hangzhou"); err != nil {
		t.Fatal(err)
	}
	r.synced(t, "hangzhou")
	label := func() string {
		s, err := h.kube.CoreV1().Secrets("mcs").Get(t.Context(), "nameless", metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return s.Labels[registration.LabelMember]
	}
	if got := label(); got != "hangzhou" {
		t.Errorf("the Secret's label is %q", got)
	}
	r.stop()

	if err := h.SetClusterID(t.Context(), "shanghai"); err != nil {
		t.Fatal(err)
	}
	again := run(t, source)
	again.synced(t, "hangzhou")
	kit.True(t, "the other id is told of", func() bool { return again.log.count("says=shanghai") == 1 })
	if len(again.Members()) != 1 || label() != "hangzhou" {
		t.Error("a ClusterProperty that changed was followed")
	}
}

// TestTakenClusterProperty_X4 holds that a cluster can't have the id of another member by saying that it has it: neither now
// nor after a restart.
func TestTakenClusterProperty_X4(t *testing.T) {
	h, client := home(t, controlplane.Options{Name: "home"})
	h.secret("zeta", "prod", h.credentials("member"), nil)
	source := registration.Secrets{Client: client, Namespace: "mcs", Registration: registration.Registration{Provider: true, Consumer: true}}
	r := run(t, source)
	r.synced(t, "prod")
	other := start(t, controlplane.Options{Name: "other"})
	if err := other.SetClusterID(t.Context(), "prod"); err != nil {
		t.Fatal(err)
	}
	h.secret("alpha", "", other.credentials("member"), nil)
	const said = "the id of Secret mcs/zeta"
	kit.True(t, "it is told of", func() bool { return r.log.count(said) == 1 })
	r.stop()

	again := run(t, source)
	again.synced(t, "prod")
	kit.True(t, "it is told of again", func() bool { return again.log.count(said) == 1 })
	if got := again.member(t, "prod").Registration().Origin; len(again.Members()) != 1 || got != "Secret mcs/zeta" {
		t.Errorf("%d members; prod is %s", len(again.Members()), got)
	}
	s, err := h.kube.CoreV1().Secrets("mcs").Get(t.Context(), "alpha", metav1.GetOptions{})
	if err != nil || s.Labels[registration.LabelMember] != "" {
		t.Errorf("labels of the Secret: %v, %v", s.Labels, err)
	}
}
