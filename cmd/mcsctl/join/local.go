package join

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/internal/shell"
)

// local reports whether a URL is for programs on this machine only: in a pod, the same address is the pod's own.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761, section 6.3
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsUnspecified()
}

// redacted is a URL without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "(not a URL)"
	}
	return u.Redacted()
}

// localPath says why a controller in pods can't take a path, and what to give instead; nil if it may. advertised is the URL at which the
// API server says it is, "" if it does not; own says that the controller runs in the same cluster.
func localPath(server, proxy, advertised string, own bool) error {
	switch {
	case local(proxy):
		return fmt.Errorf("proxy-url %s is an address of this machine only, and the controller runs in a pod; want --from-kubeconfig with a proxy that pods reach, or with none", redacted(proxy))
	case !local(server):
		return nil
	case own:
		return fmt.Errorf("%s is an address of this machine only, and the controller runs in a pod of that cluster; want %s, the API server's name in it",
			server, shell.Command("--server %s --unchecked", members.InHome))
	case advertised == "" || local(advertised):
		return fmt.Errorf("%s is an address of this machine only, and the controller runs in a pod; want --server with the address at which pods of its cluster reach that API server, and --unchecked if this machine does not reach it", server)
	}
	return fmt.Errorf("%s is an address of this machine only, and the controller runs in a pod; want %s, the address of that API server on its own network, if pods of the controller's cluster reach it, or another one; and --unchecked if this machine does not reach it",
		server, shell.Command("--server %s", advertised))
}

// refuseLocal refuses a path that only this machine can take where the controller runs in pods, which its Deployment tells.
func (r *Request) refuseLocal(ctx context.Context, server, proxy string) error {
	if r.Set.Controller == nil || !local(server) && !local(proxy) {
		return nil
	}
	home, err := r.Set.Home().UID(ctx)
	return localPath(server, proxy, advertised(ctx, r.From), err == nil && home != "" && home == r.uid)
}

// advertised is the URL at which an API server says it is: the first endpoint of its own Service.
func advertised(ctx context.Context, c *members.Cluster) string {
	list, err := c.Slices(ctx, metav1.NamespaceDefault, discoveryv1.LabelServiceName, "kubernetes")
	if err != nil {
		return ""
	}
	for i := range list {
		s := &list[i]
		for _, e := range s.Endpoints {
			for _, address := range e.Addresses {
				ip, err := netip.ParseAddr(address)
				if err == nil && len(s.Ports) > 0 && s.Ports[0].Port != nil {
					return "https://" + netip.AddrPortFrom(ip, uint16(*s.Ports[0].Port)).String()
				}
			}
		}
	}
	return ""
}
