package clusterset

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/node/agent"
	"github.com/clusterset/multicluster/test/node/container"
	"github.com/clusterset/multicluster/test/programs"
)

// A Cluster is one member of a [Set].
type Cluster struct {
	*controlplane.Cluster
	Name      string
	Addresses node.Addresses
	Client    kubernetes.Interface // the administrator's
	Node      *node.Node           // nil without packets
	DNS       netip.AddrPort       // of CoreDNS: Service kube-dns, or without packets a loopback port

	set   *Set
	opts  ClusterOptions
	mcs   *rest.RESTClient // of v1alpha1, which every cluster serves
	agent *agent.Agent
	proxy *node.Container
	dns   *programs.Process // without packets only
}

// bringUp starts the cluster's parts in the order in which they need each other.
func (c *Cluster) bringUp(ctx context.Context) error {
	began := time.Now()
	steps := []func(context.Context) error{c.startControlPlane, c.install, c.startNode, c.startAgent, c.startProxy, c.startDNS}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	c.set.opts.Progress(fmt.Sprintf("cluster %s is up (%.1f s)", c.Name, time.Since(began).Seconds()))
	return nil
}

func (c *Cluster) startControlPlane(ctx context.Context) (err error) {
	c.Cluster, err = controlplane.Start(ctx, controlplane.Options{
		Name:              c.Name,
		ServiceCIDRs:      node.Strings(c.Addresses.Services),
		AdvertiseAddress:  c.Addresses.Node[0].String(),
		SANs:              node.Strings(c.Addresses.Node),
		ControllerManager: true,
		AuditLog:          c.opts.AuditLog,
		Binaries:          c.set.Programs.Kubernetes,
	})
	if err != nil {
		return err
	}
	if c.Client, err = kubernetes.NewForConfig(c.Config()); err != nil {
		return err
	}
	if c.mcs, err = mcsapi.NewClient(c.Config(), "v1alpha1"); err != nil {
		return err
	}
	if c.opts.Bare {
		return nil
	}
	if c.opts.OldCRDs {
		return c.InstallCRDsV010(ctx)
	}
	return c.InstallCRDs(ctx)
}

// Dir is a directory that goes when the cluster does.
func (c *Cluster) Dir() string { return filepath.Dir(c.Kubeconfig()) }

// startNode connects the cluster's machine, and lets the API server, which has no foot in its network, be reached there.
func (c *Cluster) startNode(ctx context.Context) (err error) {
	if c.set.network == nil {
		return nil
	}
	if c.Node, err = c.set.network.AddNode(ctx, c.nodeName(), c.Addresses); err != nil {
		return err
	}
	target, err := url.Parse(c.URL())
	if err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(net.JoinHostPort(c.Addresses.Node[0].String(), target.Port()))
	if err != nil {
		return err
	}
	listener, err := c.Node.Listen(address)
	if err != nil {
		return fmt.Errorf("listening for the API server on the node: %w", err)
	}
	go forward(listener, target.Host)
	return nil
}

func (c *Cluster) nodeName() string { return c.Name + "-node" }

func (c *Cluster) startAgent(ctx context.Context) (err error) {
	config := agent.Config{
		Client: c.Client, Cluster: c.Name, Node: c.nodeName(), Zone: c.Name + "-a", Addresses: c.Addresses,
		Images: map[string][]string{
			"coredns": {c.set.Programs.CoreDNS}, "coredns-multicluster": {c.set.Programs.CoreDNS}, "mcs-controller": {c.set.Programs.Controller},
		},
	}
	if c.Node != nil {
		config.Runtime = agent.OnNode(c.Node)
	} else {
		config.Runtime = agent.OnPaper(c.Addresses)
	}
	c.DNS = netip.AddrPortFrom(c.Addresses.DNS[0], 53)
	c.agent, err = agent.Start(ctx, config)
	return err
}

// startProxy runs kube-proxy on its defaults, as the identity that every cluster has for it, in the node's network.
func (c *Cluster) startProxy(context.Context) (err error) {
	if c.Node == nil {
		return nil
	}
	kubeconfig, err := c.kubeconfigInside("system:kube-proxy")
	if err != nil {
		return err
	}
	const path = "/etc/kube-proxy/kubeconfig"
	c.proxy, err = c.Node.Run(&container.Spec{
		Hostname: c.nodeName(),
		Files:    map[string][]byte{path: kubeconfig},
		Env:      []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Args: []string{
			c.set.Programs.Kubernetes.Path("kube-proxy"),
			"--kubeconfig=" + path,
			"--proxy-mode=nftables",
			"--hostname-override=" + c.nodeName(),
			"--cluster-cidr=" + strings.Join(node.Strings(c.Addresses.Pods), ","),
		},
	})
	return err
}

// kubeconfigInside returns a kubeconfig for a program on the node.
func (c *Cluster) kubeconfigInside(user string) ([]byte, error) {
	identity := c.ConfigFor(user)
	server, err := url.Parse(identity.Host)
	if err != nil {
		return nil, err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{
		Server:                   "https://" + net.JoinHostPort(c.Addresses.Node[0].String(), server.Port()),
		CertificateAuthorityData: identity.CAData,
	}
	config.AuthInfos[user] = &clientcmdapi.AuthInfo{ClientCertificateData: identity.CertData, ClientKeyData: identity.KeyData}
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: user}
	config.CurrentContext = c.Name
	return clientcmd.Write(*config)
}

func (c *Cluster) close() {
	if c.agent != nil {
		c.agent.Stop()
	}
	if c.dns != nil {
		c.dns.Stop(0)
	}
	if c.Node != nil {
		c.Node.Close()
	}
	if c.Cluster != nil {
		c.Cluster.Stop()
	}
}

// forward connects whoever the listener accepts to target, a TCP address of this machine, until the listener is closed.
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
				return // the server is down; its client finds the connection closed
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
