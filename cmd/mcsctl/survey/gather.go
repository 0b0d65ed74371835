// Package survey looks at a clusterset as a whole: its members, and every multi-cluster service.
//
// gather.go reads, of all clusters at once; services.go and status.go put together what was read, and know no client. To
// say why one service does not work is for package explain, and whether the set is set up well for package check.
package survey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Cluster is what one cluster holds.
type Cluster struct {
	Member *members.Cluster
	// Down says why the cluster gave no answer; "" if it did.
	Down string
	// Problems are what could not be read, and why.
	Problems []string
	// Version is the API server's, Answered how long it took to say so.
	Version  string
	Answered time.Duration
	// ExportVersion and ImportVersion are the served API versions; "" where a kind is not served.
	ExportVersion, ImportVersion string

	Exports []mcs.ServiceExport
	Imports []mcs.ServiceImport
	// Slices are the imported ones.
	Slices []discoveryv1.EndpointSlice
	// Servers are the name servers, where they were asked for.
	Servers []nameserver.Server
	// ServersHidden says that these credentials may not look at them.
	ServersHidden bool
}

// Gather reads all exports and imports, the imported slices, and, for a zone, what the name servers do with it.
func Gather(ctx context.Context, set *members.Set, zone string) []Cluster {
	out := make([]Cluster, len(set.Clusters))
	var wg sync.WaitGroup
	for i, c := range set.Clusters {
		out[i].Member = c
		wg.Go(func() { out[i].gather(ctx, set.Namespace, zone) })
	}
	wg.Wait()
	return out
}

func (c *Cluster) gather(ctx context.Context, mcsNamespace, zone string) {
	m := c.Member
	if m.Err != nil {
		c.Down = m.Err.Error()
		return
	}
	var mu sync.Mutex
	note := func(what string, err error) {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
		case members.Unreachable(err):
			c.Down = members.Brief(err)
		case errors.Is(err, mcsapi.ErrNotServed):
			c.Problems = append(c.Problems, what+" are not served: the CRD is missing")
		case apierrors.IsForbidden(err):
			c.Problems = append(c.Problems, what+" may not be read")
		default:
			c.Problems = append(c.Problems, fmt.Sprintf("%s can't be read: %v", what, err))
		}
	}
	start := time.Now()
	version, err := m.Version(ctx)
	note("the server's version", err)
	c.Version, c.Answered = version, time.Since(start)
	if c.Down != "" {
		return
	}
	var wg sync.WaitGroup
	all := metav1.ListOptions{}
	if m.Provider {
		wg.Go(func() {
			var err error
			c.Exports, c.ExportVersion, err = m.Exports(ctx, "", all)
			note("ServiceExports", err)
		})
	}
	if m.Consumer {
		wg.Go(func() {
			var err error
			c.Imports, c.ImportVersion, err = m.Imports(ctx, "", all)
			note("ServiceImports", err)
		})
		wg.Go(func() {
			var err error
			c.Slices, err = m.Slices(ctx, "", discoveryv1.LabelManagedBy, mcsapi.ManagedBy)
			note("EndpointSlices", err)
		})
		if zone != "" {
			wg.Go(func() {
				var err error
				c.Servers, err = nameserver.Servers(ctx, m.Kube, mcsNamespace, zone)
				if apierrors.IsForbidden(err) { // the identity of a registration may not, and need not
					c.ServersHidden, err = true, nil
				}
				note("CoreDNS", err)
			})
		}
	}
	wg.Wait()
}

// Trouble is why the cluster could not be read as a whole, in one line.
func (c *Cluster) Trouble() string {
	if c.Down != "" {
		return "can't be reached from here: " + c.Down
	}
	return strings.Join(slices.Sorted(slices.Values(c.Problems)), "; ")
}
