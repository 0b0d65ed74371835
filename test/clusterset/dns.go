package clusterset

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/clusterset/multicluster/test/kit"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/programs"
)

//go:embed manifests/coredns.yaml
var corednsManifest string

// StockCorefile is the Corefile that kubeadm writes, in which what differs is how often it is looked at: seconds, for a test's sake.
const StockCorefile = `.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload 2s 1s
    loadbalance
}
`

// startDNS runs CoreDNS and returns when it answers for both zones.
func (c *Cluster) startDNS(ctx context.Context) error {
	if c.Node == nil {
		return c.startLoopbackDNS(ctx)
	}
	if err := c.SetCorefile(ctx, c.set.opts.Corefile); err != nil {
		return err
	}
	addresses := node.Strings(c.Addresses.DNS)
	manifest := strings.NewReplacer("@FIRST@", addresses[0], "@ALL@", "["+quoted(addresses)+"]").Replace(corednsManifest)
	if err := c.ApplyYAML(ctx, []byte(manifest)); err != nil {
		return err
	}
	return c.AwaitDNS(ctx)
}

// AwaitDNS waits until CoreDNS is ready, and what asks Service kube-dns reaches it.
func (c *Cluster) AwaitDNS(ctx context.Context) error {
	pods, err := c.ReadyPods(ctx, metav1.NamespaceSystem, "k8s-app=kube-dns", 1)
	if err != nil {
		return err
	}
	return c.AwaitRules(ctx, metav1.NamespaceSystem, "kube-dns", EveryPort, PodIPs(pods...))
}

func quoted(list []string) string { return `"` + strings.Join(list, `", "`) + `"` }

// SetCorefile replaces the Corefile in the ConfigMap. CoreDNS has it when its pod is started the next time.
func (c *Cluster) SetCorefile(ctx context.Context, corefile string) error {
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "coredns", Namespace: metav1.NamespaceSystem},
		Data:       map[string]string{"Corefile": corefile},
	}
	maps := c.Client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	_, err := maps.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		_, err = maps.Update(ctx, object, metav1.UpdateOptions{})
	}
	return err
}

// loopbackCorefile is what stands in for the Corefile where CoreDNS is no pod: a port of its own, no ports for
// health, readiness and metrics, and a kubeconfig, since there is no service account.
const loopbackCorefile = `.:%[1]d {
    bind 127.0.0.1
    errors
    multicluster clusterset.local {
        kubeconfig %[2]s
    }
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        kubeconfig %[2]s
        pods verified
        ttl 30
        fallthrough in-addr.arpa ip6.arpa
    }
    cache 30 {
        disable success cluster.local clusterset.local
        disable denial cluster.local clusterset.local
    }
    loadbalance
}
`

// startLoopbackDNS runs CoreDNS on this machine, on a port that was free a moment ago; somebody else may be faster.
func (c *Cluster) startLoopbackDNS(ctx context.Context) (err error) {
	for range 5 {
		if err = c.tryLoopbackDNS(ctx); err == nil || ctx.Err() != nil {
			return err
		}
	}
	return err
}

func (c *Cluster) tryLoopbackDNS(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	corefile := fmt.Sprintf(loopbackCorefile, port.Port(), c.Kubeconfig())
	if c.dns, err = programs.StartWithInput(corefile, c.set.Programs.CoreDNS, "-conf", "stdin"); err != nil {
		return err
	}
	c.DNS = port
	err = kit.Await(ctx, func(ctx context.Context) error {
		if err := c.dns.Err(); err != nil {
			return errors.Join(kit.ErrHopeless, err)
		}
		reply, err := c.Ask(ctx, "clusterset.local.", dns.TypeSOA)
		if err != nil {
			return err
		}
		if reply.Rcode != dns.RcodeSuccess {
			return fmt.Errorf("asking for the zone gave %s", dns.RcodeToString[reply.Rcode])
		}
		return nil
	})
	if err != nil {
		c.dns.Kill()
	}
	return err
}

// freePort returns a port of loopback that is free for UDP and TCP.
func freePort() (netip.AddrPort, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer listener.Close()
	conn, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer conn.Close()
	return netip.ParseAddrPort(listener.Addr().String())
}

// Ask sends one question to the cluster's DNS over UDP: from the node to the address of Service kube-dns, or, without
// packets, to the loopback port.
func (c *Cluster) Ask(ctx context.Context, name string, qtype uint16) (*dns.Msg, error) {
	return c.AskAt(ctx, c.DNS, name, qtype)
}

// AskAt is [Cluster.Ask] for a server at any address that can be reached from there.
func (c *Cluster) AskAt(ctx context.Context, server netip.AddrPort, name string, qtype uint16) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // that of resolv.conf
	defer cancel()
	dial := new(net.Dialer).DialContext
	if c.Node != nil {
		dial = c.Node.Dial
	}
	conn, err := dial(ctx, "udp", server.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	question := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype).SetEdns0(1232, false)
	reply, _, err := new(dns.Client).ExchangeWithConnContext(ctx, question, &dns.Conn{Conn: conn, UDPSize: 1232})
	return reply, err
}
