package plan

import (
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/clusterset/multicluster/controller/keep"
)

// pass is one call of [For]: its arguments and what is decided from them once.
type pass struct {
	Consumer
	Wanted
	Held
	now     Now
	derived string // name of the derived Service
	own     own
	shape   shape
	refused refusals
	// withheld are the lost clusters whose endpoints were withdrawn before, and do not come back yet.
	withheld map[string]bool
}

func newPass(c Consumer, w Wanted, h Held, now Now) *pass {
	p := &pass{Consumer: c, Wanted: w, Held: h, now: now, derived: DerivedName(w.Key.Name), refused: make(refusals), withheld: make(map[string]bool)}
	p.acceptPorts()
	p.own = p.possessions()
	p.Sources = p.counted()
	return p
}

// For returns the writes that bring the consumer nearer to what w says, in the order in which they are to be made; none
// when it is there. What must wait for an answer of the API server to one of them is not in it: the caller applies the
// writes and calls For on the outcome, until there are none.
//
// The order is that of SPEC I8: import, slices, derived Service, spec.ips, status, and the reverse on removal, so that
// DNS never hands out an address that nothing serves.
func For(c Consumer, w Wanted, h Held, now Now) []Action {
	if !h.Namespace {
		return nil // nothing can be created, and what is there goes with the namespace
	}
	if h.Import != nil && keep.Refused(h.Import) != "" {
		return nil // nothing is known of it
	}
	p := newPass(c, w, h, now)
	if h.Import == nil || h.Import.DeletionTimestamp != nil {
		return p.withoutImport()
	}
	if by := p.foreign(h.Import); by != "" {
		return p.clear("the ServiceImport is managed by " + by)
	}
	switch {
	case p.Closed != "" && p.automatic(h.Import):
		return p.removeImport(p.Closed)
	case p.Closed != "" && p.doubtful():
		return p.takeDown(p.Closed) // what is known of the exports is too little for more
	case p.doubtful():
		return p.holdStill()
	case w.Service == nil && len(w.LeftOut) == 0 && p.automatic(h.Import):
		return p.removeImport("no cluster exports the service")
	}
	p.shape = p.decide()
	return p.converge()
}

// withoutImport plans where there is no import, or none that stays.
func (p *pass) withoutImport() []Action {
	switch {
	case p.Import != nil:
		return p.clear("the ServiceImport is being deleted")
	case p.Closed != "":
		return p.clear(p.Closed)
	case p.Automatic && p.Service != nil:
		p.shape = p.decide()
		return []Action{p.createImport()}
	case p.Automatic && p.doubtful():
		return nil
	}
	return p.clear("there is no ServiceImport")
}

// converge plans for an import that is there and ours to serve.
func (p *pass) converge() []Action {
	children := p.children()
	if patch, ok := p.patchImport(len(children) == 0); ok {
		return append([]Action{patch}, children...)
	}
	if len(children) > 0 {
		return children
	}
	if status, ok := p.patchStatus(); ok {
		return []Action{status}
	}
	return nil
}

// removeImport takes an automatic import away, whose last export went (SPEC I2), or whose namespace was closed.
func (p *pass) removeImport(reason string) []Action {
	if actions := p.takeDown(reason); len(actions) > 0 {
		return actions
	}
	return []Action{{Verb: Delete, Object: p.Import, Reason: reason}}
}

// takeDown ends the service of an import: its address goes first, so that nobody is sent to what is not there (SPEC I8).
func (p *pass) takeDown(reason string) []Action {
	actions := p.clear(reason)
	if len(p.Import.Spec.IPs) == 0 {
		return actions
	}
	patch := mergePatch(p.Import, nil, "spec", map[string]any{"ips": nil})
	return append([]Action{{Verb: Patch, Object: p.Import, Patch: patch, Reason: reason}}, actions...)
}

// clear removes what of ours belongs to an import that is not to be served: the derived Service, then its slices.
func (p *pass) clear(reason string) []Action {
	var actions []Action
	if s := p.own.derived; s != nil && s.DeletionTimestamp == nil {
		actions = append(actions, Action{Verb: Delete, Object: s, Reason: reason})
	}
	for _, s := range p.own.slices {
		actions = remove(actions, s, reason)
	}
	return actions
}

// remove appends the deletion of a slice, unless that is under way already and waits for a finalizer.
func remove(actions []Action, s *discoveryv1.EndpointSlice, reason string) []Action {
	if s.DeletionTimestamp != nil {
		return actions
	}
	return append(actions, Action{Verb: Delete, Object: s, Reason: reason})
}

// Blocked is the status write that says on the import why a write of the plan can't be made, such as a quota that refuses
// the derived Service; false if the import says so already, or is not ours to write. The condition goes with the next plan
// that succeeds.
func Blocked(c Consumer, w Wanted, h Held, message string, now Now) (Action, bool) {
	p := newPass(c, w, h, now)
	if h.Import == nil || keep.Refused(h.Import) != "" || h.Import.DeletionTimestamp != nil || p.foreign(h.Import) != "" || p.doubtful() {
		return Action{}, false
	}
	p.shape = p.decide()
	p.children() // for what of the slices is refused
	reports := p.reports()
	reports[0] = blocked(message)
	return p.writeStatus(reports)
}
