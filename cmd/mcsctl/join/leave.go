package join

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Leave ends a membership: it deletes the Secrets that register id at home, whereupon the controller takes out all that came
// from there. With progress it says what it did, and what stays because no controller runs any longer. Where no Secret registers id,
// that is an error, unless from says that the cluster itself is known: then only its identity may be left.
func Leave(ctx context.Context, set *members.Set, id string, from *members.Cluster, progress func(string, ...any)) error {
	if set.SecretsErr != nil {
		return set.SecretsErr
	}
	home, found := set.Home(), false
	for i := range set.Secrets {
		s := &set.Secrets[i]
		if s.Labels[registration.LabelMember] != id {
			continue
		}
		found = true
		if err := unregister(ctx, home, s); err != nil {
			return err
		}
		progress("%s: deleted Secret %s/%s", home.Origin, s.Namespace, s.Name)
		if s.Annotations[registration.AnnotationRole] != "provider" {
			progress("%s: what was imported into it stays there as it is; to delete it there: %s", id, shell.Text(mcsapi.DeleteImported(set.ClusterSet()))+(&members.Cluster{ID: id, Registered: true}).Flags())
		}
	}
	if !found {
		var ids []string
		for i := range set.Secrets {
			ids = append(ids, set.Secrets[i].Labels[registration.LabelMember])
		}
		err := fmt.Errorf("no Secret in namespace %s of %s registers a member %s; registered members: %s", set.Namespace, home.Origin, id, orNone(ids))
		if from == nil {
			return fmt.Errorf("%w; to delete the identity that it may have left behind, add --from", err)
		}
		if as := registeredAs(ctx, set, from); as != "" {
			return fmt.Errorf("%w; %s is registered as %s: %s", err, from.Origin, as, shell.At(set.Look(), "mcsctl leave %s", as)+fromFlags(set, from))
		}
		progress("%s: %s is not registered (any longer); registered members: %s", home.Origin, id, orNone(ids))
	}
	return leftBehind(ctx, set, id, progress)
}

// fromFlags name the cluster that leaves.
func fromFlags(set *members.Set, from *members.Cluster) shell.Text {
	flags := shell.Command(" --from %s", from.Context)
	if from.Kubeconfig != "" && from.Kubeconfig != set.Home().Kubeconfig {
		flags += shell.Command(" --from-kubeconfig %s", from.Kubeconfig)
	}
	return flags
}

// registeredAs is the id under which a cluster is registered, "" if it is not, or nobody can tell.
func registeredAs(ctx context.Context, set *members.Set, c *members.Cluster) string {
	uid, err := c.UID(ctx)
	if err != nil || uid == "" {
		return ""
	}
	for _, m := range set.Clusters {
		if m.Err != nil || !m.Registered {
			continue
		}
		if is, err := m.UID(ctx); err == nil && is == uid {
			return m.ID
		}
	}
	return ""
}

// leftBehind reports what came from a member that left, where no controller runs that would delete it.
func leftBehind(ctx context.Context, set *members.Set, id string, progress func(string, ...any)) error {
	home := set.Home()
	controller := finding.Controller{Deployed: set.Controller, Leases: set.Leases(ctx), Registered: 1, Namespace: set.Namespace, Flags: set.Flags(), Now: time.Now()}
	steps := controller.Runs()
	if steps[len(steps)-1].Verdict != finding.Wrong {
		return nil
	}
	list, err := home.Slices(ctx, metav1.NamespaceAll, mcsapi.LabelSourceCluster, id)
	if err != nil || len(list) == 0 {
		return nil // what can't be read here is not this cluster's to delete
	}
	progress("warning: no controller runs, so what %s exported stays in %s (EndpointSlices: %d) until one does; to delete it without one, with the imports of all other members: %s",
		id, home.Origin, len(list), shell.Text(mcsapi.DeleteImported(set.ClusterSet()))+home.Flags())
	return nil
}

// Unmarking is how long it may take to remove the mark from a Secret that could not be deleted.
const Unmarking = 5 * time.Second

// unregister marks a Secret as that of a member which is to leave, so that the controller does not take the deletion for an
// accident, and deletes it. The mark does not outlive a failure: otherwise the controller would take a later accident, such as
// the deletion of the namespace, for the member's leaving (SPEC L6). Who is only allowed to delete the Secret goes without
// the mark: the controller then believes the deletion somewhat later.
func unregister(ctx context.Context, home *members.Cluster, s *corev1.Secret) error {
	doing, err := "marking", mark(ctx, home, s, "true")
	forbidden := apierrors.IsForbidden(err)
	if err == nil || forbidden || apierrors.IsNotFound(err) {
		options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))}
		doing, err = "deleting", home.Kube.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, options)
	}
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	err = fmt.Errorf("%s Secret %s/%s in %s: %w", doing, s.Namespace, s.Name, home.Origin, err)
	if forbidden {
		return err // it was not marked
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), Unmarking)
	defer cancel()
	switch unmarked := mark(ctx, home, s, nil); {
	case apierrors.IsNotFound(unmarked):
		return nil // it was deleted, though nobody heard so
	case apierrors.IsConflict(unmarked):
		return err // another Secret has the name by now, which was never marked
	case unmarked != nil:
		return fmt.Errorf("%w; annotation %s stays on it (%s), so that its deletion, for whatever reason, means that the member leaves; to remove it: %s",
			err, registration.AnnotationLeaving, members.Brief(unmarked),
			shell.At(home.Flags(), "kubectl annotate secret -n %s %s %s-", s.Namespace, s.Name, registration.AnnotationLeaving))
	}
	return fmt.Errorf("%w; annotation %s, which announced that, was removed again", err, registration.AnnotationLeaving)
}

// mark sets the annotation that announces a leave, or removes it if value is nil, if the Secret is still the same.
func mark(ctx context.Context, home *members.Cluster, s *corev1.Secret, value any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": s.UID, "annotations": map[string]any{registration.AnnotationLeaving: value},
	}})
	if err != nil {
		return err
	}
	_, err = home.Kube.CoreV1().Secrets(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	return err
}

// DeleteIdentity is the command that does what [RemoveIdentity] does.
func DeleteIdentity(c *members.Cluster, namespace string) shell.Text {
	objects := shell.Text("")
	for _, name := range identityBindings {
		objects += shell.Command(" clusterrolebinding/%s", name)
	}
	return shell.At(objects+shell.Command(" rolebinding/%s secret/%s serviceaccount/%s", leasesBinding, tokenSecret, account)+c.Flags(),
		"kubectl delete --ignore-not-found -n %s", namespace)
}

// identityBindings are the ClusterRoleBindings of the identity.
var identityBindings = []string{"multicluster:provider-read", "multicluster:provider-export-status", "multicluster:provider:consumer"}

// RemoveIdentity deletes, in a cluster that left, what [Request.Do] made there, but for the namespace and the roles, which
// others may use.
func RemoveIdentity(ctx context.Context, c *members.Cluster, namespace string, progress func(string, ...any)) error {
	none, some := metav1.DeleteOptions{}, false
	remove := func(what string, err error) error {
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s in %s: %s; the identity, or a part of it, is still there; to delete it: %s", what, c.Origin, members.Brief(err), DeleteIdentity(c, namespace))
		}
		some = some || err == nil
		return nil
	}
	for _, name := range identityBindings {
		if err := remove("ClusterRoleBinding "+name, c.Kube.RbacV1().ClusterRoleBindings().Delete(ctx, name, none)); err != nil {
			return err
		}
	}
	if err := remove("RoleBinding "+leasesBinding, c.Kube.RbacV1().RoleBindings(namespace).Delete(ctx, leasesBinding, none)); err != nil {
		return err
	}
	if err := remove("Secret "+tokenSecret, c.Kube.CoreV1().Secrets(namespace).Delete(ctx, tokenSecret, none)); err != nil {
		return err
	}
	if err := remove("ServiceAccount "+account, c.Kube.CoreV1().ServiceAccounts(namespace).Delete(ctx, account, none)); err != nil {
		return err
	}
	if !some {
		progress("%s: there is no identity %s/%s (any longer)", c.Origin, namespace, account)
		return nil
	}
	progress("%s: deleted the identity %s/%s and its bindings", c.Origin, namespace, account)
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}
