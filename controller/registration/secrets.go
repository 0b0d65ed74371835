package registration

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/clusterset/multicluster/controller/mirror"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// What a Secret that registers a member carries.
const (
	// LabelMember marks the Secret; its value is the cluster id. An empty value is filled in with the id that the
	// cluster's ClusterProperty gives at first contact.
	LabelMember = mcsapi.Domain + "/member"
	// AnnotationRole is "provider", "consumer", or "both", which is also what its absence means.
	AnnotationRole = mcsapi.Domain + "/role"
	// AnnotationLeaving marks a Secret that is about to be deleted because its member is to leave, so that the deletion is no
	// accident, whatever else is deleted with it.
	AnnotationLeaving = mcsapi.Domain + "/leaving"
	// KeyKubeconfig is the key of the Secret's data that holds the kubeconfig.
	KeyKubeconfig = "kubeconfig"
)

// Secrets is a [Source] of the Secrets of one namespace that carry [LabelMember]: one member each (DESIGN 4).
type Secrets struct {
	Client    kubernetes.Interface
	Namespace string
	// Registration is what the members have in common; their roles are what a Secret's annotation may restrict.
	Registration Registration
	Log          *slog.Logger
}

// Run implements [Source]. A Secret that was deleted is a member that left (SPEC L3), once the namespace is known to stay: its
// deletion deletes all that is in it while this controller still runs, and is nobody's wish that endpoints be withdrawn. Nor is
// it believed at once that all members left (SPEC L6).
func (s Secrets) Run(ctx context.Context, update func([]Registration)) error {
	wake := make(chan struct{}, 1)
	look := func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
	secrets := mirror.NewStore(nil, func(_, _ *corev1.Secret) { look() })
	secrets.Live.Store(true)
	secrets.Doubt.Of, secrets.Doubt.Hold = stays, holdAbsences
	secrets.DoubtRemovals(func() {}) // the next tick looks
	home := &homeNamespace{secrets: s}
	if err := home.stays(ctx); err != nil {
		orDiscard(s.Log).Warn("the own namespace can't be read", "namespace", s.Namespace, "err", err)
	}
	f := mirror.NewFeed(s.kind(), secrets, look)
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	defer running.Wait()

	ticks := time.NewTicker(confirmEvery)
	defer ticks.Stop()
	var last map[string]Registration
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
			s.confirm(ctx, f, home)
			continue
		case <-wake:
		}
		state := f.State()
		if state.Err != nil && !failed {
			orDiscard(s.Log).Error("the Secrets of members can't be read; the members stay as they are",
				"namespace", s.Namespace, "err", state.Err)
		}
		failed = state.Err != nil
		if !state.Synced {
			continue
		}
		regs := s.registrations(secrets, last)
		if now := byOrigin(regs); last == nil || !sameRegistrations(last, now) {
			last = now
			update(regs)
		}
	}
}

// stays says whether a Secret is not marked as that of a member which is to leave.
func stays(secret *corev1.Secret) bool { return secret.Annotations[AnnotationLeaving] == "" }

// confirm lets go of Secrets that were deleted if it is they that were, and not the namespace, and not all at once. For as long
// as the namespace is not known to stay, nothing is let go, however long ago that was.
func (s Secrets) confirm(ctx context.Context, f *mirror.Feed[*corev1.Secret], home *homeNamespace) {
	deleted, all, last := f.Store.Unconfirmed()
	asked := time.Now()
	switch {
	case deleted == 0 && f.Store.Doubted() == 0:
		home.logged = false
		return
	case deleted > 0 && asked.Sub(last) < vanishing:
		return // there may be more
	}
	if err := home.stays(ctx); err != nil {
		if !home.logged {
			home.logged = true
			orDiscard(s.Log).Error("Secrets of members are deleted, as it seems with their namespace; the members stay as they are",
				"namespace", s.Namespace, "secrets", max(deleted, f.Store.Doubted()), "err", err)
		}
		return
	}
	if vanished(deleted, all) {
		orDiscard(s.Log).Error("the Secrets of all members are deleted at once; that is believed if they stay away",
			"namespace", s.Namespace, "secrets", deleted, "for", f.Store.Doubt.Hold)
		f.Store.Suspect()
	}
	mirror.Settle(f, asked)
}

// confirmEvery is the time between two looks at what was deleted.
const confirmEvery = 250 * time.Millisecond

// vanishing is how long deletions of Secrets may lie apart that count as one.
const vanishing = time.Second

// vanished says whether so many of all members' Secrets were deleted together that somebody may have meant something else.
func vanished(deleted, all int) bool { return deleted > 1 && deleted == all }

// homeNamespace is the namespace of the Secrets, as far as this controller may ask for it.
type homeNamespace struct {
	secrets Secrets
	// allowed says that it was allowed to. When it no longer is, the right went with the namespace.
	allowed bool
	logged  bool
}

// stays says why the namespace is not known to stay; it is taken to stay where it was never allowed to ask.
func (h *homeNamespace) stays(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, namespaceTimeout)
	defer cancel()
	ns, err := h.secrets.Client.CoreV1().Namespaces().Get(ctx, h.secrets.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err) && !h.allowed:
		return nil
	case err != nil:
		return err
	}
	h.allowed = true
	if ns.DeletionTimestamp != nil {
		return errors.New("it is being deleted")
	}
	return nil
}

// namespaceTimeout is how long the question for the namespace may take; meanwhile, changes of members wait.
const namespaceTimeout = 5 * time.Second

func (s Secrets) kind() mirror.Kind[*corev1.Secret] {
	return mirror.Kind[*corev1.Secret]{
		Resource: "secrets",
		Source: func(string) follow.Source {
			return &follow.REST{Client: s.Client.CoreV1().RESTClient(), Resource: "secrets", Namespace: s.Namespace, Selector: LabelMember}
		},
		Trim: func(o *corev1.Secret) {
			o.ManagedFields = nil
			delete(o.Annotations, corev1.LastAppliedConfigAnnotation)
		},
	}
}

// Registered is what a Secret with [LabelMember] says of a member, as a controller reads it: a program for people that
// looks at the same Secrets judges them by the same rules. Roles are both unless the Secret restricts them, Pin is nil.
func Registered(secret *corev1.Secret) Registration {
	return Secrets{Registration: Registration{Provider: true, Consumer: true, ExportStatus: true}}.registration(secret)
}

func (s Secrets) registrations(secrets *mirror.Store[*corev1.Secret], last map[string]Registration) []Registration {
	var list []*corev1.Secret
	secrets.Each(func(_ types.NamespacedName, secret *corev1.Secret) { list = append(list, secret) })
	slices.SortFunc(list, func(a, b *corev1.Secret) int { // of two with one id the older one has it, also after a restart
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	var regs []Registration
	for _, secret := range list {
		reg := s.registration(secret)
		reg.Pin = func(ctx context.Context, id string) error { return s.pin(ctx, secrets, secret, id) }
		if held, ok := last[reg.Origin]; ok && sameRegistration(held, reg) {
			reg = held
		}
		regs = append(regs, reg)
	}
	return regs
}

// registration reads one Secret. What is wrong with it is in the registration's Err, which never quotes its data.
func (s Secrets) registration(secret *corev1.Secret) Registration {
	reg := s.Registration
	reg.ID, reg.Registered = secret.Labels[LabelMember], secret.CreationTimestamp.Time
	reg.Origin = fmt.Sprintf("Secret %s/%s", secret.Namespace, secret.Name)
	if err := applyRole(&reg, secret.Annotations[AnnotationRole]); err != nil {
		reg.Err = fmt.Errorf("%s: %w", reg.Origin, err)
		return reg
	}
	limits, err := limitsOf(secret)
	if err != nil {
		reg.Err = fmt.Errorf("%s: %w", reg.Origin, err)
		return reg
	}
	reg.Limits = limits
	content, ok := secret.Data[KeyKubeconfig]
	if !ok {
		reg.Err = fmt.Errorf("%s: no key %q; it has %s; want a kubeconfig under that key", reg.Origin, KeyKubeconfig, names(secret.Data))
		return reg
	}
	cfg, revision, err := kubeconfigData(content)
	if err != nil {
		reg.Err = fmt.Errorf("%s: key %q: %w", reg.Origin, KeyKubeconfig, err)
		return reg
	}
	reg.Config, reg.Revision = cfg, revision
	return reg
}

func applyRole(reg *Registration, role string) error {
	switch role {
	case "", "both":
	case "provider":
		reg.Consumer = false
	case "consumer":
		reg.Provider, reg.ExportStatus = false, false
	default:
		return fmt.Errorf("annotation %s is %q; want provider, consumer or both", AnnotationRole, role)
	}
	return nil
}

// pin writes an id, learnt with the kubeconfig of a Secret, into its label, if it is still that Secret and without an id. It may
// have other labels and annotations by now.
func (s Secrets) pin(ctx context.Context, secrets *mirror.Store[*corev1.Secret], asked *corev1.Secret, id string) error {
	now := secrets.Get(mirror.KeyOf(asked))
	if now == nil || now.UID != asked.UID || now.Labels[LabelMember] != "" || !bytes.Equal(now.Data[KeyKubeconfig], asked.Data[KeyKubeconfig]) {
		return fmt.Errorf("pinning the id in Secret %s/%s: it is another one by now", asked.Namespace, asked.Name)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": now.UID, "resourceVersion": now.ResourceVersion, "labels": map[string]string{LabelMember: id},
	}})
	if err != nil {
		return err
	}
	_, err = s.Client.CoreV1().Secrets(s.Namespace).Patch(ctx, now.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
