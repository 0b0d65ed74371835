package join

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/shell"
)

// plan is what joining applies in the cluster that joins, and then at home, each in this order. The Secret that registers the
// cluster is the last at home; it is made by [Request.registration], once there is a token.
type plan struct{ there, home []*unstructured.Unstructured }

// plan checks the request, and finds out what there is to apply.
func (r *Request) plan(ctx context.Context) (p plan, err error) {
	if err := r.Check(ctx); err != nil {
		return p, err
	}
	identity, err := Identity(r.Set.Namespace, r.fleet())
	if err != nil {
		return p, err
	}
	prepare := func(c *members.Cluster) (missing []*unstructured.Unstructured, err error) {
		if r.CRDs {
			if missing, err = missingCRDs(ctx, c); err != nil {
				return nil, err
			}
		}
		there, err := hasNamespace(ctx, c, r.Set.Namespace)
		if !there {
			missing = append(missing, identity[:1]...)
		}
		return missing, err
	}
	if p.there, err = prepare(r.From); err != nil {
		return p, err
	}
	p.there = append(p.there, identity[1:]...)
	home := r.Set.Home()
	if uid, err := home.UID(ctx); err == nil && uid != "" && uid == r.uid {
		return p, nil // a hub that joins itself has all that by then
	}
	p.home, err = prepare(home)
	return p, err
}

// hasNamespace says whether a cluster has a namespace. One that is there stays as it is, with the labels that somebody gave it.
func hasNamespace(ctx context.Context, c *members.Cluster, name string) (bool, error) {
	ns, err := c.Kube.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return false, nil
	case apierrors.IsForbidden(err):
		return true, nil // without permission to read it, there is none to create it
	case err != nil:
		return false, fmt.Errorf("reading namespace %s of %s: %s", name, c.Origin, members.Brief(err))
	case ns.DeletionTimestamp != nil:
		return false, fmt.Errorf("namespace %s of %s is being deleted; want to wait until it is gone: %s", name, c.Origin,
			shell.At(c.Flags(), "kubectl get namespace %s", name))
	}
	return true, nil
}

// Do makes the cluster a member. It may be done again: what is there already stays, or is brought up to date. When it fails,
// what it created is deleted again.
func (r *Request) Do(ctx context.Context) error {
	p, err := r.plan(ctx)
	if err != nil {
		return err
	}
	var made created
	if err := r.carryOut(ctx, p, &made); err != nil {
		made.undo(ctx, r.Progress)
		return err
	}
	return nil
}

func (r *Request) carryOut(ctx context.Context, p plan, made *created) error {
	r.Progress("%s: making the identity %s/%s", r.From.Origin, r.Set.Namespace, account)
	if err := r.applyAll(ctx, r.From, p.there, made); err != nil {
		return err
	}
	r.Progress("%s: waiting for its token", r.From.Origin)
	token, err := r.token(ctx)
	if err != nil {
		return err
	}
	r.Progress("%s: trying it", r.From.Origin)
	if err := r.try(ctx, token); err != nil {
		return err
	}
	secret, err := r.registration(token)
	if err != nil {
		return err
	}
	home := r.Set.Home()
	r.Progress("%s: registering %s by Secret %s/%s", home.Origin, r.ID, r.Set.Namespace, r.ID)
	if r.declared != "" {
		r.Progress("%s: endpoints must be in %s (%s); --endpoint-cidrs changes it", r.ID, r.limits[registration.LimitEndpointCIDRs], r.declared)
	}
	return r.applyAll(ctx, home, append(p.home, secret), made)
}

// applyAll applies objects, each once those before it are in use.
func (r *Request) applyAll(ctx context.Context, c *members.Cluster, objects []*unstructured.Unstructured, made *created) error {
	for _, object := range objects {
		if err := apply(ctx, c, object, made); err != nil {
			return fmt.Errorf("applying %s in %s: %w", named(object), c.Origin, err)
		}
		if object.GetKind() != kindCRD {
			continue
		}
		r.Progress("%s: installed CRD %s", c.Origin, object.GetName())
		err := r.await(ctx, func(ctx context.Context) error {
			_, err := objectsOf(ctx, c, object, metav1.NamespaceDefault)
			return err
		})
		if err != nil {
			return fmt.Errorf("%s does not serve %s within %s after its CRD was installed: %w", c.Origin, object.GetName(), r.Wait, err)
		}
	}
	return nil
}

// await tries something until it succeeds, and returns the last error if it never does.
func (r *Request) await(ctx context.Context, try func(context.Context) error) (last error) {
	err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, r.Wait, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if last == nil {
		return err
	}
	return last
}

const (
	kindCRD       = "CustomResourceDefinition"
	kindNamespace = "Namespace"
)

// apply applies one object, server-side, and notes it if it was not there before.
func apply(ctx context.Context, c *members.Cluster, object *unstructured.Unstructured, made *created) error {
	client, err := clientFor(c, object)
	if err != nil {
		return err
	}
	_, before := client.Get(ctx, object.GetName(), metav1.GetOptions{})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Who is interrupted in the middle of it would not know what was created.
	applied, err := client.Apply(context.WithoutCancel(ctx), object.GetName(), object, metav1.ApplyOptions{FieldManager: FieldManager, Force: object.GetKind() == "Secret"})
	if err == nil && apierrors.IsNotFound(before) {
		*made = append(*made, creation{c, object, applied.GetUID()})
	}
	return err
}

func clientFor(c *members.Cluster, object *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	client, err := dynamic.NewForConfigAndClient(c.Config, c.Client.HTTP)
	if err != nil {
		return nil, err
	}
	resource, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if object.GetNamespace() == "" {
		return client.Resource(resource), nil
	}
	return client.Resource(resource).Namespace(object.GetNamespace()), nil
}

// named names an object for people.
func named(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetKind() + " " + object.GetName()
	}
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// token waits until the cluster has issued the identity's token.
func (r *Request) token(ctx context.Context) (token string, err error) {
	err = r.await(ctx, func(ctx context.Context) error {
		s, err := r.From.Kube.CoreV1().Secrets(r.Set.Namespace).Get(ctx, tokenSecret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if token = string(s.Data[corev1.ServiceAccountTokenKey]); token == "" {
			return fmt.Errorf("%s issued no token for Secret %s/%s within %s; does its kube-controller-manager run?", r.From.Origin, r.Set.Namespace, tokenSecret, r.Wait)
		}
		return nil
	})
	return token, err
}

// registration is the Secret that makes the cluster a member.
func (r *Request) registration(token string) (*unstructured.Unstructured, error) {
	content, err := kubeconfig(r.ID, r.path, token)
	if err != nil {
		return nil, err
	}
	s := Registration(r.Set.Namespace, r.ID, r.role(), r.PodCIDRs, content)
	r.annotate(s)
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
	return &unstructured.Unstructured{Object: object}, err
}

// DryRun returns what [Request.Do] would apply, as YAML, with a placeholder for the token.
func (r *Request) DryRun(ctx context.Context) (string, error) {
	p, err := r.plan(ctx)
	if err != nil {
		return "", err
	}
	secret, err := r.registration(fmt.Sprintf("<the token of Secret %s/%s of the cluster that joins>", r.Set.Namespace, tokenSecret))
	if err != nil {
		return "", err
	}
	if err := readable(secret); err != nil {
		return "", err
	}
	var b strings.Builder
	for _, part := range []struct {
		title   string
		objects []*unstructured.Unstructured
	}{
		{fmt.Sprintf("# In %s, the cluster that joins:\n", r.From.Origin), p.there},
		{fmt.Sprintf("# In %s, where the controller looks for members:\n", r.Set.Home().Origin), append(p.home, secret)},
	} {
		b.WriteString(part.title)
		for _, object := range part.objects {
			text, err := yaml.Marshal(object.Object)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "---\n%s", text)
		}
	}
	return b.String(), nil
}

// readable replaces a Secret's data by stringData, which means the same.
func readable(secret *unstructured.Unstructured) error {
	var s corev1.Secret
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(secret.Object, &s); err != nil {
		return err
	}
	text := map[string]any{}
	for key, value := range s.Data {
		text[key] = string(value)
	}
	delete(secret.Object, "data")
	secret.Object["stringData"] = text
	return nil
}
