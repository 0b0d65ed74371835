package plan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/kit"
)

// people does to the consumer what people do: they apply imports, delete what is ours, and edit it.
func (w *walk) people(t *testing.T) {
	t.Helper()
	held := w.held(t)
	ours := held.Derived != nil && held.Derived.Labels[mcsapi.LabelClusterSet] != ""
	switch w.r.IntN(8) {
	case 0, 1:
		w.applyImport(t, held.Import)
	case 2:
		if held.Import != nil {
			w.note("people delete the import")
			kit.Must(t, w.server.imports.Delete().Namespace(w.key.Namespace).Resource(mcs.ServiceImportPluralName).Name(w.key.Name).Do(t.Context()).Error())
		}
	case 3:
		if held.Derived != nil {
			w.note("people delete Service %s", held.Derived.Name)
			kit.Must(t, w.server.kube.CoreV1().Services(w.key.Namespace).Delete(t.Context(), held.Derived.Name, metav1.DeleteOptions{}))
		}
	case 4:
		if held.Derived == nil {
			w.note("people put a Service in the way")
			s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "amcs-" + w.key.Name}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}}
			_, err := w.server.kube.CoreV1().Services(w.key.Namespace).Create(t.Context(), s, metav1.CreateOptions{})
			kit.Must(t, err)
		}
	case 5, 6:
		if ours {
			w.editService(t, held.Derived)
		}
	case 7:
		for _, s := range held.Slices {
			w.editSlice(t, s)
		}
	}
}

// applyImport is kubectl apply of what a person wrote; over an import that is there it changes spec.ports and what else is
// in the file.
func (w *walk) applyImport(t *testing.T, held *mcs.ServiceImport) {
	t.Helper()
	spec := pick(w.r,
		`{"type":"ClusterSetIP","ports":[{"name":"http","port":80,"protocol":"TCP"}]}`,
		`{"type":"Headless","ports":[],"sessionAffinity":"ClientIP"}`,
		`{"type":"ClusterSetIP","ports":[],"ips":["192.0.2.1"],"sessionAffinityConfig":{"clientIP":{"timeoutSeconds":5}}}`,
		`{"type":"ClusterSetIP","ports":[{"port":80},{"name":"nobody","port":9}],"sessionAffinity":null}`)
	w.note("people apply %s", spec)
	request := w.server.imports.Patch(types.MergePatchType).Name(w.key.Name).Body([]byte(`{"spec":` + spec + `}`))
	if held == nil {
		i := &mcs.ServiceImport{ObjectMeta: metav1.ObjectMeta{Name: w.key.Name}, Spec: mcs.ServiceImportSpec{Type: mcs.ClusterSetIP, Ports: []mcs.ServicePort{{Port: 80}}}}
		request = w.server.imports.Post().Body(i)
	}
	kit.Must(t, request.Namespace(w.key.Namespace).Resource(mcs.ServiceImportPluralName).Do(t.Context()).Error())
}

func (w *walk) editService(t *testing.T, s *corev1.Service) {
	t.Helper()
	patch := pick(w.r,
		`{"spec":{"selector":{"app":"other"}},"metadata":{"labels":{"theirs":"yes","team":"theirs"}}}`,
		`{"spec":{"sessionAffinity":"ClientIP","publishNotReadyAddresses":true,"externalIPs":["192.0.2.9"]}}`,
		`{"spec":{"type":"NodePort"}}`,
		`{"spec":{"type":"LoadBalancer","externalTrafficPolicy":"Local"}}`,
		`{"spec":{"type":"ExternalName","externalName":"example.com","clusterIP":null,"clusterIPs":null}}`,
		`{"metadata":{"ownerReferences":null}}`)
	if s.Spec.ClusterIP == corev1.ClusterIPNone {
		patch = `{"spec":{"selector":{"app":"other"}}}`
	}
	w.note("people patch Service %s: %s", s.Name, patch)
	_, err := w.server.kube.CoreV1().Services(w.key.Namespace).Patch(t.Context(), s.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	kit.Must(t, err)
}

func (w *walk) editSlice(t *testing.T, s *discoveryv1.EndpointSlice) {
	t.Helper()
	patch := pick(w.r,
		`{"endpoints":[]}`, `{"ports":null}`,
		`{"metadata":{"labels":{"kubernetes.io/service-name":"elsewhere","theirs":"yes","service.kubernetes.io/headless":"maybe"}}}`)
	w.note("people patch slice %s: %s", s.Name, patch)
	_, err := w.server.kube.DiscoveryV1().EndpointSlices(w.key.Namespace).Patch(t.Context(), s.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	kit.Must(t, err)
}
