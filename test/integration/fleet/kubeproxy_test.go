package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	rows "github.com/clusterset/multicluster/test/hostile"
	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/need"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/programs"
)

// kubeProxy is a real one, in a network namespace of its own.
type kubeProxy struct {
	mode     string
	node     *node.Node
	run      *node.Container
	rules    []string // the command that lists its rules
	failures []string // its metrics that count rules that were refused
}

// startProxy runs kube-proxy in a mode against c, on a node of its own of network.
func startProxy(t *testing.T, network *node.Network, c *cluster, number int, p *kubeProxy) {
	t.Helper()
	name := "node-" + p.mode
	addresses := node.Plan(number)
	var err error
	p.node, err = network.AddNode(t.Context(), name, addresses)
	kit.Must(t, err)
	c.node(t, name, addresses.Node[0].String())
	target, err := url.Parse(c.URL())
	kit.Must(t, err)
	address := netip.MustParseAddrPort(net.JoinHostPort(addresses.Node[0].String(), target.Port()))
	listener, err := p.node.Listen(address)
	kit.Must(t, err)
	go forward(listener, target.Host)
	binaries, err := controlplane.Build(t.Context(), os.Stderr)
	kit.Must(t, err)
	const path = "/etc/kube-proxy/kubeconfig"
	p.run, err = p.node.Run(&container.Spec{
		Hostname: name,
		Files:    map[string][]byte{path: kubeconfigFor(t, c, "system:kube-proxy", "https://"+address.String())},
		Env:      []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Args: []string{
			binaries.Path("kube-proxy"), "--kubeconfig=" + path, "--proxy-mode=" + p.mode, "--hostname-override=" + name,
			"--cluster-cidr=" + strings.Join(node.Strings(addresses.Pods), ","),
		},
	})
	kit.Must(t, err)
	t.Cleanup(func() {
		if t.Failed() {
			log := p.run.Log()
			t.Logf("the end of the log of kube-proxy in mode %s:\n%s", p.mode, log[max(0, len(log)-4000):])
		}
	})
}

func kubeconfigFor(t *testing.T, c *cluster, user, server string) []byte {
	t.Helper()
	identity := c.ConfigFor(user)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: identity.CAData}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: identity.CertData, ClientKeyData: identity.KeyData}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: user}
	config.CurrentContext = "c"
	text, err := clientcmd.Write(*config)
	kit.Must(t, err)
	return text
}

// forward connects whoever the listener accepts to target until the listener is closed.
func forward(listener net.Listener, target string) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				_, _ = io.Copy(to, from)
				_ = to.(*net.TCPConn).CloseWrite()
			}()
			_, _ = io.Copy(from, to)
		}()
	}
}

// list returns the rules as the kernel has them.
func (p *kubeProxy) list() (string, error) {
	cmd := p.node.Command(context.Background(), p.rules[0], p.rules[1:]...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%v: %w: %s", p.rules, err, complaint.String())
	}
	return string(out), nil
}

// metrics returns how often kube-proxy brought its rules up to date, and how often that failed.
func (p *kubeProxy) metrics() (syncs, failures int, err error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		return p.node.Dial(ctx, network, address)
	}}
	answer, err := (&http.Client{Transport: transport}).Get("http://127.0.0.1:10249/metrics")
	if err != nil {
		return 0, 0, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(body)) {
		name, rest, _ := strings.Cut(line, "{")
		_, value, _ := strings.Cut(rest, "} ")
		n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		switch {
		case err != nil:
		case name == "kubeproxy_sync_proxy_rules_duration_seconds_count":
			syncs += int(n)
		case slices.Contains(p.failures, name):
			failures += int(n)
		}
	}
	return syncs, failures, nil
}

// follows says whether a change that has nothing to do with the rows, a new Service, arrives in the rules and no rules were
// refused meanwhile.
func (p *kubeProxy) follows(t *testing.T, c *cluster, number int) bool {
	t.Helper()
	_, before, err := p.metrics()
	kit.Must(t, err)
	name, address := fmt.Sprintf("later-%s-%d", p.mode, number), fmt.Sprintf("10.200.%d.1", number)
	c.service(t, "later", name)
	c.slice(t, "later", name, "x", []string{address})
	failed := 0
	kit.EventuallyWithin(t, 3*time.Minute, p.mode+": an unrelated change arrives, or fails", func() error {
		syncs, failures, err := p.metrics()
		if failed = failures - before; err != nil || failed > 0 {
			return err
		}
		rules, err := p.list()
		if err == nil && (syncs == 0 || !strings.Contains(rules, address)) {
			err = fmt.Errorf("after %d syncs there is no %s in %d bytes of rules", syncs, address, len(rules))
		}
		return err
	})
	_, after, err := p.metrics()
	kit.Must(t, err)
	return failed == 0 && after == before
}

// TestKubeProxy_X2: whatever a member has in its objects, kube-proxy of the importing cluster goes on following changes that
// have nothing to do with it, in each mode. What is refused is said, and the rest is imported.
func TestKubeProxy_X2(t *testing.T) {
	need.Packets.OrSkip(t)
	inside, err := programs.Build(t.Context(), io.Discard, "test/node/inside")
	kit.Must(t, err)
	network, err := node.NewNetwork(inside[0])
	kit.Must(t, err)
	t.Cleanup(network.Close)
	var sans []string
	for i := range 2 {
		sans = append(sans, node.Strings(node.Plan(i).Node)...)
	}
	list := start(t,
		controlplane.Options{Name: "p", ServiceCIDRs: []string{"10.98.0.0/16", "fd00:98::/112"}},
		controlplane.Options{Name: "c", AuditLog: true, ServiceCIDRs: []string{"10.97.0.0/16", "fd00:97::/112"}, SANs: sans})
	p, c := list[0], list[1]
	limited, consumer := registered(p), registered(c)
	limited.Consumer, consumer.Provider = false, false
	run(t, &registrations{changed: make(chan struct{}, 1), list: []registration.Registration{limited, consumer}}, nil)
	namespace(t, "hostile", p, c)
	namespace(t, "later", c)
	offered := offerRows(t, p, c)
	kit.Eventually(t, "rows are imported", c.wantImported("hostile", "ports-1000"))
	settle(t, c)
	for i, proxy := range []*kubeProxy{
		{mode: "nftables", rules: []string{"nft", "list", "ruleset"}, failures: []string{
			"kubeproxy_sync_proxy_rules_nftables_sync_failures_total", "kubeproxy_sync_proxy_rules_nftables_cleanup_failures_total"}},
		{mode: "iptables", rules: []string{"iptables-save"}, failures: []string{
			"kubeproxy_sync_proxy_rules_iptables_restore_failures_total", "kubeproxy_sync_proxy_rules_iptables_partial_restore_failures_total"}},
	} {
		t.Run(proxy.mode, func(t *testing.T) {
			if proxy.mode == "iptables" {
				need.IPTables.OrSkip(t)
			}
			startProxy(t, network, c, i, proxy)
			kit.Eventually(t, "kube-proxy is up", func() error { _, _, err := proxy.metrics(); return err })
			rounds := 10 * i
			follows := func() bool { rounds++; return proxy.follows(t, c, rounds) }
			_, failures, err := proxy.metrics()
			kit.Must(t, err)
			if !follows() || failures > 0 {
				t.Errorf("the rules are refused because of %s", culprit(t, p, c, offered, follows))
				return
			}
			wantRules(t, c, proxy)
		})
	}
	if t.Failed() {
		return // the culprit's exports are not all there any longer
	}
	for _, group := range []map[string]rows.Row{rows.Slices, rows.Services} {
		for name, row := range group {
			if !row.Home {
				checkRow(t, c, name, row)
			}
		}
	}
}

// offerRows creates the objects of all rows in p and returns the names of those that its API server lets through.
func offerRows(t *testing.T, p, c *cluster) (names []string) {
	t.Helper()
	for name, row := range hostiles {
		if row.here != nil {
			row.here(t, c, name)
		}
		p.service(t, "hostile", name, some(row.service)...)
		p.slice(t, "hostile", name, "x", []string{rows.Address}, some(row.slice)...)
		p.export(t, "hostile", name, some(row.export)...)
		names = append(names, name)
	}
	for _, group := range []map[string]rows.Row{rows.Slices, rows.Services} {
		for name, row := range group {
			if err := offerRow(t, p, name, row); row.Home != (err != nil) {
				t.Errorf("%s: the API server of the exporting cluster says %v", name, err)
			}
			if row.Name != "" {
				name = row.Name
			}
			if !row.Home {
				names = append(names, name)
			}
		}
	}
	return names
}

// offerRow creates the objects of a row; an error says that the API server does not have such objects.
func offerRow(t *testing.T, p *cluster, name string, row rows.Row) error {
	t.Helper()
	if row.Name != "" {
		name = row.Name
	}
	yes, http, tcp, number := true, "http", corev1.ProtocolTCP, int32(8080)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: http, Port: 80, Protocol: tcp}}},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "hostile", Name: name + "-x", Labels: map[string]string{
			discoveryv1.LabelServiceName: name, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: &http, Port: &number, Protocol: &tcp}},
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{rows.Address}, Conditions: discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes}}},
	}
	if row.Service != nil {
		row.Service(service)
	}
	if row.Slice != nil {
		row.Slice(slice)
	}
	created, err := p.kube.CoreV1().Services("hostile").Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		return judged(t, name, err)
	}
	if service.Status.LoadBalancer.Ingress != nil {
		created.Status = service.Status
		_, err = p.kube.CoreV1().Services("hostile").UpdateStatus(t.Context(), created, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsInvalid(err) { // of a Service that is not of type LoadBalancer
			t.Fatal(err)
		}
	}
	stored, err := p.kube.DiscoveryV1().EndpointSlices("hostile").Create(t.Context(), slice, metav1.CreateOptions{})
	if err != nil {
		return judged(t, name, err)
	}
	if row.Home && (!apiequality.Semantic.DeepEqual(stored.Ports, slice.Ports) || !apiequality.Semantic.DeepEqual(stored.Endpoints, slice.Endpoints)) {
		return errors.New("changed by the API server")
	}
	p.export(t, "hostile", name)
	return nil
}

// judged is err if it is the judgement of an API server about an object.
func judged(t *testing.T, name string, err error) error {
	t.Helper()
	if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) && !strings.Contains(err.Error(), "invalid") {
		t.Fatalf("%s: %v", name, err)
	}
	return err
}

func checkRow(t *testing.T, c *cluster, name string, row rows.Row) {
	t.Helper()
	label := name
	if row.Name != "" {
		name = row.Name
	}
	var want []string
	for _, a := range row.Endpoints {
		want = append(want, "p/"+a)
	}
	kit.Eventually(t, label+": what is good is served", c.wantAddresses("hostile", name, want...))
	said := c.wantSaid("hostile", name, "Refused", row.Refused)
	if row.Refused == "" {
		said = func() error {
			i, err := c.getImport("hostile", name)
			if err == nil && condition(i.Status.Conditions, "Refused") != nil {
				err = fmt.Errorf("the import says %+v", i.Status.Conditions)
			}
			return err
		}
	}
	kit.Eventually(t, label+": the import says why", said)
}

// wantRules holds that the rows' Services are in the rules: otherwise nothing of them would have been tried.
func wantRules(t *testing.T, c *cluster, p *kubeProxy) {
	t.Helper()
	rules, err := p.list()
	kit.Must(t, err)
	services, err := c.kube.CoreV1().Services("hostile").List(t.Context(), metav1.ListOptions{LabelSelector: mcsapi.LabelClusterSet})
	kit.Must(t, err)
	found := 0
	for i := range services.Items {
		s := &services.Items[i]
		if s.Spec.ClusterIP == corev1.ClusterIPNone {
			continue
		}
		if found++; !strings.Contains(rules, s.Spec.ClusterIP) {
			t.Errorf("Service %s, %s, is not in the rules", s.Name, s.Spec.ClusterIP)
		}
	}
	if found < 40 {
		t.Errorf("only %d Services are there", found)
	}
}

// culprit finds the row for which rules are refused, by taking halves of them away. follows says whether none is.
func culprit(t *testing.T, p, c *cluster, names []string, follows func() bool) string {
	t.Helper()
	slices.Sort(names)
	there := map[string]bool{}
	for _, name := range names {
		there[name] = true
	}
	only := func(wanted []string) bool {
		for _, name := range slices.Sorted(maps.Keys(there)) {
			if !slices.Contains(wanted, name) {
				p.unexport(t, "hostile", name)
				delete(there, name)
			}
		}
		for _, name := range wanted {
			if !there[name] {
				p.export(t, "hostile", name)
				there[name] = true
			}
		}
		settle(t, c)
		follows() // a failure of before may still be in the way
		return follows()
	}
	if only(nil) {
		for len(names) > 1 {
			half := names[:len(names)/2]
			if only(half) {
				half = names[len(names)/2:]
			}
			names = half
		}
		return "row " + names[0]
	}
	return "something else than a row"
}
