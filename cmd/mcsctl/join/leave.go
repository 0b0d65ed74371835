package join

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/clusters"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Leave ends a membership: it deletes the Secrets that register id at home, whereupon the controller takes out all that came
// from there. With progress it says what it did.
func Leave(ctx context.Context, set *members.Set, id string, progress func(string, ...any)) error {
	if set.SecretsErr != nil {
		return set.SecretsErr
	}
	home, found := set.Home(), false
	for i := range set.Secrets {
		s := &set.Secrets[i]
		if s.Labels[clusters.LabelMember] != id {
			continue
		}
		found = true
		if err := announce(ctx, home, s); err != nil {
			return err
		}
		options := metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(s.UID))}
		if err := home.Kube.CoreV1().Secrets(s.Namespace).Delete(ctx, s.Name, options); err != nil && !apierrors.IsNotFound(err) {
			err = fmt.Errorf("deleting Secret %s/%s in %s: %w", s.Namespace, s.Name, home.Origin, err)
			return errors.Join(err, unannounce(ctx, home, s))
		}
		progress("%s: deleted Secret %s/%s", home.Origin, s.Namespace, s.Name)
		if s.Annotations[clusters.AnnotationRole] != "provider" {
			progress("%s: what was imported into it stays there as it is; to delete it there: %s", id, mcsapi.DeleteImported(set.ClusterSet()))
		}
	}
	if !found {
		var ids []string
		for i := range set.Secrets {
			ids = append(ids, set.Secrets[i].Labels[clusters.LabelMember])
		}
		return fmt.Errorf("no Secret in namespace %s of %s registers a member %s; registered are %s", set.Namespace, home.Origin, id, orNone(ids))
	}
	return nil
}

// announce marks a Secret as that of a member which is to leave, for the controller not to take its deletion for an accident.
// Who is only allowed to delete it goes without: the controller then believes it somewhat later.
func announce(ctx context.Context, home *members.Cluster, s *corev1.Secret) error {
	err := mark(ctx, home, s, "true")
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return fmt.Errorf("marking Secret %s/%s in %s: %w", s.Namespace, s.Name, home.Origin, err)
	}
	return nil
}

// unannounce takes the mark from a member that stays, also when ctx has ended: its deletion may be an accident again.
func unannounce(ctx context.Context, home *members.Cluster, s *corev1.Secret) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), home.Config.Timeout)
	defer cancel()
	err := mark(ctx, home, s, nil)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return fmt.Errorf("annotation %s stays on the Secret and has to go if the member stays: %w", clusters.AnnotationLeaving, err)
	}
	return nil
}

func mark(ctx context.Context, home *members.Cluster, s *corev1.Secret, leaving any) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": s.UID, "annotations": map[string]any{clusters.AnnotationLeaving: leaving},
	}})
	if err != nil {
		return err
	}
	_, err = home.Kube.CoreV1().Secrets(s.Namespace).Patch(ctx, s.Name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: FieldManager})
	return err
}

// RemoveIdentity deletes, in a cluster that left, what [Request.Do] made there, but for the namespace and the roles, which
// others may use.
func RemoveIdentity(ctx context.Context, c *members.Cluster, namespace string, progress func(string, ...any)) error {
	none := metav1.DeleteOptions{}
	remove := func(what string, err error) error {
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("deleting %s in %s: %w", what, c.Origin, err)
		}
		return nil
	}
	for _, name := range []string{"multicluster:provider-read", "multicluster:provider-export-status", "multicluster:provider:consumer"} {
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
