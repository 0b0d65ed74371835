package exporting

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/rules"
)

// deniedFor is how long nothing is exported in a namespace after the cluster refused to. Not every member needs to permit it.
const deniedFor = 5 * time.Minute

// reconcile does what the rules say of a name.
func (l *lane) reconcile(ctx context.Context, key types.NamespacedName) error {
	limits := l.member.Registration().Limits
	if !l.member.ProviderSynced() || !limits.MayExport(key.Namespace) {
		return nil // its event will come
	}
	export := l.member.Export(key)
	if l.x.rules.Made(export) && l.member.ExportDoubted(key) {
		export = nil // it went with its CRD, say, and is to come back before anybody takes it for withdrawn; if it is there, it stays
	}
	ns := l.namespaces.get(types.NamespacedName{Name: key.Namespace})
	if ns == nil {
		return nil // its event will come
	}
	rule, err := l.rule(ns)
	if err != nil {
		return nil // told when the namespace was seen
	}
	service := l.service(key, rule)
	verdict, why := l.x.rules.Decide(ns, rule, service, export)
	if l.x.rules.Made(export) && (service == nil || verdict == rules.Delete) {
		if !l.settled(key.Namespace) {
			return nil // it is looked at again when that is so
		}
		if ns, service, err = l.look(ctx, key); err != nil || ns == nil {
			return err
		}
		if rule, err = l.rule(ns); err != nil {
			return nil // likewise
		}
		verdict, why = l.x.rules.Decide(ns, rule, service, export)
	}
	switch verdict {
	case rules.Create:
		return l.create(ctx, l.x.rules.Export(service), why)
	case rules.Delete:
		return l.delete(ctx, export, why)
	}
	return nil
}

// look asks the API server for the namespace and Service of a name, nil where there is none.
func (l *lane) look(ctx context.Context, key types.NamespacedName) (*corev1.Namespace, *corev1.Service, error) {
	ns, err := l.kube.CoreV1().Namespaces().Get(ctx, key.Namespace, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("looking at namespace %s in cluster %s: %w", key.Namespace, l.member.ID(), err)
	}
	service, err := l.kube.CoreV1().Services(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ns, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("looking at Service %s in cluster %s: %w", key, l.member.ID(), err)
	}
	return ns, service, nil
}

// client writes exports; nil while they are not served, or once the member has other credentials. Those may be of another
// cluster, of which this lane knows nothing; a lane of theirs is on its way.
func (l *lane) client() rest.Interface {
	client := l.member.Exports()
	if l.member.Kube() != l.kube { // read last: connections only move on
		return nil
	}
	return client
}

// create makes an export. What is written here is not overlaid on what the member shows, as the engine does with its own
// writes: the engine is to see this as it sees what people write.
func (l *lane) create(ctx context.Context, export *mcs.ServiceExport, why string) error {
	key := types.NamespacedName{Namespace: export.Namespace, Name: export.Name}
	client := l.client()
	if client == nil {
		return nil // an event will come
	}
	if wait := time.Until(l.deniedUntil(key.Namespace)); wait > 0 {
		l.queue.AddAfter(key, wait)
		return nil
	}
	err := client.Post().Namespace(export.Namespace).Resource(mcs.ServiceExportPluralName).Body(export).Do(ctx).Error()
	switch {
	case apierrors.IsAlreadyExists(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return nil
	case apierrors.IsForbidden(err):
		l.deny(key, err)
		return nil
	case err != nil:
		return fmt.Errorf("creating ServiceExport %s in cluster %s (%s): %w", key, l.member.ID(), why, err)
	}
	l.mu.Lock()
	delete(l.denied, key.Namespace)
	l.mu.Unlock()
	l.x.log.Info("exported by rule", "cluster", l.member.ID(), "service", key.String(), "reason", why)
	return nil
}

// deniedUntil is until when nothing is exported in a namespace.
func (l *lane) deniedUntil(namespace string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.denied[namespace]
}

// deny notes that an export was refused, and says so once per namespace: what one is refused all are.
func (l *lane) deny(key types.NamespacedName, refusal error) {
	if l.deniedUntil(key.Namespace).IsZero() {
		l.x.log.Warn("nothing is exported by rule in a namespace: this cluster refuses it", "cluster", l.member.ID(), "namespace", key.Namespace,
			"service", key.Name, "err", refusal, "tried again in", deniedFor.String())
	}
	l.mu.Lock()
	if l.namespaces.get(types.NamespacedName{Name: key.Namespace}) != nil { // or nobody would tell that it is gone
		l.denied[key.Namespace] = time.Now().Add(deniedFor)
	}
	l.mu.Unlock()
	l.queue.AddAfter(key, deniedFor)
}

// delete takes back an export, as it was when that was decided.
func (l *lane) delete(ctx context.Context, export *mcs.ServiceExport, why string) error {
	client := l.client()
	if client == nil {
		return nil
	}
	uid, version := export.UID, export.ResourceVersion
	err := client.Delete().Namespace(export.Namespace).Resource(mcs.ServiceExportPluralName).Name(export.Name).Body(&metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version},
	}).Do(ctx).Error()
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("deleting ServiceExport %s/%s in cluster %s (%s): %w", export.Namespace, export.Name, l.member.ID(), why, err)
	}
	l.x.log.Info("withdrawn by rule", "cluster", l.member.ID(), "service", export.Namespace+"/"+export.Name, "reason", why)
	return nil
}
