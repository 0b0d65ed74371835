package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/client-go/rest"

	"github.com/clusterset/multicluster/controller/members"
)

// servers are what probes and Prometheus ask.
type servers struct{ all []*http.Server }

// serve opens the addresses that were asked for, and answers there until stop.
func serve(o *options, home *home, set *members.Set, lead *leadership, metrics *prometheus.Registry, log *slog.Logger) (*servers, error) {
	s := &servers{}
	m := http.NewServeMux()
	m.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{Registry: metrics}))
	if err := s.openMetrics(o, home, m, log); err != nil {
		return nil, err
	}
	h := http.NewServeMux()
	h.HandleFunc("GET /healthz", answer(func(r *http.Request) error { return lead.healthy.Check(r) }))
	h.HandleFunc("GET /readyz", answer(func(*http.Request) error {
		if !set.Complete() {
			return errors.New("not all sources of members have reported yet")
		}
		return nil
	}))
	if err := s.open("--health-probe-bind-address", o.probeAddr, h, nil, log); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// openMetrics serves metrics to everybody, or with --metrics-secure to those who may read them.
func (s *servers) openMetrics(o *options, home *home, m http.Handler, log *slog.Logger) error {
	const flag = "--metrics-bind-address"
	if !o.metricsSecure {
		return s.open(flag, o.metricsAddr, m, nil, log)
	}
	cfg := rest.CopyConfig(home.config)
	cfg.QPS = -1 // reviews are bounded by what asks for them, for each address apart
	kube, err := home.client(cfg)
	if err != nil {
		return fmt.Errorf("--metrics-secure: %w", err)
	}
	config, err := selfSigned()
	if err != nil {
		return fmt.Errorf("--metrics-secure: making a certificate: %w", err)
	}
	return s.open(flag, o.metricsAddr, newGate(kube, log, m), config, log)
}

// open listens on an address and answers there, over TLS if there is a configuration for it.
func (s *servers) open(flag, addr string, handler http.Handler, secure *tls.Config, log *slog.Logger) error {
	if addr == "" || addr == "0" {
		return nil
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%s %s: %w; want host:port, :port, or 0 for none", flag, addr, err)
	}
	log.Info("serving", "flag", flag, "address", listener.Addr().String())
	listener = newCrowded(listener)
	if secure != nil {
		listener = tls.NewListener(listener, secure)
	}
	server := newServer(handler)
	s.all = append(s.all, server)
	go func() { _ = server.Serve(listener) }()
	return nil
}

// newServer returns a server that nobody can keep busy by being slow.
func newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
}

// stop ends all servers, once requests under way are answered.
func (s *servers) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, server := range s.all {
		_ = server.Shutdown(ctx)
	}
}

// answer makes a handler out of a check, in the manner of Kubernetes' own components.
func answer(check func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "ok")
	}
}
