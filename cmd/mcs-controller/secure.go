package main

import (
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

	"golang.org/x/time/rate"
	"k8s.io/client-go/kubernetes"
)

// This file is --metrics-secure: metrics over TLS, to those whom the own cluster lets read them, as Kubernetes' own
// components have it. Who is behind a bearer token is asked by a TokenReview, what they may by a SubjectAccessReview (review.go).

// gate lets requests through to next from those who may make them.
type gate struct {
	reviews *reviews
	log     *slog.Logger
	next    http.Handler
	failing *rate.Sometimes // logs that reviews fail: strangers can have them fail as often as they like
}

func newGate(kube kubernetes.Interface, log *slog.Logger, next http.Handler) gate {
	return gate{newReviews(askCluster(kube)), log, next, &rate.Sometimes{Interval: time.Minute}}
}

func (g gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = ""
	}
	switch err := g.reviews.verdict(r.Context(), addressOf(r.RemoteAddr), token, r.URL.Path); {
	case err == nil:
		g.next.ServeHTTP(w, r)
	case errors.Is(err, errWho):
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, err.Error(), http.StatusUnauthorized)
	case errors.Is(err, errMayNot):
		http.Error(w, err.Error(), http.StatusForbidden)
	case errors.Is(err, errTooMany):
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	default:
		g.failing.Do(func() {
			g.log.Error("who asks for metrics can't be reviewed; want the ClusterRole system:auth-delegator bound to this program", "err", err)
		})
		http.Error(w, "the cluster can't be asked who you are", http.StatusInternalServerError)
	}
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
