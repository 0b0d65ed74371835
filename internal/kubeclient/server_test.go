package kubeclient

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/clusterset/multicluster/internal/excerpt"
)

func TestMain(m *testing.M) {
	klog.SetSlogLogger(slog.New(slog.DiscardHandler)) // client-go logs every answer that it can't read
	m.Run()
}

// liar is an API server over TLS that answers as a test wants.
func liar(t *testing.T, version int, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.EnableHTTP2 = version == 2
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s
}

// reach returns a client of a server, with a token.
func reach(t *testing.T, s *httptest.Server, contentType string) (*Client, kubernetes.Interface) {
	t.Helper()
	return reachWithin(t, s, contentType, requestPatience)
}

// reachWithin is reach with another patience.
func reachWithin(t *testing.T, s *httptest.Server, contentType string, patience time.Duration) (*Client, kubernetes.Interface) {
	t.Helper()
	c, err := newClient(&rest.Config{
		Host: s.URL, BearerToken: "secret", TLSClientConfig: rest.TLSClientConfig{Insecure: true},
		ContentConfig: rest.ContentConfig{ContentType: contentType, AcceptContentTypes: contentType + ",application/json"}, QPS: -1,
	}, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.HangUp)
	kube, err := kubernetes.NewForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	return c, kube
}

// questions are what an API server is asked, of each kind that has a budget of its own.
var questions = map[string]func(*testing.T, kubernetes.Interface) error{
	"probe": func(t *testing.T, k kubernetes.Interface) error {
		_, err := k.Discovery().ServerResourcesForGroupVersion("multicluster.x-k8s.io/v1beta1")
		return err
	},
	"version": func(t *testing.T, k kubernetes.Interface) error {
		_, err := k.Discovery().ServerVersion()
		return err
	},
	"object": func(t *testing.T, k kubernetes.Interface) error {
		_, err := k.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{})
		return err
	},
	"list": func(t *testing.T, k kubernetes.Interface) error {
		_, err := k.DiscoveryV1().EndpointSlices("").List(t.Context(), metav1.ListOptions{Limit: 50})
		return err
	},
	"watch": func(t *testing.T, k kubernetes.Interface) error {
		w, err := k.DiscoveryV1().EndpointSlices("").Watch(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		defer w.Stop()
		select {
		case e := <-w.ResultChan():
			if e.Type == watch.Error || e.Type == "" {
				return errors.Join(apierrors.FromObject(e.Object), &Exceeded{})
			}
			return fmt.Errorf("got an event of type %q", e.Type)
		case <-time.After(30 * time.Second):
			return errors.New("nothing came")
		}
	},
}

// TestRedirect_X6: whatever redirect a server answers with, nothing is asked elsewhere, no token goes there, and the error says
// so and holds nothing of the answer.
func TestRedirect_X6(t *testing.T) {
	var asked, tokens atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.Header.Get("Authorization") != "" {
			tokens.Add(1)
		}
		fmt.Fprint(w, "the keys of the kingdom")
	}))
	t.Cleanup(elsewhere.Close)
	for _, code := range []int{301, 302, 303, 307, 308, 300} {
		for _, target := range []string{elsewhere.URL + "/latest/meta-data/iam", "/elsewhere"} {
			s := liar(t, code%2+1, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/elsewhere" {
					asked.Add(1)
				}
				http.Redirect(w, r, target, code)
			})
			_, kube := reach(t, s, "application/json")
			for name, ask := range questions {
				err := ask(t, kube)
				if err == nil || !strings.Contains(err.Error(), "is not followed") || strings.Contains(err.Error(), "kingdom") {
					t.Errorf("%s, %d to %s: %v", name, code, target, err)
				}
			}
			err := kube.CoreV1().Namespaces().Delete(t.Context(), "x", metav1.DeleteOptions{})
			if err == nil || !strings.Contains(err.Error(), "is not followed") {
				t.Errorf("delete, %d to %s: %v", code, target, err)
			}
		}
	}
	if asked.Load() != 0 || tokens.Load() != 0 {
		t.Errorf("asked elsewhere %d times, with a token %d times", asked.Load(), tokens.Load())
	}
}

// TestHost_X6: a request for another host is not sent, whoever makes it with this client.
func TestHost_X6(t *testing.T) {
	var asked atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(elsewhere.Close)
	c, _ := reach(t, liar(t, 1, func(http.ResponseWriter, *http.Request) {}), "application/json")
	if resp, err := c.HTTP.Get(elsewhere.URL); err == nil {
		resp.Body.Close()
		t.Error("it was sent")
	}
	if asked.Load() != 0 {
		t.Error("it arrived")
	}
}

// bombs are answers that are short on the wire and never end.
var bombs = map[string]func(w io.Writer, watch bool) error{
	"zeros": func(w io.Writer, _ bool) error { return endless(w, "", strings.Repeat("0", 1<<16)) },
	"one string": func(w io.Writer, _ bool) error {
		return endless(w, `{"kind":"Service","apiVersion":"v1","metadata":{"annotations":{"a":"`, strings.Repeat("a", 1<<16))
	},
	"one value of an event": func(w io.Writer, _ bool) error {
		return endless(w, `{"type":"ADDED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"name":"`, strings.Repeat("a", 1<<16))
	},
	"white space between lines": func(w io.Writer, _ bool) error {
		return endless(w, `{"type":"ADDED",`, strings.Repeat("\n", 1<<16))
	},
	"empty objects": func(w io.Writer, watch bool) error {
		head := `{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","metadata":{"resourceVersion":"1"},"items":[`
		if watch {
			head = `{"type":"ADDED","object":{"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","endpoints":[`
		}
		return endless(w, head, strings.Repeat("{},", 1<<15))
	},
}

// bombBytes is the end of what would be endless, for the machine on which the bounds are taken out.
const bombBytes = 256 * mib

func endless(w io.Writer, head, rest string) error {
	_, err := io.WriteString(w, head)
	for n := 0; err == nil && n < bombBytes; n += len(rest) {
		_, err = io.WriteString(w, rest)
	}
	return err
}

// TestBomb_X6: an answer that never ends, and of which a megabyte on the wire is a gigabyte, ends at its budget, whatever is
// asked, over either version of HTTP, compressed and not.
func TestBomb_X6(t *testing.T) {
	for version, encodings := range map[int][]bool{1: {false}, 2: {true, false}} {
		for _, compressed := range encodings {
			for bomb, write := range bombs {
				s := liar(t, version, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "application/json")
					watch := r.URL.Query().Get("watch") != ""
					if !compressed || r.Header.Get("Accept-Encoding") != "gzip" {
						_ = write(w, watch)
						return
					}
					w.Header().Set("Content-Encoding", "gzip")
					z, _ := gzip.NewWriterLevel(w, gzip.BestSpeed)
					_ = write(z, watch)
				})
				_, kube := reach(t, s, "application/json")
				for name, ask := range questions {
					t.Run(fmt.Sprintf("HTTP %d/%s/%s/gzip %t", version, name, bomb, compressed), func(t *testing.T) {
						took, err := measured(func() error { return ask(t, kube) })
						var exceeded *Exceeded
						if !errors.As(err, &exceeded) || len(err.Error()) > 2*excerpt.Line {
							t.Errorf("got %v", excerpt.Error(err))
						}
						if took > 100*mib {
							t.Errorf("it allocated %d MiB", took/mib)
						}
					})
				}
			}
		}
	}
}

// measured calls f and returns how many bytes were allocated meanwhile, by the server of the test, too.
func measured(f func() error) (allocated uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	err = f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

// TestManyItems_X6: a page of a few megabytes that has a million objects is not decoded, in either encoding.
func TestManyItems_X6(t *testing.T) {
	var list bytes.Buffer
	list.WriteString("k8s\x00")
	items := bytes.Repeat([]byte{2<<3 | 2, 0}, 1<<20)
	unknown := kuberuntime.Unknown{TypeMeta: kuberuntime.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSliceList"}, Raw: items}
	raw, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	list.Write(raw)
	for media, body := range map[string][]byte{
		"application/vnd.kubernetes.protobuf": list.Bytes(),
		"application/json":                    []byte(`{"kind":"EndpointSliceList","apiVersion":"discovery.k8s.io/v1","items":[` + strings.Repeat("null,", 1<<19) + `null]}`),
	} {
		t.Run(media, func(t *testing.T) {
			s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", media)
				_, _ = w.Write(body)
			})
			_, kube := reach(t, s, media)
			took, err := measured(func() error { return questions["list"](t, kube) })
			var exceeded *Exceeded
			if !errors.As(err, &exceeded) || took > 100*mib {
				t.Errorf("got %v, allocated %d MiB", err, took/mib)
			}
		})
	}
}

// TestHonestAnswers_X6: what an honest server sends passes, whole, in both encodings: full pages of large objects, and of objects
// with much that is short.
func TestHonestAnswers_X6(t *testing.T) {
	s := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "n"}, AddressType: "IPv4"}
	s.ManagedFields = []metav1.ManagedFieldsEntry{{FieldsV1: metav1.NewFieldsV1(`{"f:a":{` + strings.Repeat(`".":{},"f:x":{},`, 100) + `"f:y":{}}}`)}}
	for range 10 {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.0.0.1"}})
	}
	many := &discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	for range 500 {
		many.Items = append(many.Items, s)
	}
	big := &discoveryv1.EndpointSliceList{ListMeta: metav1.ListMeta{ResourceVersion: "7"}}
	for range 3 {
		o := s
		o.Annotations = map[string]string{"a": strings.Repeat("x", 1200*kib)}
		big.Items = append(big.Items, o)
	}
	for name, list := range map[string]*discoveryv1.EndpointSliceList{"many": many, "big": big} {
		for _, media := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
			t.Run(name+"/"+media, func(t *testing.T) {
				server := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", media)
					_, _ = w.Write(encoded(t, media, list))
				})
				_, kube := reach(t, server, media)
				got, err := kube.DiscoveryV1().EndpointSlices("").List(t.Context(), metav1.ListOptions{Limit: 500})
				if err != nil || len(got.Items) != len(list.Items) {
					t.Fatalf("got %v", err)
				}
			})
		}
	}
}

// TestErrorText_X6: the text of a refusal is short and harmless, and the refusal is still what it was.
func TestErrorText_X6(t *testing.T) {
	evil := strings.Repeat("\x1b[2Jno\n", 4<<20/7)
	status := func(message string) string {
		return fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":"Forbidden","details":{"name":%q,"kind":"services","causes":[{"reason":"FieldValueInvalid","message":%q,"field":"spec.clusterIP"}]},"code":403}`, message, message, message)
	}
	for name, c := range map[string]struct {
		media, body string
		causes      int
	}{
		"short":          {"application/json", status("no, \x1b[2J"), 1},
		"200 KiB":        {"application/json", status(strings.Repeat("x\n", 1<<15)), 1},
		"4 MiB":          {"application/json", status(evil), 0},
		"4 MiB of text":  {"text/plain", evil, 0},
		"4 MiB of HTML":  {"text/html", evil, 0},
		"no JSON":        {"application/json", evil[:1000], 0},
		"many causes":    {"application/json", strings.Replace(status("no"), `"causes":[`, `"causes":[`+strings.Repeat(`{"field":"a"},`, 1000), 1), errorCauses},
		"another object": {"application/json", `{"kind":"Namespace","apiVersion":"v1"}`, 0},
	} {
		for _, version := range []int{1, 2} {
			s := liar(t, version, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", c.media)
				w.Header().Set("Warning", `299 - "deprecated \x1b"`)
				w.WriteHeader(http.StatusForbidden)
				_, _ = io.WriteString(w, c.body)
			})
			_, kube := reach(t, s, "application/vnd.kubernetes.protobuf")
			for question, ask := range questions {
				t.Run(fmt.Sprintf("%s/HTTP %d/%s", name, version, question), func(t *testing.T) {
					err := ask(t, kube)
					if !apierrors.IsForbidden(err) {
						t.Fatalf("it became %v", excerpt.Error(err))
					}
					var answer apierrors.APIStatus
					if errors.As(err, &answer); answer.Status().Details != nil && question == "object" {
						if n := len(answer.Status().Details.Causes); c.causes > 0 && n != c.causes {
							t.Errorf("%d causes, want %d", n, c.causes)
						}
					}
					if text := err.Error(); len(text) > 2*excerpt.Line || strings.ContainsAny(text, "\x1b\n") {
						t.Errorf("%d bytes: %q", len(text), excerpt.Of(text, 100))
					}
				})
			}
		}
	}
}

// TestProtobufStatus_X6: a refusal in protobuf is understood as one.
func TestProtobufStatus_X6(t *testing.T) {
	status := apierrors.NewConflict(discoveryv1.Resource("endpointslices"), "x", errors.New(strings.Repeat("x", 10*kib))).Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	const media = "application/vnd.kubernetes.protobuf"
	s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(http.StatusConflict)
		_, _ = w.Write(encoded(t, media, &status))
	})
	_, kube := reach(t, s, media)
	if err := questions["object"](t, kube); !apierrors.IsConflict(err) || len(err.Error()) > 2*excerpt.Line {
		t.Errorf("got %v", err)
	}
}

// TestRetryAfter_X6: a server can't make a client wait for long.
func TestRetryAfter_X6(t *testing.T) {
	for given, want := range map[string]string{"1": "1", "999999": "30", "-5": "", "Wed, 21 Oct 2099 07:28:00 GMT": "", "99999999999999999999": ""} {
		resp := &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {given}}, Body: http.NoBody}
		if got := shortError(nil, resp).Header.Get("Retry-After"); got != want {
			t.Errorf("%q became %q, want %q", given, got, want)
		}
	}
}

// TestHeaders_X6: headers that never end, end.
func TestHeaders_X6(t *testing.T) {
	for _, version := range []int{1, 2} {
		s := liar(t, version, func(w http.ResponseWriter, r *http.Request) {
			for n := range 3000 {
				w.Header().Add("X-More", strings.Repeat("x", 1000)+fmt.Sprint(n))
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"kind":"Namespace","apiVersion":"v1"}`)
		})
		_, kube := reach(t, s, "application/json")
		if err := questions["object"](t, kube); err == nil {
			t.Errorf("HTTP %d: 3 MiB of headers were read", version)
		}
	}
	raw := endlessHeaders(t)
	_, kube := reach(t, raw, "application/json")
	took, err := measured(func() error { return questions["object"](t, kube) })
	if err == nil || took > 100*mib || len(err.Error()) > 2*excerpt.Line {
		t.Errorf("got %v, allocated %d MiB", excerpt.Error(err), took/mib)
	}
}

// endlessHeaders is a server whose answer never gets to its body.
func endlessHeaders(t *testing.T) *httptest.Server {
	s := liar(t, 1, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		_ = endless(conn, "HTTP/1.1 200 OK\r\n", strings.Repeat("X-More: "+strings.Repeat("x", 1000)+"\r\n", 64))
	})
	return s
}

// TestOtherTypes_X6: an encoding that can mean more than it is long is not decoded.
func TestOtherTypes_X6(t *testing.T) {
	for _, media := range []string{"application/yaml", "application/cbor", "", ";;"} {
		s := liar(t, 2, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = []string{media}
			fmt.Fprint(w, "kind: Namespace\napiVersion: v1\n")
		})
		_, kube := reach(t, s, "application/json")
		if err := questions["object"](t, kube); err == nil || !strings.Contains(err.Error(), "want JSON or protobuf") {
			t.Errorf("%q: got %v", media, err)
		}
	}
}

// TestSharesNothing_X6: a bound that one client sets is not that of others of the process, nor do others lift it.
func TestSharesNothing_X6(t *testing.T) {
	cfg := &rest.Config{Host: "https://127.0.0.1:1", TLSClientConfig: rest.TLSClientConfig{Insecure: true}}
	theirs, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg); err != nil {
		t.Fatal(err)
	}
	if n := theirs.(interface{ WrappedRoundTripper() http.RoundTripper }).WrappedRoundTripper().(*http.Transport).MaxResponseHeaderBytes; n != 0 {
		t.Errorf("another client has a bound of %d", n)
	}
}
