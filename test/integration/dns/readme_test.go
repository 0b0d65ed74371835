package dns

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestReadme starts the real binary with every Corefile in the plugin's README, and with every option that its syntax lists.
func TestReadme(t *testing.T) {
	body, err := os.ReadFile("../../../plugin/README.md")
	if err != nil {
		t.Fatal(err)
	}
	c := sharedCluster(t)
	local := strings.NewReplacer(
		". {", ".:{port} {\n    bind 127.0.0.1", "clusterset.local {\n    multi", "clusterset.local:{port} {\n    bind 127.0.0.1\n    multi",
		"    ready\n", "    ready 127.0.0.1:{port:ready}\n",
		"    multicluster clusterset.local\n", "    multicluster clusterset.local {\n        kubeconfig "+c.Kubeconfig()+"\n    }\n",
		"kubeconfig /etc/coredns/kubeconfig", "kubeconfig "+c.Kubeconfig(),
		"ip6.arpa\n", "ip6.arpa {\n        kubeconfig "+c.Kubeconfig()+"\n    }\n",
		"10.96.0.53", "127.0.0.1:{port:nobody}", "10.0.0.2", "127.0.0.1:{port:secondary}",
	)
	examples := regexp.MustCompile("(?s)~~~ corefile\n(.*?)~~~").FindAllStringSubmatch(string(body), -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples found", len(examples))
	}
	exists := want{name: "svc.clusterset.local.", qtype: dns.TypeA} // whatever is imported (SPEC D5)
	for n, example := range examples {
		t.Run(fmt.Sprint(n), func(t *testing.T) { serve(t, local.Replace(example[1])).answers(exists) })
	}

	values := map[string]string{
		"kubeconfig KUBECONFIG [CONTEXT]": "kubeconfig " + c.Kubeconfig() + " " + c.Name(), "ttl TTL": "ttl 3600",
		"namespaces NAMESPACE...": "namespaces a b", "labels EXPRESSION": "labels team in (blue, red)", "noendpoints": "noendpoints",
		"fallthrough [ZONES...]": "fallthrough clusterset.local", "startup_timeout DURATION": "startup_timeout 1s",
	}
	syntax := regexp.MustCompile(`(?s)multicluster \[ZONES\.\.\.\] \{\n(.*?)\}`).FindStringSubmatch(string(body))
	var options []string
	for _, line := range strings.Split(strings.TrimSpace(syntax[1]), "\n") {
		value, ok := values[strings.TrimSpace(line)]
		if !ok {
			t.Errorf("option %q of the README has no example in this test", line)
		}
		options = append(options, "        "+value)
	}
	t.Run("options", func(t *testing.T) {
		serve(t, ".:{port} {\n    bind 127.0.0.1\n    multicluster clusterset.local {\n"+strings.Join(options, "\n")+"\n    }\n}\n").answers(exists)
	})
}
