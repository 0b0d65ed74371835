package members

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/clusterset/multicluster/controller/liveness"
)

// This file is how a member is: whether it is reached, and why it is not complete.

// sighting returns what is known of the member as a provider: it is reached if its API answered the last probe, not long ago, the kinds
// are served, and each of its streams is followed or could be opened again (SPEC L10). One that comes and goes is not reached: what
// consumers hold of it grows old (SPEC L6). From one answer to the next take the interval and two waits of the connection's loop: for
// the ranges of Services, which it reads now and then, and for the answer itself.
func (m *Member) sighting() liveness.Observation {
	s := liveness.Observation{Joined: m.joined}
	if c := m.conn.Load(); c != nil {
		heard := c.heard.Load()
		s.At, s.Met = heard.At, c.providerSynced()
		now := time.Now()
		s.OK = heard.within(now, c.interval+2*m.opts.patience()) && c.providerProblem() == nil && m.asProvider.problem(now) == nil
	}
	return s
}

// reached reports whether the member is reached as a provider now.
func (m *Member) reached() bool { return m.sighting().OK }

// providerProblem returns why the provider's side of the connection does not follow its cluster; nil if it does.
func (c *connection) providerProblem() error {
	for _, err := range []error{c.exports.Problem(exportResource), c.services.State().Err, c.sources.State().Err} {
		if err != nil {
			return err
		}
	}
	return nil
}

// report logs the state of a connection when it changes in kind: once per outage, and once on recovery. It is called by the
// connection's loop only.
func (m *Member) report(c *connection, err error) {
	problems := c.problems(err)
	names := make([]string, len(problems))
	for i, p := range problems {
		names[i] = p.what
	}
	slices.Sort(names)
	now := strings.Join(slices.Compact(names), ", ")
	before, live := c.problem, m.conn.Load()
	c.problem = now
	switch {
	case now == before || now == "" && live != c:
	case now == "":
		m.log.Info("the cluster is reachable and complete again")
	default:
		errs := make([]error, len(problems))
		for i, p := range problems {
			errs[i] = p.err
		}
		what := "the cluster is not complete; what was known of it stays"
		if live != nil && live != c {
			what = "the new credentials can't replace the old ones yet, which stay in use"
		}
		m.log.Warn(what, "problem", now, "err", strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
	}
}

// problem is one reason why a connection is not complete. Its kind, what, does not change while it lasts.
type problem struct {
	what string
	err  error
}

// problems returns why the connection is not complete; nil if it is, or will be in a moment.
func (c *connection) problems(err error) []problem {
	if probe := c.heard.Load().Err; probe != nil {
		return []problem{{"unreachable", probe}}
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return []problem{{"refused", err}}
	}
	if err != nil {
		return []problem{{"error", err}}
	}
	var list []problem
	now := time.Now()
	add := func(what string, err error) {
		if err == nil {
			return
		}
		if reason := apierrors.ReasonForError(err); reason != "" {
			what += ": " + string(reason)
		}
		list = append(list, problem{what, err})
	}
	add("coming and going", errors.Join(c.member.asProvider.problem(now), c.member.asConsumer.problem(now)))
	if n := c.doubted(); n > 0 {
		list = append(list, problem{"objects absent", fmt.Errorf("%d objects are absent from a new list; held back for %v", n, c.member.opts.doubtAbsence())})
	}
	if n := c.refused(); n > 0 {
		list = append(list, problem{"objects too large", fmt.Errorf("%d objects are too large to keep; names with such a ServiceImport are not updated", n)})
	}
	if c.reg.Provider {
		add("serviceexports", c.exports.Problem(exportResource))
		add("endpointslices", c.sources.State().Err)
	}
	add("services", c.services.State().Err)
	if c.reg.Consumer {
		add("serviceimports", c.imports.Problem(importResource))
		add("imported endpointslices", c.imported.State().Err)
		add("namespaces", c.namespaces.State().Err)
		add("nodes", c.nodes.State().Err)
		add("servicecidrs", c.rangesErr)
	}
	return list
}

// doubted counts the objects that are held back because a new list lacks them.
func (c *connection) doubted() int {
	n := c.services.Store.Doubted() + c.sources.Store.Doubted()
	if exports := c.exports.Read(); exports != nil {
		n += exports.Doubted()
	}
	if imports := c.imports.Read(); imports != nil {
		n += imports.Doubted()
	}
	return n
}

// malformed reports objects of a kind with names that none can have: once, whatever else like that the API server gives.
func (m *Member) malformed(kind string, err error) {
	m.mu.Lock()
	told := m.malformedKinds[kind]
	if m.malformedKinds == nil {
		m.malformedKinds = map[string]bool{}
	}
	m.malformedKinds[kind] = true
	m.mu.Unlock()
	if !told {
		m.log.Warn("the cluster's API server gives objects with names that no object can have; they are ignored", "kind", kind, "err", err)
	}
}
