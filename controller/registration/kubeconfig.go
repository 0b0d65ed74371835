package registration

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/internal/excerpt"
)

// kubeconfigFile reads a kubeconfig file, and returns the client configuration of a context, or of the current one for "",
// and a revision that changes with the file's content.
func kubeconfigFile(path, context string) (*rest.Config, string, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	cfg, err := clientcmd.Load(content)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not a kubeconfig: %w", path, oneLine(err))
	}
	// Relative paths in a kubeconfig are relative to the file.
	for _, c := range cfg.Clusters {
		c.LocationOfOrigin = path
	}
	for _, a := range cfg.AuthInfos {
		a.LocationOfOrigin = path
	}
	if err := clientcmd.ResolveLocalPaths(cfg); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, oneLine(err))
	}
	rc, err := configOf(cfg, context)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	return rc, revision(content, []byte(context)), nil
}

// kubeconfigData is kubeconfigFile for a kubeconfig that comes from outside: it must carry its credentials inside. A path
// in it would read a file of the controller, and a command would run beside the controller, for whoever may write it.
func kubeconfigData(content []byte) (*rest.Config, string, error) {
	cfg, err := clientcmd.Load(content)
	if err != nil {
		return nil, "", fmt.Errorf("not a kubeconfig: %w", oneLine(err))
	}
	for name, c := range cfg.Clusters {
		if c.CertificateAuthority != "" {
			return nil, "", fmt.Errorf("cluster %q: certificate-authority is a path; want certificate-authority-data", name)
		}
	}
	for name, a := range cfg.AuthInfos {
		if err := credentialsInside(name, a); err != nil {
			return nil, "", err
		}
	}
	rc, err := configOf(cfg, "")
	if err != nil {
		return nil, "", err
	}
	return rc, revision(content), nil
}

// credentialsInside says what of a user's credentials lies outside of the kubeconfig; nil if nothing does.
func credentialsInside(name string, a *clientcmdapi.AuthInfo) error {
	switch {
	case a.ClientCertificate != "":
		return fmt.Errorf("user %q: client-certificate is a path; want client-certificate-data", name)
	case a.ClientKey != "":
		return fmt.Errorf("user %q: client-key is a path; want client-key-data", name)
	case a.TokenFile != "":
		return fmt.Errorf("user %q: tokenFile is a path; want token", name)
	case a.Exec != nil:
		return fmt.Errorf("user %q: exec is not allowed here; want token or client-certificate-data", name)
	case a.AuthProvider != nil:
		return fmt.Errorf("user %q: auth-provider is not allowed here; want token or client-certificate-data", name)
	}
	return nil
}

// configOf makes a client configuration out of one context, and names what the file lacks for it.
func configOf(cfg *clientcmdapi.Config, context string) (*rest.Config, error) {
	if context == "" {
		context = cfg.CurrentContext
	}
	if context == "" {
		return nil, errors.New("no current-context; want one, or a context by name")
	}
	c, ok := cfg.Contexts[context]
	if !ok {
		return nil, fmt.Errorf("no context %q; it has %s", context, names(cfg.Contexts))
	}
	cluster, ok := cfg.Clusters[c.Cluster]
	if !ok {
		return nil, fmt.Errorf("context %q names cluster %q, which is not there; want one of %s", context, c.Cluster, names(cfg.Clusters))
	}
	if err := checkURLs(cluster); err != nil {
		return nil, fmt.Errorf("cluster %q: %w", c.Cluster, err)
	}
	rc, err := clientcmd.NewNonInteractiveClientConfig(*cfg, context, &clientcmd.ConfigOverrides{}, nil).ClientConfig()
	if err != nil {
		return nil, oneLine(err)
	}
	return rc, nil
}

// checkURLs refuses what others would quote in their errors together with the credentials in it.
func checkURLs(c *clientcmdapi.Cluster) error {
	if strings.Contains(c.Server, "@") {
		return errors.New("server holds a user; want https://host:port, and the user under users")
	}
	if _, err := url.Parse(c.ProxyURL); err != nil {
		return errors.New("proxy-url is no URL; want such as http://host:port")
	}
	return nil
}

// names lists the keys of a map for people.
func names[V any](m map[string]V) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}

func revision(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write(p)
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// oneLine makes an error of one line, which is not long.
func oneLine(err error) error {
	if strings.Contains(err.Error(), "\n") {
		err = errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	return excerpt.Error(err)
}
