package provider

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
)

// Server serves clusters from one listener, each below a path of its own.
type Server struct {
	clusters    []*Cluster
	http        *httptest.Server
	connections atomic.Int64
}

// Serve starts to serve clusters.
func Serve(clusters ...*Cluster) *Server {
	mux := http.NewServeMux()
	for _, c := range clusters {
		mux.Handle("/"+c.ID+"/", http.StripPrefix("/"+c.ID, c))
	}
	s := &Server{clusters: clusters, http: httptest.NewUnstartedServer(mux)}
	s.http.EnableHTTP2 = true
	s.http.Config.ConnState = s.count
	s.http.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of links that are cut
	s.http.StartTLS()
	return s
}

// URL leads to the server.
func (s *Server) URL() string { return s.http.URL }

// Kubeconfig leads to one cluster by the URL of the server, or by one of something before it.
func Kubeconfig(url, id string) []byte {
	return fmt.Appendf(nil, "apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: \"%s/%s\", insecure-skip-tls-verify: true}}]\n"+
		"users: [{name: c, user: {token: none}}]\ncontexts: [{name: c, context: {cluster: c, user: c}}]\ncurrent-context: c\n", url, id)
}

// Connections is how many connections lead to the server.
func (s *Server) Connections() int64 { return s.connections.Load() }

// Close stops serving.
func (s *Server) Close() {
	for _, c := range s.clusters {
		c.SetDown(true) // ends the watches, which the server would wait for
	}
	s.http.Close()
}

// count keeps the number of connections.
func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed, http.StateHijacked:
		s.connections.Add(-1)
	}
}
