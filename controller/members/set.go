package members

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/follow"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// Set is the present members. Nothing is known, and no handler is called, before every source has reported once: a member
// that a slow source has yet to name must not be taken for one that left.
type Set struct {
	handler Handler
	log     *slog.Logger
	opts    Options

	members   atomic.Pointer[[]*Member] // sorted by id
	ids       atomic.Pointer[[]string]  // of members
	complete  atomic.Bool
	suspended atomic.Bool

	mu       sync.Mutex // held while a change of the registrations is carried out
	ctx      context.Context
	reports  [][]registration.Registration // by source; nil until it reported
	joined   map[string]*Member            // by origin
	learned  map[string]string             // ids that clusters gave at first contact, by origin
	reserved map[string]string             // ids that are being pinned, by origin
	asking   map[string]context.CancelFunc
	refused  map[string]string // by origin; the reason that was logged
	order    uint64
	running  sync.WaitGroup

	claimsMu sync.Mutex
	claims   map[types.UID]claim
}

// NewSet returns a set without members. Changes of the set, and of what members hold, are told to h.
func NewSet(h Handler, log *slog.Logger, opts Options) *Set {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Set{
		handler: h, log: log, opts: opts.withDefaults(),
		joined: map[string]*Member{}, learned: map[string]string{}, reserved: map[string]string{}, asking: map[string]context.CancelFunc{},
		refused: map[string]string{}, claims: map[types.UID]claim{},
	}
	s.publish()
	return s
}

// Members returns the present members, sorted by id. The slice must not be changed.
func (s *Set) Members() []*Member { return *s.members.Load() }

// IDs returns the ids of the present members, sorted. The slice must not be changed: every name that is merged refers to it.
func (s *Set) IDs() []string { return *s.ids.Load() }

// Complete says whether every source has reported, so that Members are all there are.
func (s *Set) Complete() bool { return s.complete.Load() }

// Run keeps the set as the sources say until ctx ends, or a source fails, and returns when nothing of any member runs any
// more. It is called once.
func (s *Set) Run(ctx context.Context, sources ...registration.Source) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.ctx, s.reports = ctx, make([][]registration.Registration, len(sources))
	for i, source := range sources {
		s.running.Go(func() {
			err := source.Run(ctx, func(regs []registration.Registration) { s.report(i, regs) })
			if err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	s.mu.Lock() // what is under way has started all that it will; nothing starts from here on
	members := s.Members()
	s.mu.Unlock()
	s.running.Wait()
	for _, m := range members {
		m.running.Wait()
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// report takes what source i says is present.
func (s *Set) report(i int, regs []registration.Registration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if regs == nil {
		regs = []registration.Registration{}
	}
	s.reports[i] = regs
	s.settle()
}

// settle makes the members what the sources say. s.mu is held.
func (s *Set) settle() {
	if s.ctx.Err() != nil || slices.ContainsFunc(s.reports, func(r []registration.Registration) bool { return r == nil }) {
		return
	}
	wanted := s.wanted()
	byOrigin := map[string]registration.Registration{}
	for _, reg := range wanted {
		byOrigin[reg.Origin] = reg
	}
	var left, fresh []*Member
	for origin, m := range s.joined {
		// Another id or role is another member; but what can't be read says neither.
		reg, ok := byOrigin[origin]
		if !ok || reg.ID != m.ID() || reg.Err == nil && !registration.SameMember(reg, m.Registration()) {
			delete(s.joined, origin)
			left = append(left, m)
		}
	}
	for _, reg := range wanted {
		if m := s.joined[reg.Origin]; m == nil {
			fresh = append(fresh, s.add(reg))
		} else {
			m.limit(reg)
			if !registration.SameCredentials(reg, m.Registration()) {
				m.connect(reg)
			}
		}
	}
	s.publish()
	s.complete.Store(true)
	for _, m := range left {
		s.remove(m)
	}
	for _, m := range fresh {
		m.log.Info("member joined", "origin", m.reg.Origin, "provider", m.reg.Provider, "consumer", m.reg.Consumer)
		s.handler.Joined(m)
		m.connect(m.reg)
	}
}

// wanted returns the registrations that can be members, with their ids, in the order of the sources. Of several with one
// id, the one that holds it stays, else the first has it; the others are refused.
func (s *Set) wanted() []registration.Registration {
	var all []registration.Registration
	origins := map[string]bool{}
	for _, report := range s.reports {
		for _, reg := range report {
			if reg.ID == "" {
				reg.ID = s.learned[reg.Origin]
			}
			if m := s.joined[reg.Origin]; m != nil && reg.ID == "" {
				reg.ID = m.ID()
			}
			if !origins[reg.Origin] {
				origins[reg.Origin] = true
				all = append(all, s.opts.role(reg))
			}
		}
	}
	maps.DeleteFunc(s.learned, func(origin, _ string) bool { return !origins[origin] })
	s.ask(all)
	holder := map[string]string{}
	for origin, m := range s.joined {
		if origins[origin] {
			holder[m.ID()] = origin
		}
	}
	refused := map[string]string{}
	wanted := slices.DeleteFunc(all, func(reg registration.Registration) bool {
		if reg.ID == "" {
			return true
		}
		if err := registration.ValidID(reg.ID); err != nil {
			refused[reg.Origin] = err.Error()
			return true
		}
		if held, ok := holder[reg.ID]; ok && held != reg.Origin {
			refused[reg.Origin] = fmt.Sprintf("cluster id %q is held by %s; want another id", reg.ID, held)
			return true
		}
		holder[reg.ID] = reg.Origin
		return false
	})
	for origin := range refused {
		// What was a member, and is registered still, stays what it was (SPEC L6).
		if m := s.joined[origin]; m != nil {
			wanted = append(wanted, m.Registration())
		}
	}
	for origin, reason := range refused {
		if s.refused[origin] != reason {
			s.log.Error("registration refused", "origin", origin, "err", reason)
		}
	}
	s.refused = refused
	return wanted
}

// add makes a member, which does nothing yet. s.mu is held.
func (s *Set) add(reg registration.Registration) *Member {
	s.order++
	m := &Member{
		set: s, handler: s.handler, log: s.log.With("cluster", reg.ID), opts: s.opts, order: s.order, joined: time.Now(), reg: reg,
	}
	m.ctx, m.leave = context.WithCancel(s.ctx)
	s.joined[reg.Origin] = m
	return m
}

// remove ends a member that is not in the set any more, and does not wait for what runs of it.
func (s *Set) remove(m *Member) {
	m.leave()
	s.release(m)
	s.running.Go(m.running.Wait)
	reg := m.Registration()
	m.log.Info("member left", "origin", reg.Origin)
	if reg.Consumer {
		m.log.Info("what was imported into the cluster stays there as it is, and nobody keeps it up to date; the command deletes it there",
			"command", mcsapi.DeleteImported(s.opts.ClusterSet))
	}
	s.handler.Left(m)
}

// publish makes the joined members the present ones.
func (s *Set) publish() {
	list := slices.SortedFunc(maps.Values(s.joined), func(a, b *Member) int { return strings.Compare(a.ID(), b.ID()) })
	ids := make([]string, len(list))
	for i, m := range list {
		ids[i] = m.ID()
	}
	s.members.Store(&list)
	s.ids.Store(&ids)
}

// ask starts to ask those clusters for their id that are registered without one, and stops asking those that are gone.
func (s *Set) ask(all []registration.Registration) {
	nameless := map[string]registration.Registration{}
	for _, reg := range all {
		if reg.ID == "" && reg.Err == nil {
			nameless[reg.Origin+" "+reg.Revision] = reg
		}
	}
	for key, stop := range s.asking {
		if _, ok := nameless[key]; !ok {
			stop()
			delete(s.asking, key)
		}
	}
	for key, reg := range nameless {
		if s.asking[key] == nil {
			ctx, stop := context.WithCancel(s.ctx)
			s.asking[key] = stop
			s.running.Go(func() { s.learn(ctx, reg) })
		}
	}
}

// learn asks a cluster for its id until it gives one that can be used, pins it, and lets the cluster join.
func (s *Set) learn(ctx context.Context, reg registration.Registration) {
	delay, logged := &follow.Backoff{}, ""
	for {
		id, err := firstContact(ctx, reg, s.opts)
		if err == nil {
			err = s.pin(ctx, reg, id)
		}
		if err == nil {
			return
		}
		if ctx.Err() == nil && err.Error() != logged {
			logged = err.Error()
			s.log.Error("a member without an id can't join yet", "origin", reg.Origin, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delay.Next()):
		}
	}
}
