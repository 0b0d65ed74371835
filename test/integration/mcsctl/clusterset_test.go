// Package mcsctl tests the commands of mcsctl as a person runs them, in process, against real API servers and a real
// controller. What they print is held by goldens, to the last space; addresses, ages and the like are replaced in them.
package mcsctl

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/cmd/mcsctl/command"
	"github.com/clusterset/multicluster/controller"
	"github.com/clusterset/multicluster/controller/members"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/kit"
)

var update = flag.Bool("update", false, "write the goldens anew")

const system = "mcs-system"

// cluster is a member with a person's clients.
type cluster struct {
	*controlplane.Cluster
	kube kubernetes.Interface
	mcs  rest.Interface
}

// start brings up clusters with the CRDs, and a kubeconfig with one context for each.
func start(t *testing.T, opts ...controlplane.Options) (list []*cluster, kubeconfig string) {
	t.Helper()
	all := controlplane.AllForTest(t, opts...)
	for _, c := range all {
		kit.Must(t, c.InstallCRDs(t.Context()))
		list = append(list, connect(t, c))
	}
	kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	kit.Must(t, controlplane.MergedKubeconfig(kubeconfig, all...))
	return list, kubeconfig
}

func connect(t testing.TB, c *controlplane.Cluster) *cluster {
	t.Helper()
	kube, err := kubernetes.NewForConfig(c.Config())
	kit.Must(t, err)
	client, err := mcsapi.NewClient(c.Config(), "v1beta1")
	kit.Must(t, err)
	return &cluster{c, kube, client}
}

// run runs a controller of cluster home, whose members are the Secrets there, as the one in a pod is.
func run(t *testing.T, home *cluster, automatic bool) {
	t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	both := registration.Registration{Provider: true, Consumer: true, ExportStatus: true}
	engine := controller.New(controller.Options{ClusterSet: "default", Automatic: automatic, Workers: 2, Log: log})
	set := members.NewSet(engine, log, members.Options{ClusterSet: "default", ProbeInterval: 500 * time.Millisecond})
	own := registration.Flags{Flags: []registration.Flag{{ID: home.Name(), Path: home.Kubeconfig()}}, Registration: both}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = set.Run(ctx, own, registration.Secrets{Client: home.kube, Namespace: system, Registration: both, Log: log})
	})
	wg.Go(func() { _ = set.Lead(ctx, func(ctx context.Context) error { return engine.Run(ctx, set) }) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	if _, err := home.kube.CoreV1().Namespaces().Get(t.Context(), system, getOptions); err == nil {
		kit.Eventually(t, "the controller keeps Leases, which show that it runs", func() error {
			list, err := home.kube.CoordinationV1().Leases(system).List(t.Context(), metav1.ListOptions{})
			if err == nil && len(list.Items) == 0 {
				err = errors.New("there are none")
			}
			return err
		})
	}
}

type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// outcome is what a run of mcsctl came to.
type outcome struct {
	code     int
	out, err string
}

// mcsctl runs the program. Where a test does not say how long to wait, it waits longer than for a person: the machine may be busy.
func mcsctl(t testing.TB, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if waits := []string{"export", "import", "join"}; slices.Contains(waits, args[0]) && !slices.Contains(args, "--wait") {
		args = append(slices.Clone(args), "--wait", "5m")
	}
	if !slices.Contains(args, "--timeout") {
		args = append(slices.Clone(args), "--timeout", "30s")
	}
	code := command.Run(t.Context(), "test", append([]string{"mcsctl"}, args...), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

// wants fails the test unless the run ended with a code and printed the text.
func (o outcome) wants(t testing.TB, code int, text string) {
	t.Helper()
	if o.code != code || !strings.Contains(o.out+o.err, text) {
		t.Errorf("exit code %d, want %d, with %q in\n%s%s", o.code, code, text, o.out, o.err)
	}
}

// golden compares what was printed with testdata/NAME.golden.
func (o outcome) golden(t testing.TB, name string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	got := fmt.Sprintf("%sexit code %d\n", normal(t, o.out), o.code)
	if o.err != "" {
		got += "standard error:\n" + normal(t, o.err)
	}
	if *update {
		kit.Must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	kit.Must(t, err)
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", path, got, want)
	}
}

// eventuallyWell polls until a run of mcsctl ends with exit code 0, and returns that run.
func eventuallyWell(t testing.TB, args ...string) (o outcome) {
	t.Helper()
	kit.Eventually(t, strings.Join(args, " "), func() error {
		if o = mcsctl(t, args...); o.code != 0 {
			return errors.New(o.out + o.err)
		}
		return nil
	})
	return o
}

func namespace(t testing.TB, name string, list ...*cluster) {
	t.Helper()
	for _, c := range list {
		kit.Namespace(t, c.kube, name)
	}
}

// service creates a Service with one port, without a selector, and an EndpointSlice with ready endpoints.
func (c *cluster) service(t testing.TB, ns, name string, addresses ...string) {
	t.Helper()
	kit.Service(t, c.kube, ns, name)
	kit.Slice(t, c.kube, ns, name, "x", addresses)
}

func (c *cluster) export(t testing.TB, ns, name string) {
	t.Helper()
	kit.Export(t, c.mcs, ns, name)
}

// balanced is a Corefile that answers the zone as is recommended (SPEC D18).
const balanced = ".:53 {\n  multicluster clusterset.local\n  kubernetes cluster.local\n  loadbalance\n}\n"

// corefile writes the ConfigMap of the stock CoreDNS.
func (c *cluster) corefile(t testing.TB, text string) {
	t.Helper()
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns"}, Data: map[string]string{"Corefile": text}}
	maps := c.kube.CoreV1().ConfigMaps("kube-system")
	_, err := maps.Create(t.Context(), m, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		_, err = maps.Update(t.Context(), m, metav1.UpdateOptions{})
	}
	kit.Must(t, err)
}

var getOptions = metav1.GetOptions{}

// gone returns an error while there is an import.
func (c *cluster) gone(t testing.TB, ns, name string) error {
	t.Helper()
	err := c.mcs.Get().Namespace(ns).Resource("serviceimports").Name(name).Do(t.Context()).Error()
	if apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("import %s/%s: %v", ns, name, err)
}
