package mcsctl

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

// TestEveryDay: what people do with a clusterset that stands, and what they see.
func TestEveryDay(t *testing.T) {
	list, kubeconfig := start(t,
		controlplane.Options{Name: "c1", ControllerManager: true},
		controlplane.Options{Name: "c2", ControllerManager: true, ServiceCIDRs: []string{"10.97.0.0/16"}})
	c1, c2 := list[0], list[1]
	at := func(args ...string) []string { return append(args, "--kubeconfig", kubeconfig, "--context", "c2") }
	const ns = "shop"
	namespace(t, ns, c1, c2)
	c2.corefile(t, ".:53 {\n  multicluster clusterset.local\n  kubernetes cluster.local\n  cache {\n    success 9984 300 60\n  }\n}\n") // SPEC D18

	mcsctl(t, at("status")...).wants(t, 0, "all is well")
	mcsctl(t, at("services")...).wants(t, 0, "no service is exported or imported")
	mcsctl(t, at("join", "c1", "--from", "c1", "--pod-cidrs", "10.1.0.0/16")...).wants(t, 0, "c1 is a member now")
	run(t, c2, false)
	mcsctl(t, at("check")...).golden(t, "check")
	c2.corefile(t, balanced)

	inC1 := func(args ...string) []string { return append(args, "--kubeconfig", kubeconfig, "--context", "c1") }
	mcsctl(t, inC1("export", "cart.shop", "--wait", "1s")...).golden(t, "export-no-service")
	c1.service(t, ns, "cart", "10.1.0.5")
	mcsctl(t, inC1("export", "cart.shop")...).golden(t, "export")
	mcsctl(t, at("explain", "cart.shop", "--no-dns")...).wants(t, 1, "mcsctl import shop/cart")
	mcsctl(t, at("import", "cart.shop")...).golden(t, "import")
	mcsctl(t, at("import", "cart.shop", "-o", "json")...).wants(t, 0, `"done": "shop/cart is imported"`)
	eventuallyWell(t, at("explain", "cart.shop", "--no-dns")...)

	c2.service(t, ns, "cart", "10.2.0.5", "10.2.0.6")
	_, err := c2.kube.CoreV1().Services(ns).Patch(t.Context(), "cart", "application/merge-patch+json",
		[]byte(`{"spec":{"sessionAffinity":"ClientIP"}}`), metav1.PatchOptions{})
	kit.Must(t, err)
	mcsctl(t, at("export", "cart.shop")...).wants(t, 0, "shop/cart is exported")
	kit.Eventually(t, "both export, and disagree", func() error {
		o := mcsctl(t, at("services")...)
		if o.code == 1 && strings.Contains(o.out, "c1 1/1, c2 2/2") && strings.Contains(o.out, "SessionAffinityConflict") {
			return nil
		}
		return errText(o.out + o.err)
	})
	mcsctl(t, at("services")...).golden(t, "services")
	mcsctl(t, at("services", "-o", "json")...).golden(t, "services-json")
	mcsctl(t, at("explain", "cart.shop", "--no-dns")...).golden(t, "explain-conflict")
	mcsctl(t, at("status")...).golden(t, "status")

	kit.Must(t, c1.mcs.Patch(types.MergePatchType).Namespace(ns).Resource("serviceexports").Name("cart").
		Body([]byte(`{"metadata":{"labels":{"clusterset.dev/by-rule":"true"}}}`)).Do(t.Context()).Error())
	mcsctl(t, inC1("export", "cart.shop")...).wants(t, 0, "a rule made it")
	mcsctl(t, inC1("unexport", "cart.shop")...).wants(t, 1, "was made by rule, and would be made again")

	mcsctl(t, at("unexport", "cart.shop")...).golden(t, "unexport")
	mcsctl(t, at("unexport", "cart.shop")...).wants(t, 1, "has no ServiceExport shop/cart")

	kit.Must(t, c1.StopAPIServer())
	mcsctl(t, at("status", "--timeout", "10s")...).wants(t, 1, "c1 can't be reached from here: ")
	mcsctl(t, at("explain", "cart.shop", "--no-dns", "--timeout", "10s")...).wants(t, 0, "exported by c1 when it was last seen")
	mcsctl(t, append(inC1("status"), "--timeout", "10s")...).wants(t, 2, "can't be reached")
}

type errText string

func (e errText) Error() string { return string(e) }

// TestExplainReadsOneName: explain asks for the objects of one name only. Its user may list nothing else, which a list of
// a whole kind would run into.
func TestExplainReadsOneName(t *testing.T) {
	list, _ := start(t, controlplane.Options{Name: "c1"})
	c1 := list[0]
	const ns, user = "shop", "reader"
	namespace(t, ns, c1)
	c1.service(t, ns, "cart", "10.1.0.5")
	c1.service(t, ns, "other", "10.1.0.6")
	c1.export(t, ns, "cart")
	c1.export(t, ns, "other")
	_, err := c1.kube.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"multicluster.x-k8s.io", ""}, Resources: []string{"serviceexports", "serviceimports", "services"}, ResourceNames: []string{"cart", "amcs-cart"}, Verbs: []string{"list"}},
			{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
		},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	_, err = c1.kube.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
	}, metav1.CreateOptions{})
	kit.Must(t, err)
	kubeconfig, err := c1.KubeconfigFor(user)
	kit.Must(t, err)
	kit.Eventually(t, "the role counts", func() error {
		if o := mcsctl(t, "explain", "cart.shop", "--no-dns", "--cluster", "c1="+kubeconfig); !strings.Contains(o.out, "exported by c1") || strings.Contains(o.out, "services can't be read") {
			return errText(o.out + o.err)
		}
		return nil
	})
	mcsctl(t, "explain", "cart.shop", "--no-dns", "--cluster", "c1="+kubeconfig).golden(t, "explain-restricted")
	mcsctl(t, "explain", "other.shop", "--no-dns", "--cluster", "c1="+kubeconfig).wants(t, 1, "these credentials may not")
}
