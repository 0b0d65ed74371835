package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// This file is --metrics-secure: metrics over TLS, to those whom the own cluster lets read them, as Kubernetes' own
// components have it. Who is behind a bearer token is asked by a TokenReview, what they may by a SubjectAccessReview.

// reviewTimeout is how long the own cluster may take to say who somebody is and what they may.
const reviewTimeout = 10 * time.Second

// errWho and errMayNot are all that a client is told.
var (
	errWho    = errors.New("unauthorized: want the bearer token of a user of this cluster")
	errMayNot = errors.New("forbidden: want a role that allows the verb get on this path as a nonResourceURL")
)

// gate lets requests through to next from those who may make them.
type gate struct {
	kube kubernetes.Interface
	log  *slog.Logger
	next http.Handler
}

func (g gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), reviewTimeout)
	defer cancel()
	switch err := g.review(ctx, r); {
	case err == nil:
		g.next.ServeHTTP(w, r)
	case errors.Is(err, errWho):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, errMayNot):
		http.Error(w, err.Error(), http.StatusForbidden)
	default:
		g.log.Error("who asks for metrics can't be reviewed; want the ClusterRole system:auth-delegator bound to this program", "err", err)
		http.Error(w, "the cluster can't be asked who you are", http.StatusInternalServerError)
	}
}

// review returns nil for those who may make the request.
func (g gate) review(ctx context.Context, r *http.Request) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || token == "" {
		return errWho
	}
	who, err := g.kube.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	if !who.Status.Authenticated {
		return errWho
	}
	extra := map[string]authorizationv1.ExtraValue{}
	for key, value := range who.Status.User.Extra {
		extra[key] = authorizationv1.ExtraValue(value)
	}
	may, err := g.kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: who.Status.User.Username, UID: who.Status.User.UID, Groups: who.Status.User.Groups, Extra: extra,
			NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "get", Path: r.URL.Path},
		},
	}, metav1.CreateOptions{})
	switch {
	case err != nil:
		return err
	case !may.Status.Allowed:
		return errMayNot
	}
	return nil
}

// selfSigned makes a TLS configuration with a certificate of its own: it keeps tokens from who listens on the way, and lets
// nobody know whom they talk to.
func selfSigned() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "mcs-controller"}, DNSNames: []string{"mcs-controller"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
	}, nil
}
