package main

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// replay is what one import took in one cluster, as plain requests in the order of SPEC I8, under another namespace.
type replay struct {
	m       *member
	created *mcs.ServiceImport // as it was created: without addresses and status
	slices  []discoveryv1.EndpointSlice
	derived *corev1.Service
	status  []byte
	export  string // name of the export whose status is written; none in the consumer
	verdict []byte
}

func newReplay(ctx context.Context, m *member, name string, provider bool) (*replay, error) {
	i := &mcs.ServiceImport{}
	if err := m.mcs.Get().Namespace(namespace).Resource(mcs.ServiceImportPluralName).Name(name).Do(ctx).Into(i); err != nil {
		return nil, err
	}
	derived, err := m.kube.CoreV1().Services(namespace).Get(ctx, i.Annotations[mcsapi.AnnotationDerivedService], metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	list, err := m.kube.DiscoveryV1().EndpointSlices(namespace).List(ctx, metav1.ListOptions{LabelSelector: mcsapi.LabelServiceName + "=" + name})
	if err != nil {
		return nil, err
	}
	r := &replay{m: m, slices: list.Items}
	r.status, _ = json.Marshal(map[string]any{"status": i.Status})
	r.created = &mcs.ServiceImport{ObjectMeta: bare(i), Spec: i.Spec}
	r.created.Spec.IPs, r.created.Spec.IPFamilies = nil, nil
	// Another label than the controller's: nothing of this is its own.
	r.derived = &corev1.Service{ObjectMeta: bare(derived), Spec: corev1.ServiceSpec{
		Ports: derived.Spec.Ports, IPFamilies: derived.Spec.IPFamilies, IPFamilyPolicy: derived.Spec.IPFamilyPolicy,
		SessionAffinity: derived.Spec.SessionAffinity, InternalTrafficPolicy: derived.Spec.InternalTrafficPolicy,
	}}
	for n := range r.slices {
		r.slices[n].ObjectMeta = bare(&r.slices[n])
	}
	if provider {
		e := &mcs.ServiceExport{}
		if err := m.mcs.Get().Namespace(namespace).Resource(mcs.ServiceExportPluralName).Name(name).Do(ctx).Into(e); err != nil {
			return nil, err
		}
		r.export = name
		for c := range e.Status.Conditions {
			e.Status.Conditions[c].Message += "." // a write that changes nothing is none
		}
		r.verdict, _ = json.Marshal(map[string]any{"status": e.Status})
	}
	return r, nil
}

// bare is the metadata that an object of the loop starts with: as long as the controller's, but not its own.
func bare(o metav1.Object) metav1.ObjectMeta {
	labels := map[string]string{}
	for k, v := range o.GetLabels() {
		switch k {
		case mcsapi.LabelClusterSet, discoveryv1.LabelManagedBy:
			v = "the-bare-loop"
		case mcsapi.LabelServiceName, mcsapi.LabelAutomatic:
			k = "loop." + k
		}
		labels[k] = v
	}
	return metav1.ObjectMeta{Namespace: loopNamespace, Name: o.GetName(), Labels: labels, Annotations: o.GetAnnotations()}
}

// send sends the requests and returns how many they were.
func (r *replay) send(ctx context.Context) (sent int, err error) {
	made := &mcs.ServiceImport{}
	if err := r.m.mcs.Post().Namespace(loopNamespace).Resource(mcs.ServiceImportPluralName).Body(r.created).Do(ctx).Into(made); err != nil {
		return sent, err
	}
	sent++
	owner := metav1.OwnerReference{APIVersion: mcs.GroupVersion.String(), Kind: mcs.ServiceImportKindName, Name: made.Name, UID: made.UID}
	for n := range r.slices {
		r.slices[n].OwnerReferences = []metav1.OwnerReference{owner}
		if _, err := r.m.kube.DiscoveryV1().EndpointSlices(loopNamespace).Create(ctx, &r.slices[n], metav1.CreateOptions{}); err != nil {
			return sent, err
		}
		sent++
	}
	r.derived.OwnerReferences = []metav1.OwnerReference{owner}
	derived, err := r.m.kube.CoreV1().Services(loopNamespace).Create(ctx, r.derived, metav1.CreateOptions{})
	if err != nil {
		return sent, err
	}
	sent++
	spec := fmt.Sprintf(`{"spec":{"ips":[%q],"ipFamilies":[%q]}}`, derived.Spec.ClusterIP, derived.Spec.IPFamilies[0])
	if err := r.m.mcs.Patch(types.MergePatchType).Namespace(loopNamespace).Resource(mcs.ServiceImportPluralName).Name(made.Name).Body([]byte(spec)).Do(ctx).Error(); err != nil {
		return sent, err
	}
	sent++
	if err := r.m.mcs.Patch(types.MergePatchType).Namespace(loopNamespace).Resource(mcs.ServiceImportPluralName).Name(made.Name).SubResource("status").Body(r.status).Do(ctx).Error(); err != nil {
		return sent, err
	}
	sent++
	if r.export == "" {
		return sent, nil
	}
	sent++
	return sent, r.m.mcs.Patch(types.MergePatchType).Namespace(namespace).Resource(mcs.ServiceExportPluralName).Name(r.export).SubResource("status").Body(r.verdict).Do(ctx).Error()
}
