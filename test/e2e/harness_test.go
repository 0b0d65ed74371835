package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
)

// TestOneCluster holds what the other tests rely on: a cluster of the harness behaves as a cluster does, without any
// controller of ours.
func TestOneCluster(t *testing.T) {
	s := clusterset.ForTest(t, clusterset.Options{Clusters: []clusterset.ClusterOptions{{Name: "alone"}}})
	h := &harness{c: s.Cluster("alone")}
	apply(t, h.c, []byte(harnessManifest))
	h.shell = shell(t, h.c, "default", "app=client")
	for _, test := range []struct {
		name string
		test func(*testing.T)
	}{
		{"Services of both families", h.families},
		{"UDP", h.udp},
		{"a StatefulSet's names", h.statefulSet},
		{"the API server, as pods see it", h.apiServer},
		{"a container that dies is started again", h.restart},
		{"readiness", h.readiness},
		{"a terminating pod serves on while it may", h.terminating},
		{"what cannot run says why", h.refusals},
	} {
		t.Run(test.name, test.test)
	}
}

type harness struct {
	c     *clusterset.Cluster
	shell *clusterset.Shell
}

const harnessManifest = `
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  containers: [{name: client, image: curl, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: web-demo
        ports: [{name: http, containerPort: 9000}]
        readinessProbe: {httpGet: {path: /, port: http}}
        lifecycle: {preStop: {sleep: {seconds: 20}}}
---
apiVersion: v1
kind: Service
metadata: {name: set}
spec:
  clusterIP: None
  selector: {app: set}
  ports: [{name: http, port: 8080}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: set}
spec:
  serviceName: set
  replicas: 2
  selector: {matchLabels: {app: set}}
  template:
    metadata: {labels: {app: set}}
    spec:
      containers: [{name: web, image: web-demo, env: [{name: ENV_NAME, value: set}]}]
---
apiVersion: v1
kind: Service
metadata: {name: udp}
spec:
  selector: {app: udp}
  ports: [{name: echo, port: 53, protocol: UDP, targetPort: 5300}]
---
apiVersion: v1
kind: Pod
metadata: {name: udp, labels: {app: udp}}
spec:
  containers: [{name: udp, image: web-demo, ports: [{containerPort: 5300, protocol: UDP}]}]
`

func (h *harness) families(t *testing.T) {
	pods := kit.Got[[]*corev1.Pod](t)(h.c.ReadyPods(t.Context(), "default", "app=web", 2))
	routed(t, h.c, "default", "web", pods...)
	kit.MustAwait(t, func(ctx context.Context) error { // DNS may need a moment more
		_, err4 := h.shell.Curl(ctx, "web", "-4")
		_, err6 := h.shell.Curl(ctx, "web", "-6")
		return errors.Join(err4, err6)
	})
	for i, family := range []string{"-4", "-6"} {
		expectExactly(t, answers(t, h.shell, 40, "web", family), whole("alone", pods...)...)
		answer, err := h.shell.Curl(t.Context(), "web", family)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Client.Addr() != h.shell.Pod.IPs()[i] {
			t.Errorf("over %s the server saw %s, the client is %s", family, answer.Client, h.shell.Pod.IPs())
		}
	}
}

func (h *harness) udp(t *testing.T) {
	kit.Got[[]*corev1.Pod](t)(h.c.ReadyPods(t.Context(), "default", "app=udp", 1))
	ip := clusterIPs(t, h.c, "default", "udp")[0]
	kit.MustAwait(t, func(ctx context.Context) error {
		out, err := h.shell.Run(ctx, "bash", "-c", fmt.Sprintf(`exec 3<>/dev/udp/%s/53; echo >&3; timeout 1 dd bs=1500 count=1 status=none <&3`, ip))
		if err == nil && !strings.Contains(out, "pod=udp ") {
			err = fmt.Errorf("answered %q", out)
		}
		return err
	})
}

func (h *harness) statefulSet(t *testing.T) {
	kit.Got[[]*corev1.Pod](t)(h.c.ReadyPods(t.Context(), "default", "app=set", 2))
	for _, name := range []string{"set-0", "set-1"} {
		if got := kit.Got[string](t)(h.shellIn(t, name).Run(t.Context(), "hostname")); got != name+"\n" {
			t.Errorf("the host name of %s is %q", name, got)
		}
		kit.MustAwait(t, func(ctx context.Context) error {
			answer, err := h.shell.Curl(ctx, name+".set.default.svc.cluster.local:8080")
			if err == nil && (answer.Pod != name || answer.Cluster != "set") {
				err = fmt.Errorf("%s.set is answered by %s", name, answer)
			}
			return err
		})
	}
}

func (h *harness) shellIn(t *testing.T, pod string) *clusterset.Shell {
	t.Helper()
	return kit.Got[*clusterset.Shell](t)(h.c.Shell("default", pod))
}

// apiServer: Service default/kubernetes leads to the API server, which knows the pod by its service account.
func (h *harness) apiServer(t *testing.T) {
	const script = `cd /var/run/secrets/kubernetes.io/serviceaccount &&
		curl -sS --max-time 15 --cacert ca.crt -H "Authorization: Bearer $(cat token)" "https://kubernetes.default.svc/$1"`
	if err := h.c.AwaitRules(t.Context(), "default", "kubernetes", clusterset.EveryPort, h.c.Addresses.Node); err != nil {
		t.Fatal(err)
	}
	if got := kit.Got[string](t)(h.shell.Run(t.Context(), "sh", "-c", script, "sh", "readyz")); got != "ok" {
		t.Errorf("readyz says %q", got)
	}
	got := kit.Got[string](t)(h.shell.Run(t.Context(), "sh", "-c", script, "sh", "api/v1/namespaces/default/pods"))
	if !strings.Contains(got, "system:serviceaccount:default:default") || !strings.Contains(got, "forbidden") {
		t.Errorf("listing pods gives %q, not a refusal by RBAC", got)
	}
}

func (h *harness) restart(t *testing.T) {
	before := h.shellIn(t, "udp")
	ips := before.Pod.IPs()
	if err := syscall.Kill(before.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	kit.MustAwait(t, func(ctx context.Context) error {
		pod, err := h.c.Client.CoreV1().Pods("default").Get(ctx, "udp", metav1.GetOptions{})
		if err == nil && (pod.Status.ContainerStatuses[0].RestartCount != 1 || !pod.Status.ContainerStatuses[0].Ready) {
			err = fmt.Errorf("the container's status is %+v", pod.Status.ContainerStatuses[0])
		}
		return err
	})
	if after := h.shellIn(t, "udp"); !slices.Equal(after.Pod.IPs(), ips) || after.PID() == before.PID() {
		t.Errorf("after the restart the pod has %s, it had %s", after.Pod.IPs(), ips)
	}
}

// endpoint returns the endpoint of a pod in the slices of Service web.
func (h *harness) endpoint(ctx context.Context, pod string) (*discoveryv1.Endpoint, error) {
	list, err := h.c.Client.DiscoveryV1().EndpointSlices("default").List(ctx, metav1.ListOptions{LabelSelector: "kubernetes.io/service-name=web"})
	if err != nil {
		return nil, err
	}
	for _, slice := range list.Items {
		for i := range slice.Endpoints {
			if slice.Endpoints[i].TargetRef.Name == pod {
				return &slice.Endpoints[i], nil
			}
		}
	}
	return nil, fmt.Errorf("no slice has pod %s", pod)
}

func (h *harness) readiness(t *testing.T) {
	pod := kit.Got[[]*corev1.Pod](t)(h.c.ReadyPods(t.Context(), "default", "app=web", 2))[0].Name
	for _, ready := range []bool{false, true} {
		if err := h.c.SetReady(t.Context(), "default", pod, ready); err != nil {
			t.Fatal(err)
		}
		kit.MustAwait(t, func(ctx context.Context) error {
			endpoint, err := h.endpoint(ctx, pod)
			if err == nil && *endpoint.Conditions.Ready != ready {
				err = fmt.Errorf("the endpoint's readiness is %v", !ready)
			}
			return err
		})
	}
}

func (h *harness) terminating(t *testing.T) {
	pod := kit.Got[[]*corev1.Pod](t)(h.c.ReadyPods(t.Context(), "default", "app=web", 2))[0]
	kubectl(t, h.c, "delete", "pod", pod.Name, "--wait=false")
	kit.MustAwait(t, func(ctx context.Context) error {
		endpoint, err := h.endpoint(ctx, pod.Name)
		if err == nil && (*endpoint.Conditions.Ready || !*endpoint.Conditions.Serving || !*endpoint.Conditions.Terminating) {
			err = fmt.Errorf("the endpoint's conditions are %+v", endpoint.Conditions)
		}
		return err
	})
	answer, err := h.shell.Curl(t.Context(), pod.Status.PodIP+":9000")
	if err != nil || answer.Pod != pod.Name {
		t.Errorf("the terminating pod answers %s, %v", answer, err)
	}
	kubectl(t, h.c, "delete", "pod", pod.Name, "--force", "--grace-period=0")
	if _, err := h.shell.Curl(t.Context(), pod.Status.PodIP+":9000"); err == nil {
		kit.MustAwait(t, func(ctx context.Context) error { // the agent hears of it a moment later
			if _, err := h.shell.Curl(ctx, pod.Status.PodIP+":9000"); err == nil {
				return errors.New("a pod deleted by force still answers")
			}
			return nil
		})
	}
}

func (h *harness) refusals(t *testing.T) {
	pod := func(name, spec string) []byte {
		return fmt.Appendf(nil, "apiVersion: v1\nkind: Pod\nmetadata: {name: %s}\nspec: %s\n", name, spec)
	}
	tests := map[string]struct{ spec, want string }{
		"two":     {`{containers: [{name: a, image: web-demo}, {name: b, image: web-demo}]}`, "one container"},
		"missing": {`{containers: [{name: a, image: x, volumeMounts: [{name: v, mountPath: /etc/v}]}], volumes: [{name: v, configMap: {name: nowhere}}]}`, `"nowhere" not found`},
		"program": {`{containers: [{name: a, image: x, command: [/no/such/program]}]}`, "/no/such/program"},
		"host":    {`{hostNetwork: true, containers: [{name: a, image: x}]}`, "hostNetwork"},
	}
	for name, test := range tests {
		apply(t, h.c, pod(name, test.spec))
		kit.MustAwait(t, func(ctx context.Context) error {
			pod, err := h.c.Client.CoreV1().Pods("default").Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			for _, status := range pod.Status.ContainerStatuses {
				if w := status.State.Waiting; w != nil && strings.Contains(w.Message, test.want) {
					return nil
				}
			}
			return fmt.Errorf("pod %s says %+v, want something about %q", name, pod.Status.ContainerStatuses, test.want)
		})
		kubectl(t, h.c, "delete", "pod", name, "--wait=false")
	}
}
