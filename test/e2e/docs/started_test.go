package docs

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/docs"
	"github.com/clusterset/multicluster/test/clusterset"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/programs"
)

// reader is somebody who follows a page, on a machine in the network of the clusters.
type reader struct {
	t    *testing.T
	set  *clusterset.Set
	env  []string
	home string
}

// newReader brings two clusters up that have nothing of ours, and gives the reader a kubeconfig and the programs.
func newReader(t *testing.T) *reader {
	t.Helper()
	set := clusterset.ForTest(t, clusterset.Options{
		Corefile: clusterset.StockCorefile,
		Clusters: []clusterset.ClusterOptions{{Name: "c1", Bare: true}, {Name: "c2", Bare: true}},
	})
	built, err := programs.Build(t.Context(), os.Stderr, "cmd/mcsctl")
	kit.Must(t, err)
	config := clientcmdapi.NewConfig()
	for _, c := range set.Clusters {
		startKubelet(t, c)
		admin := c.Config()
		server, err := url.Parse(admin.Host)
		kit.Must(t, err)
		config.Clusters[c.Name] = &clientcmdapi.Cluster{
			Server: fmt.Sprintf("https://%s:%s", c.Addresses.Node[0], server.Port()), CertificateAuthorityData: admin.CAData,
		}
		config.AuthInfos[c.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: admin.CertData, ClientKeyData: admin.KeyData}
		config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	kit.Must(t, clientcmd.WriteToFile(*config, kubeconfig))
	home := t.TempDir()
	return &reader{t, set, []string{
		"KUBECONFIG=" + kubeconfig, "HOME=" + home,
		"PATH=" + set.Programs.Kubernetes.Dir + ":" + filepath.Dir(built[0]) + ":" + os.Getenv("PATH"),
	}, home}
}

// types runs a command as it stands in a page, in the folder of the repository, and returns what was printed.
func (r *reader) types(command string) string {
	r.t.Helper()
	root, err := programs.Root(r.t.Context())
	kit.Must(r.t, err)
	ctx, cancel := context.WithTimeout(r.t.Context(), 4*time.Minute)
	defer cancel()
	command = strings.ReplaceAll(command, "/tmp/Corefile", filepath.Join(r.home, "Corefile")) // other tests have one, too
	args := append([]string{"-C", root}, r.env...)
	cmd := r.set.Cluster("c1").Node.Command(ctx, "env", append(args, "bash", "-euo", "pipefail", "-c", command)...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	r.t.Logf("$ %s   (%.1f s)\n%s", command, time.Since(began).Seconds(), out)
	if err != nil {
		r.t.Fatalf("%s: %v", command, err)
	}
	return string(out)
}

func (r *reader) follows(page, section string) (last string) {
	r.t.Helper()
	commands, err := docs.Commands(page, section)
	kit.Must(r.t, err)
	for _, command := range commands {
		last = r.types(command)
	}
	return last
}

const client = `
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: default, labels: {app: client}}
spec:
  containers: [{name: client, image: curl, command: [sleep, infinity]}]
`

// TestGettingStarted: from two kubeconfigs to an answered lookup in five commands, those of docs/getting-started.md, on two
// clusters with nothing of ours: real API servers, kube-proxy, pods and packets. Then a pod calls the name. The rest of the page
// follows on the same clusters, in its order.
func TestGettingStarted(t *testing.T) {
	const page = "getting-started.md"
	commands, err := docs.Commands(page, "Five commands")
	kit.Must(t, err)
	if got := len(commands); got > 6 || !strings.Contains(commands[got-1], " run ") {
		t.Fatalf("%d commands, want five and a try from a pod: %q", got, commands)
	}
	r := newReader(t)
	r.follows(page, "A Service to call")
	began := time.Now()
	var explained string
	for _, command := range commands[:5] {
		explained = r.types(command)
	}
	t.Logf("the five commands took %.1f s", time.Since(began).Seconds())
	for _, want := range []string{"all is well", "pod coredns-", "forwards clusterset.local"} {
		if !strings.Contains(explained, want) {
			t.Errorf("the explanation does not say %q", want)
		}
	}
	r.called("http://service1.provider-ns.svc.clusterset.local")
	r.follows(page, "The other direction")
	r.follows(page, "Cleaning up")
	reply, err := r.set.Cluster("c1").Ask(t.Context(), "dns-version.clusterset.local.", dns.TypeTXT)
	kit.Must(t, err)
	if len(reply.Answer) > 0 {
		t.Errorf("--off did not wait until the zone is not answered any longer: %v", reply)
	}

	// The other way of working, on what the first one left (ACK, SPEC A2 A3): a pod calls the derived Service, which needs no
	// CoreDNS of ours.
	const onDemand = "On demand, with a hub"
	if listed := r.follows(page, onDemand); !strings.Contains(listed, "c2 1/1") {
		t.Error("mcsctl services does not show the endpoint")
	}
	r.called("http://amcs-service1.provider-ns")
	r.types("kubectl --context c1 -n provider-ns delete serviceimport service1")
	blocks, err := docs.Blocks(page)
	kit.Must(t, err)
	for _, b := range blocks {
		if b.Section == onDemand && b.Language == "yaml" {
			r.types("kubectl --context c1 apply -f - <<'EOF'\n" + b.Text + "EOF")
		}
	}
	r.types("kubectl --context c1 -n provider-ns wait serviceimport service1 --for=condition=Ready --timeout=30s")
	r.called("http://amcs-service1.provider-ns")
}

// called has a pod of c1 call a URL, until a pod of c2 answers.
func (r *reader) called(url string) {
	r.t.Helper()
	c1 := r.set.Cluster("c1")
	kit.Must(r.t, c1.ApplyYAML(r.t.Context(), []byte(client)))
	if _, err := c1.ReadyPods(r.t.Context(), "default", "app=client", 1); err != nil {
		r.t.Fatal(err)
	}
	pod, err := c1.Shell("default", "client")
	kit.Must(r.t, err)
	kit.Must(r.t, kit.Await(r.t.Context(), func(ctx context.Context) error {
		answer, err := pod.Curl(ctx, url)
		if err == nil && answer.Cluster != "c2" {
			err = fmt.Errorf("%+v answered", answer)
		}
		return err
	}))
}
