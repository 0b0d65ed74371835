package validate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// exercise lets the controller of c1 do all that it ever does: what was imported from c1 and c2 changes and goes, Leases are
// renewed, and c2 leaves and comes back without an id.
func exercise(t *testing.T, c1, c2 *server, kubeconfig string) {
	t.Helper()
	renewed := c1.leaseVersion(t, "c2")
	for _, address := range []string{"192.0.2.1", "10.244.2.7", "192.0.2.1", "10.244.2.8"} { // the same Event twice is one that counts
		c2.shell(t, kubeconfig, "kubectl --context c2 -n shop patch endpointslice cart-1 --type=json -p "+
			`'[{"op": "replace", "path": "/endpoints/0/addresses/0", "value": "`+address+`"}]'`)
		await(t, time.Minute, func(ctx context.Context) error {
			i, err := c1.objects.Resource(importResource).Namespace("shop").Get(ctx, "cart", metav1.GetOptions{})
			if err != nil {
				return err
			}
			conditions, _, err := unstructured.NestedSlice(i.Object, "status", "conditions")
			refused := slices.ContainsFunc(conditions, func(c any) bool { return c.(map[string]any)["type"] == "Refused" })
			if err == nil && refused != (address == "192.0.2.1") {
				err = fmt.Errorf("with endpoint %s: conditions %v", address, conditions)
			}
			return err
		})
	}
	for _, s := range []*server{c1, c2} {
		s.shell(t, kubeconfig, "kubectl --context "+s.Name()+` -n shop patch service cart -p '{"spec": {"sessionAffinity": "ClientIP"}}'`)
	}
	await(t, time.Minute, func(ctx context.Context) error {
		service, err := c1.kube.CoreV1().Services("shop").Get(ctx, "amcs-cart", metav1.GetOptions{})
		if err == nil && service.Spec.SessionAffinity != "ClientIP" {
			err = errors.New("the derived Service does not follow the exports")
		}
		return err
	})
	await(t, time.Minute, func(ctx context.Context) error {
		list, err := c1.kube.DiscoveryV1().EndpointSlices("shop").List(ctx, metav1.ListOptions{LabelSelector: "multicluster.kubernetes.io/source-cluster=c2"})
		if err == nil && (len(list.Items) != 1 || list.Items[0].Endpoints[0].Addresses[0] != "10.244.2.8") {
			err = errors.New("the imported slice does not follow its source")
		}
		return err
	})
	await(t, time.Minute, func(context.Context) error {
		if c1.leaseVersion(t, "c2") == renewed {
			return errors.New("the Lease of c2 is not renewed")
		}
		return nil
	})
	for _, s := range []*server{c1, c2} {
		s.shell(t, kubeconfig, "kubectl --context "+s.Name()+" -n shop delete serviceexport cart")
	}
	await(t, time.Minute, func(ctx context.Context) error {
		list, err := c1.objects.Resource(importResource).Namespace("shop").List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = errors.New("the import is still there")
		}
		return err
	})

	secrets := c1.kube.CoreV1().Secrets(namespace)
	secret, err := secrets.Get(t.Context(), "c2", metav1.GetOptions{})
	if err == nil {
		err = secrets.Delete(t.Context(), "c2", metav1.DeleteOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(context.Context) error {
		if c1.leaseVersion(t, "c2") != "" {
			return errors.New("the Lease of c2 is still there")
		}
		return nil
	})
	secret.ObjectMeta = metav1.ObjectMeta{Name: "c2", Annotations: secret.Annotations, Labels: map[string]string{"clusterset.dev/member": ""}}
	if _, err := secrets.Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, func(ctx context.Context) error {
		secret, err := secrets.Get(ctx, "c2", metav1.GetOptions{})
		if err == nil && secret.Labels["clusterset.dev/member"] != "c2" {
			err = errors.New("the id that c2 gives itself is not pinned")
		}
		return err
	})
}

// leaseVersion tells renewals of the Lease of a provider apart; "" where there is none.
func (s *server) leaseVersion(t *testing.T, id string) string {
	t.Helper()
	list, err := s.kube.CoordinationV1().Leases(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "multicluster.kubernetes.io/source-cluster=" + id})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 {
		return ""
	}
	return list.Items[0].ResourceVersion
}

// uses are what each role allows, as "verb resource.group", and whether somebody who has it did so.
type uses map[string]map[string]bool

// note adds what the roles of ours that are bound in the cluster allow, and what was done there on their behalf.
func (u uses) note(t *testing.T, s *server) {
	t.Helper()
	requests, err := s.AuditedRequests()
	if err != nil {
		t.Fatal(err)
	}
	did := map[string]map[string]bool{} // by user
	for _, r := range requests {
		if did[r.User] == nil {
			did[r.User] = map[string]bool{}
		}
		did[r.User][r.Verb+" "+r.Resource] = true
	}
	for _, b := range s.bindings(t) {
		role := u[b.role]
		if role == nil {
			role = map[string]bool{}
			u[b.role] = role
		}
		for _, rule := range b.rules {
			for _, verb := range rule.Verbs {
				for _, resource := range rule.Resources {
					use := strings.TrimSuffix(verb+" "+qualified(resource, rule.APIGroups[0]), ".")
					for _, user := range b.users {
						role[use] = role[use] || did[user][use]
					}
				}
			}
		}
	}
}

// qualified is a resource as the audit log has it: resource.group/subresource.
func qualified(resource, group string) string {
	resource, sub, _ := strings.Cut(resource, "/")
	if group != "" {
		resource += "." + group
	}
	if sub != "" {
		resource += "/" + sub
	}
	return resource
}

// binding is a role of ours and the ServiceAccounts that have it.
type binding struct {
	role  string
	rules []rbacv1.PolicyRule
	users []string
}

func (s *server) bindings(t *testing.T) (list []binding) {
	t.Helper()
	rbac := s.kube.RbacV1()
	own := metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=multicluster"}
	add := func(namespace string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		b := binding{role: ref.Name}
		if ref.Kind == "Role" {
			role, err := rbac.Roles(namespace).Get(t.Context(), ref.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			b.rules = role.Rules
		} else {
			role, err := rbac.ClusterRoles().Get(t.Context(), ref.Name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			b.rules = role.Rules
		}
		for _, subject := range subjects {
			b.users = append(b.users, "system:serviceaccount:"+subject.Namespace+":"+subject.Name)
		}
		list = append(list, b)
	}
	roleBindings, err := rbac.RoleBindings("").List(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range roleBindings.Items {
		add(b.Namespace, b.RoleRef, b.Subjects)
	}
	clusterRoleBindings, err := rbac.ClusterRoleBindings().List(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range clusterRoleBindings.Items {
		add("", b.RoleRef, b.Subjects)
	}
	return list
}

// onlyElsewhere are rights that the present API server gives no occasion for. Where it streams lists (WatchList, on by default
// from 1.34 on), client-go's reflector, which the plugin has, only watches.
var onlyElsewhere = map[string][]string{
	"multicluster:coredns": {"list endpointslices.discovery.k8s.io", "list serviceimports.multicluster.x-k8s.io"},
}

// check fails for what a role allows and nobody needed (SPEC X1).
func (u uses) check(t *testing.T) {
	t.Helper()
	if len(u) < 5 {
		t.Errorf("only %d roles were bound: %v", len(u), slices.Sorted(maps.Keys(u)))
	}
	for _, role := range slices.Sorted(maps.Keys(u)) {
		var used, idle []string
		for _, use := range slices.Sorted(maps.Keys(u[role])) {
			switch {
			case u[role][use]:
				used = append(used, use)
			case !slices.Contains(onlyElsewhere[role], use):
				idle = append(idle, use)
			}
		}
		t.Logf("%s: used: %s", role, strings.Join(used, ", "))
		if len(idle) > 0 {
			t.Errorf("%s allows what nobody did: %s", role, strings.Join(idle, ", "))
		}
	}
}

// restrict annotates the Secret of a member with the role that it has.
func (s *server) restrict(t *testing.T, member, role string) {
	t.Helper()
	patch := &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"annotations": map[string]any{"clusterset.dev/role": role}}}}
	body, err := patch.MarshalJSON()
	if err == nil {
		_, err = s.kube.CoreV1().Secrets(namespace).Patch(t.Context(), member, types.MergePatchType, body, metav1.PatchOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}
