package controlplane

import (
	"crypto/sha256"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	adminUser  = "admin"
	adminGroup = "system:masters" // for which RBAC is not asked
)

// Config returns a configuration for the cluster's administrator, who may do everything. It is the caller's to change.
func (c *Cluster) Config() *rest.Config { return c.ConfigFor(adminUser, adminGroup) }

// ConfigFor returns a configuration for another identity: a client certificate signed by the cluster's CA. It may do what
// RBAC gives to the user and the groups, at first nothing but discovery. Client-side rate limiting is off; a test of that
// sets QPS and Burst itself.
func (c *Cluster) ConfigFor(user string, groups ...string) *rest.Config {
	pair := c.identity(user, groups)
	return &rest.Config{
		Host: c.url,
		TLSClientConfig: rest.TLSClientConfig{
			CAData: c.ca.pem, CertData: pair.cert, KeyData: pair.key,
		},
		QPS: -1,
	}
}

// identity returns the one certificate that the user in these groups has.
func (c *Cluster) identity(user string, groups []string) keyPair {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := identityKey(user, groups)
	pair, ok := c.identities[key]
	if !ok {
		var err error
		if pair, err = c.ca.client(user, groups...); err != nil {
			panic(fmt.Sprintf("controlplane: signing a certificate for %q: %v", user, err)) // only a broken CA does that
		}
		c.identities[key] = pair
	}
	return pair
}

func identityKey(user string, groups []string) string { return fmt.Sprintf("%q in %q", user, groups) }

// Kubeconfig returns the path of the administrator's kubeconfig. Its one context has the cluster's name. The file goes
// when the cluster is stopped.
func (c *Cluster) Kubeconfig() string { return c.kubeconfigPath("admin") }

// KubeconfigFor writes a kubeconfig for another identity (see [Cluster.ConfigFor]), and returns its path.
func (c *Cluster) KubeconfigFor(user string, groups ...string) (string, error) {
	path := c.kubeconfigPath(fmt.Sprintf("user-%.12x", sha256.Sum256([]byte(identityKey(user, groups)))))
	return path, c.writeKubeconfig(path, user, groups...)
}

// KubeconfigContent returns a kubeconfig for an identity (see [Cluster.ConfigFor]) that calls the API server at another
// URL than [Cluster.URL]: one that leads to it from where the file will be used. The URL's host must be among
// [Options.SANs].
func (c *Cluster) KubeconfigContent(url, user string, groups ...string) ([]byte, error) {
	cfg := clientcmdapi.NewConfig()
	c.addTo(cfg, user, groups...)
	cfg.Clusters[c.opts.Name].Server = url
	cfg.CurrentContext = c.opts.Name
	return clientcmd.Write(*cfg)
}

func (c *Cluster) kubeconfigPath(name string) string {
	return c.path(name + ".kubeconfig")
}

func (c *Cluster) writeKubeconfig(path, user string, groups ...string) error {
	content, err := c.KubeconfigContent(c.url, user, groups...)
	if err != nil {
		return err
	}
	return replaceFile(path, content)
}

// MergedKubeconfig writes a kubeconfig with one context for each cluster's administrator, named as the cluster is; the
// first is the current one. The file at path is the caller's to remove. Two clusters of one name are an error.
func MergedKubeconfig(path string, clusters ...*Cluster) error {
	cfg := clientcmdapi.NewConfig()
	for _, c := range clusters {
		if _, taken := cfg.Contexts[c.opts.Name]; taken {
			return fmt.Errorf("writing %s: two clusters are named %q", path, c.opts.Name)
		}
		c.addTo(cfg, adminUser, adminGroup)
	}
	if len(clusters) > 0 {
		cfg.CurrentContext = clusters[0].opts.Name
	}
	content, err := clientcmd.Write(*cfg)
	if err != nil {
		return err
	}
	return replaceFile(path, content)
}

func (c *Cluster) addTo(cfg *clientcmdapi.Config, user string, groups ...string) {
	name, pair := c.opts.Name, c.identity(user, groups)
	cfg.Clusters[name] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthorityData: c.ca.pem}
	cfg.AuthInfos[name+"-"+user] = &clientcmdapi.AuthInfo{ClientCertificateData: pair.cert, ClientKeyData: pair.key}
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name + "-" + user}
}

// replaceFile replaces the file at path at once, so that a program that watches it never reads half.
func replaceFile(path string, content []byte) error {
	part := path + ".part"
	if err := os.WriteFile(part, content, 0o600); err != nil {
		return err
	}
	return os.Rename(part, path)
}
