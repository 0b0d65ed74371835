package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/clusterset/multicluster/test/clusterset"
)

// Clock is how times are written.
const Clock = "15:04:05.000"

// pace is the time between two requests, and two queries, of one client.
const pace = 100 * time.Millisecond

// Tally is what the clients saw.
type Tally struct {
	Requests, Queries int
	Excused           map[string]int // failures while something was broken on purpose that they need, by what
	Unresolved        []string       // failed queries that nothing explains
	Unanswered        []string       // failed requests that nothing explains
	Trespasses        []string       // answers of pods that were never exported
}

// broken says which invariants are. Packets may be lost on a busy machine, so that a lone request that failed is reported
// only; DNS and the controller have no such excuse.
func (t Tally) broken() error {
	const shown, tolerated = 5, 0.005
	var errs []error
	lists := [][]string{t.Unresolved, t.Trespasses}
	if float64(len(t.Unanswered)) > tolerated*float64(t.Requests) {
		lists = append(lists, t.Unanswered)
	}
	for _, list := range lists {
		for i, line := range list {
			if i == shown {
				errs = append(errs, fmt.Errorf("and %d more", len(list)-shown))
				break
			}
			errs = append(errs, errors.New(line))
		}
	}
	if t.Requests == 0 || t.Queries == 0 {
		errs = append(errs, fmt.Errorf("the clients made %d requests and %d queries", t.Requests, t.Queries))
	}
	return errors.Join(errs...)
}

// excuse explains failures of a cluster's clients, or of all clusters' with "", in a time.
type excuse struct {
	cluster, reason string
	from, to        time.Time
}

// failure is a request or a query that failed.
type failure struct {
	cluster  string
	query    bool
	from, to time.Time
	err      error
}

// clients use the service without pause, one pair in every cluster.
type clients struct {
	cancel  context.CancelFunc
	running sync.WaitGroup
	resting sync.RWMutex // held while they pause

	mu       sync.Mutex
	tally    Tally
	failures []failure
}

func startClients(ctx context.Context, w *world) *clients {
	ctx, cancel := context.WithCancel(ctx)
	k := &clients{cancel: cancel, tally: Tally{Excused: map[string]int{}}}
	for _, c := range w.Clusters {
		k.use(ctx, c, &k.tally.Requests, func(ctx context.Context) error { return k.request(ctx, c) })
		k.use(ctx, c, &k.tally.Queries, func(ctx context.Context) error { return resolves(ctx, c) })
	}
	return k
}

// use does something again and again until ctx ends.
func (k *clients) use(ctx context.Context, c *clusterset.Cluster, count *int, do func(context.Context) error) {
	k.running.Go(func() {
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for ctx.Err() == nil {
			k.resting.RLock()
			from := time.Now()
			err := do(ctx)
			to := time.Now()
			k.resting.RUnlock()
			if ctx.Err() != nil {
				return
			}
			k.mu.Lock()
			*count++
			if err != nil {
				k.failures = append(k.failures, failure{c.Name, count == &k.tally.Queries, from, to, err})
			}
			k.mu.Unlock()
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
}

// request asks the service once, over a new connection, as a pod of the cluster.
func (k *clients) request(ctx context.Context, c *clusterset.Cluster) error {
	shell, err := c.Shell(namespace, "client")
	if err != nil {
		return err
	}
	answer, err := shell.Curl(ctx, domain, "--write-out", "%{stderr} to %{remote_ip} from port %{local_port}, name resolved after %{time_namelookup} s")
	if err != nil {
		return err
	}
	if !slices.Contains(exporters, answer.Cluster) {
		k.mu.Lock()
		k.tally.Trespasses = append(k.tally.Trespasses, fmt.Sprintf("a request from cluster %s was answered by %s", c.Name, strings.TrimSpace(answer.String())))
		k.mu.Unlock()
	}
	return nil
}

// resolves asks the cluster's CoreDNS, and once more where there is no reply, as every resolver does.
func resolves(ctx context.Context, c *clusterset.Cluster) error {
	reply, err := c.Ask(ctx, domain+".", dns.TypeA)
	if err != nil && ctx.Err() == nil {
		reply, err = c.Ask(ctx, domain+".", dns.TypeA)
	}
	if err != nil {
		return err
	}
	if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) == 0 {
		return fmt.Errorf("DNS of cluster %s: %s has no address: %s", c.Name, domain, dns.RcodeToString[reply.Rcode])
	}
	return nil
}

// pause makes the clients wait, and returns what lets them go on.
func (k *clients) pause() (resume func()) {
	k.resting.Lock()
	return k.resting.Unlock
}

// stop ends the clients and returns what they saw, with the failures that can be explained told from the others.
func (k *clients) stop(excuses []excuse) Tally {
	k.cancel()
	k.running.Wait()
	for _, f := range k.failures {
		i := slices.IndexFunc(excuses, func(e excuse) bool {
			return (e.cluster == "" || e.cluster == f.cluster) && !f.to.Before(e.from) && !f.from.After(e.to)
		})
		if i >= 0 {
			k.tally.Excused[excuses[i].reason]++
			continue
		}
		list := &k.tally.Unanswered
		if f.query {
			list = &k.tally.Unresolved
		}
		*list = append(*list, fmt.Sprintf("cluster %s, %s: %v", f.cluster, f.from.Format(Clock), f.err))
	}
	return k.tally
}
