package join

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/controller/registration"
)

// This file finds the path by which the controller reaches the API server that joins: the address, the proxy, and how the
// server's certificate is verified. That is what the given kubeconfig says of its cluster, since it works. Only --server
// replaces a part of it.

// pathOf is the path that a configuration takes, with the content of its files.
func pathOf(cfg *rest.Config) (*clientcmdapi.Cluster, error) {
	cfg = rest.CopyConfig(cfg)
	if err := rest.LoadTLSFiles(cfg); err != nil {
		return nil, err
	}
	path := &clientcmdapi.Cluster{
		Server: cfg.Host, TLSServerName: cfg.ServerName, InsecureSkipTLSVerify: cfg.Insecure, CertificateAuthorityData: cfg.CAData,
		DisableCompression: cfg.DisableCompression,
	}
	if cfg.Proxy == nil {
		return path, nil
	}
	proxy, err := proxyFor(cfg.Proxy, path.Server)
	if proxy != nil {
		path.ProxyURL = proxy.String()
	}
	return path, err
}

func proxyFor(proxy func(*http.Request) (*url.URL, error), server string) (*url.URL, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	return proxy(&http.Request{URL: u})
}

// findPath finds the path to register, and asks whether an API server answers there, before anything is created.
func (r *Request) findPath(ctx context.Context) (err error) {
	if r.here, err = pathOf(r.From.Config); err != nil {
		return fmt.Errorf("%s: %w", r.From.Origin, err)
	}
	if err := r.refuseLocal(ctx, cmp.Or(r.Server, r.here.Server), r.here.ProxyURL); err != nil {
		return err
	}
	r.path = r.here
	if r.Server == "" {
		if err := r.answers(ctx, r.path); err != nil {
			return fmt.Errorf("%s: no API server answers there without the kubeconfig's credentials: %s; want --server with the address at which the controller reaches it",
				r.here.Server, members.Brief(err))
		}
		return nil
	}
	given, direct := r.here.DeepCopy(), r.here.DeepCopy()
	given.Server, direct.Server = r.Server, r.Server
	// What stands in front of an API server has a certificate of its own; the server itself has one of the cluster's CA.
	if ca := rootCA(ctx, r.From); !given.InsecureSkipTLSVerify && len(ca) > 0 {
		direct.CertificateAuthorityData, direct.TLSServerName = ca, ""
	}
	if r.path = direct; r.Unchecked {
		return nil
	}
	for _, r.path = range []*clientcmdapi.Cluster{given, direct} {
		var unverified *tls.CertificateVerificationError
		if err = r.answers(ctx, r.path); !errors.As(err, &unverified) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("--server %s: no API server answers there: %s; want the address at which the controller reaches %s, and --unchecked if this machine does not reach it",
			r.Server, members.Brief(err), r.ID)
	}
	return nil
}

// rootCA is the CA that a cluster gives to its pods for its API server; nil if it can't be read.
func rootCA(ctx context.Context, c *members.Cluster) []byte {
	return []byte(configMap(ctx, c, "kube-root-ca.crt")[corev1.ServiceAccountRootCAKey])
}

// answers returns why no API server answers on a path. It asks without credentials: the identity's don't exist yet, and the
// person's are for the kubeconfig's address only. A server that wants credentials is one.
func (r *Request) answers(ctx context.Context, path *clientcmdapi.Cluster) error {
	cfg, err := r.asController(path, "")
	if err != nil {
		return err
	}
	c := (&members.Cluster{}).Connect(rest.AnonymousClientConfig(cfg), r.From.Config.Timeout)
	if c.Err != nil {
		return c.Err
	}
	version, err := c.Version(ctx)
	switch {
	case apierrors.IsUnauthorized(err), apierrors.IsForbidden(err):
		return nil
	case err == nil && version == "":
		return errors.New("the answer to /version holds no version")
	}
	return err
}

// asController returns the configuration that a controller reads from the registration.
func (r *Request) asController(path *clientcmdapi.Cluster, token string) (*rest.Config, error) {
	content, err := kubeconfig(r.ID, path, token)
	if err != nil {
		return nil, err
	}
	reg := registration.Registered(Registration(r.Set.Namespace, r.ID, r.role(), nil, content))
	return reg.Config, reg.Err
}

// kubeconfig is one that takes a path as the identity, and holds all that it needs, as controllers want it.
func kubeconfig(id string, path *clientcmdapi.Cluster, token string) ([]byte, error) {
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[id] = path
	cfg.AuthInfos[account] = &clientcmdapi.AuthInfo{Token: token}
	cfg.Contexts[id] = &clientcmdapi.Context{Cluster: id, AuthInfo: account}
	cfg.CurrentContext = id
	return clientcmd.Write(*cfg)
}

// try reads a ServiceExport on the path with the new credentials, and makes sure that it is that of the cluster that joins.
func (r *Request) try(ctx context.Context, token string) error {
	path := r.path
	if r.Unchecked {
		path = r.here
	}
	cfg, err := r.asController(path, token)
	if err != nil {
		return err
	}
	as := (&members.Cluster{}).Connect(cfg, r.From.Config.Timeout)
	if as.Err != nil {
		return as.Err
	}
	// A role that was just bound takes a moment to count.
	err = r.await(ctx, func(ctx context.Context) error {
		_, _, err := as.Exports(ctx, metav1.NamespaceDefault, members.Named("none"))
		return err
	})
	if err != nil {
		return fmt.Errorf("the new identity can't read ServiceExports at %s: %s; want --server with the address of the API server of %s itself",
			path.Server, members.Brief(err), r.From.Origin)
	}
	if uid, err := as.UID(ctx); err != nil || uid != r.uid && uid != "" && r.uid != "" {
		return fmt.Errorf("%s is not the API server of %s: %w", path.Server, r.From.Origin,
			cmp.Or(err, errors.New("namespace kube-system has another UID there; want the address of the cluster that joins")))
	}
	return nil
}
