package clusterset

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Who the controller is in every cluster: the identity that deploy/overlays/fleet-member makes.
const (
	controllerNamespace = "mcs-system"
	controllerAccount   = "mcs-provider"

	// ControllerUser is what audit logs call it.
	ControllerUser = "system:serviceaccount:" + controllerNamespace + ":" + controllerAccount
)

// install gives the controller and CoreDNS their rights in the cluster: those, and the way, that deploy/ has for users.
// Nobody is an administrator.
func (c *Cluster) install(ctx context.Context) error {
	if c.opts.Bare {
		return nil
	}
	for _, folder := range []string{"deploy/overlays/fleet-member", "deploy/coredns-stock"} {
		if _, err := c.Kubectl(ctx, nil, "apply", "-k", filepath.Join(c.set.source, folder)); err != nil {
			return err
		}
	}
	return c.writeControllerKubeconfig(ctx)
}

// ControllerKubeconfig is the path of the kubeconfig that the controller reaches this cluster with.
func (c *Cluster) ControllerKubeconfig() string {
	return filepath.Join(c.Dir(), "mcs-controller.kubeconfig")
}

func (c *Cluster) writeControllerKubeconfig(ctx context.Context) error {
	content, err := c.ControllerCredentials(ctx, c.URL())
	if err != nil {
		return err
	}
	return os.WriteFile(c.ControllerKubeconfig(), content, 0o600)
}

// ControllerCredentials returns a kubeconfig with a new token for the controller, which reaches the API server at url.
func (c *Cluster) ControllerCredentials(ctx context.Context, url string) ([]byte, error) {
	lifetime := int64(24 * 60 * 60)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &lifetime}}
	answer, err := c.Client.CoreV1().ServiceAccounts(controllerNamespace).CreateToken(ctx, controllerAccount, request, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("a token for the controller: %w", err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{Server: url, CertificateAuthorityData: c.Config().CAData}
	config.AuthInfos[controllerAccount] = &clientcmdapi.AuthInfo{Token: answer.Status.Token}
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: controllerAccount}
	config.CurrentContext = c.Name
	return clientcmd.Write(*config)
}
