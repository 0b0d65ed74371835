package kubeclient

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// TestErrorsInSuccess_X6_L6: a Status that tells of a failure is an error, whatever the code of the answer, with texts of bounded length;
// and a Status of success is no list and no object that is empty. What a deletion answers is neither.
func TestErrorsInSuccess_X6_L6(t *testing.T) {
	text := strings.Repeat("x", 100<<10)
	failure := &metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure, Message: text, Reason: metav1.StatusReasonForbidden, Code: 403}
	success := &metav1.Status{TypeMeta: failure.TypeMeta, Status: metav1.StatusSuccess}
	raw := func(s *metav1.Status) string {
		inner, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		envelope, err := (&kuberuntime.Unknown{TypeMeta: kuberuntime.TypeMeta{Kind: s.Kind, APIVersion: s.APIVersion}, Raw: inner}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return "k8s\x00" + string(envelope)
	}
	long := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"` + text + `","reason":"Forbidden","code":403}`
	spaced := "{\n  \"apiVersion\": \"v1\", \"status\": \"Failure\", \"code\": 403, \"reason\": \"Forbidden\", \"kind\": \"Status\"}"
	unknown := `{"kind":"Status","apiVersion":"v1"}`
	ok := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}`
	for name, c := range map[string]struct {
		media, body         string
		forbidden, succeeds bool // succeeds where no object is asked for
	}{
		"JSON, long text":     {"application/json", long, true, false},
		"JSON, endless text":  {"application/json", strings.Replace(long, text, strings.Repeat(text, 30), 1), false, false},
		"JSON, another order": {"application/json", spaced, true, false},
		"JSON, no more":       {"application/json", unknown, false, false},
		"JSON, success":       {"application/json", ok, false, true},
		"protobuf":            {"application/vnd.kubernetes.protobuf", raw(failure), true, false},
		"protobuf, success":   {"application/vnd.kubernetes.protobuf", raw(success), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := liar(t, 1, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", c.media)
				fmt.Fprint(w, c.body)
			})
			_, kube := reach(t, s, c.media)
			services := kube.CoreV1().Services("ns")
			service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}}
			for what, do := range map[string]func(kubernetes.Interface) error{
				"list": func(kubernetes.Interface) error {
					_, err := services.List(t.Context(), metav1.ListOptions{})
					return err
				},
				"get": func(kubernetes.Interface) error {
					_, err := services.Get(t.Context(), "web", metav1.GetOptions{})
					return err
				},
				"groups": func(kubernetes.Interface) error { _, err := kube.Discovery().ServerGroups(); return err },
				"delete": func(kubernetes.Interface) error { return services.Delete(t.Context(), "web", metav1.DeleteOptions{}) },
				"create": func(kubernetes.Interface) error {
					return kube.CoreV1().RESTClient().Post().Namespace("ns").Resource("services").Body(service).Do(t.Context()).Error()
				},
				"patch": func(kubernetes.Interface) error {
					_, err := services.Patch(t.Context(), "web", types.MergePatchType, []byte("{}"), metav1.PatchOptions{})
					return err
				},
			} {
				err := do(kube)
				reads := what == "list" || what == "get" || what == "groups"
				switch {
				case c.succeeds && !reads:
					if err != nil {
						t.Errorf("%s: %v", what, err)
					}
				case err == nil:
					t.Errorf("%s: taken for success", what)
				case len(err.Error()) > 3<<10:
					t.Errorf("%s: an error of %d bytes", what, len(err.Error()))
				case c.forbidden && !apierrors.IsForbidden(err):
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
	honest := liar(t, 1, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"web","annotations":{"kind":"Status","status":"Failure"}}}]}`)
	})
	_, kube := reach(t, honest, "application/json")
	if list, err := kube.CoreV1().Services("").List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("a list that mentions one: %v, %v", list, err)
	}
}
