package join

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
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
// that is an error, unless from, the cluster that leaves, is known, and known to be no other member: then only its identity may be left.
func Leave(ctx context.Context, set *members.Set, id string, from *members.Cluster, progress func(string, ...any)) error {
	if set.SecretsErr != nil {
		return set.SecretsErr
	}
	home := set.Home()
	var secrets []*corev1.Secret
	var ids []string
	for i := range set.Secrets {
		s := &set.Secrets[i]
		ids = append(ids, s.Labels[registration.LabelMember])
		if s.Labels[registration.LabelMember] == id {
			secrets = append(secrets, s)
		}
	}
	nobody := fmt.Errorf("no Secret in namespace %s of %s registers a member %s; registered members: %s", set.Namespace, home.Origin, id, orNone(ids))
	if from == nil && len(secrets) == 0 {
		return fmt.Errorf("%w; to delete the identity that it may have left behind, add --from", nobody)
	}
	if from != nil {
		if err := otherMember(ctx, set, id, from, len(secrets) > 0); err != nil {
			if len(secrets) == 0 {
				err = fmt.Errorf("%w; %w", nobody, err)
			}
			return err
		}
	}
	if len(secrets) == 0 {
		progress("%s: %s is not registered (any longer); registered members: %s", home.Origin, id, orNone(ids))
	}
	for _, s := range secrets {
		if err := unregister(ctx, home, s); err != nil {
			return err
		}
		progress("%s: deleted Secret %s/%s", home.Origin, s.Namespace, s.Name)
		if s.Annotations[registration.AnnotationRole] != "provider" {
			progress("%s: what was imported into it stays there as it is; to delete it there: %s", id, deleteImported(set, id, from))
		}
	}
	return leftBehind(ctx, set, id, progress)
}

// deleteImported is the command that deletes what was imported into a cluster. Without a Deployment the name of the clusterset is not
// known, and another's imports may be there, too.
func deleteImported(set *members.Set, id string, from *members.Cluster) shell.Text {
	name, flags := "CLUSTERSET", (&members.Cluster{ID: id, Registered: true}).Flags()
	if set.Controller != nil {
		name = set.ClusterSet()
	}
	if from != nil {
		flags = from.Flags()
	}
	return shell.Text(mcsapi.DeleteImported(name)) + flags
}

// fromFlags name the cluster that leaves.
func fromFlags(set *members.Set, from *members.Cluster) shell.Text {
	flags := shell.Command(" --from %s", from.Context)
	if from.Kubeconfig != "" && from.Kubeconfig != set.Home().Kubeconfig {
		flags += shell.Command(" --from-kubeconfig %s", from.Kubeconfig)
	}
	return flags
}

// otherMember says why a cluster is not the one whose identity a leaving member has left: the identity of another member, which stays,
// must not be deleted. Where id is registered, its API server may be gone, so what is not known is no obstacle then.
func otherMember(ctx context.Context, set *members.Set, id string, from *members.Cluster, registered bool) error {
	uid, _ := from.UID(ctx) // "" is not known
	as, unknown := registeredAs(id, uid, membersOf(ctx, set))
	switch {
	case as != "":
		return fmt.Errorf("%s is registered as %s: %s", from.Origin, as, shell.At(set.Registering(), "mcsctl leave %s", as)+fromFlags(set, from))
	case len(unknown) > 0 && !registered:
		return fmt.Errorf("%s may be registered under another id: it can't be compared with %s; if it is none of them, delete its identity: %s",
			from.Origin, orNone(unknown), DeleteIdentity(from, set.Namespace))
	}
	return nil
}

// member is a registered one, with the UID of its cluster, "" where that is not known.
type member struct {
	id  string
	uid types.UID
}

// membersOf are the registered members. The home is one of them where it joined itself: its Secret is that of no other cluster then.
func membersOf(ctx context.Context, set *members.Set) (list []member) {
	var wg sync.WaitGroup
	registered := 0
	for _, m := range set.Clusters {
		if m.Registered {
			registered++
		}
	}
	list = make([]member, 0, len(set.Clusters))
	for _, m := range set.Clusters {
		if !m.Registered && (!m.Home || registered == len(set.Secrets)) {
			continue
		}
		list = append(list, member{id: m.ID})
		of := &list[len(list)-1]
		if m.Err == nil && m.Kube != nil { // one at the address that only the home's pods have was never connected to
			wg.Go(func() { of.uid, _ = m.UID(ctx) })
		}
	}
	wg.Wait()
	return list
}

// registeredAs is an id other than the given one under which a cluster is registered, "" if there is none, and the ids of which nobody can
// tell.
func registeredAs(id string, uid types.UID, list []member) (as string, unknown []string) {
	for _, m := range list {
		switch {
		case m.id == id:
		case m.uid == "" || uid == "":
			unknown = append(unknown, m.id)
		case m.uid == uid:
			return m.id, nil
		}
	}
	return "", unknown
}

// leftBehind reports what came from a member that left, where no controller runs that would delete it.
func leftBehind(ctx context.Context, set *members.Set, id string, progress func(string, ...any)) error {
	home := set.Home()
	controller := finding.ControllerOf(set, set.Leases(ctx), time.Now())
	controller.Registered = 1 // it was, so a controller is needed
	steps := controller.Runs()
	if steps[len(steps)-1].Verdict != finding.Wrong {
		return nil
	}
	list, err := home.Slices(ctx, metav1.NamespaceAll, mcsapi.LabelSourceCluster, id)
	if err != nil || len(list) == 0 {
		return nil // what can't be read here is not this cluster's to delete
	}
	stays := fmt.Sprintf("warning: no controller runs, so what %s exported stays in %s (EndpointSlices: %d) until the controller runs", id, home.Origin, len(list))
	if set.Controller != nil && set.Controller.Replicas == 0 {
		progress("%s", stays)
		return nil
	}
	progress("%s; to delete it without one: %s", stays, shell.At(home.Flags(), "kubectl delete endpointslices -A -l %s=%s", mcsapi.LabelSourceCluster, id))
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
