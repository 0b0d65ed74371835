package controller

import (
	"maps"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// picture is what is known of one name at present, and the offers that were made of it, by what was seen of it.
type picture struct {
	facts
	opts *Options

	mu     sync.Mutex
	offers map[sight]*offer

	once  sync.Once
	whole *offer // see toAll
}

// sight is what tells one offer of a picture from another: the exports that are not seen, and what is remembered.
type sight struct {
	closed, leftOut string // clusters
	memory          string // as an import keeps it
	ages            string // where memory has others
	anyMemory       bool
}

// look reads all state of key from the caches of every provider.
func (c *Controller) look(key types.NamespacedName) *picture {
	return c.pictures.get(key, func() *picture {
		return &picture{facts: gather(key, c.set.Members(), c.set.IDs()), opts: &c.opts}
	})
}

// toAll returns the offer of all exports, with the ages and the last known exports that memory returns. It is asked once.
func (p *picture) toAll(memory func(unsure map[string]bool) []merge.Export) *offer {
	p.once.Do(func() {
		var by sight
		seen := p.facts
		if len(p.exports)+len(p.unsure) > 1 { // one export alone wins whatever its age
			kept := memory(p.unsure)
			seen, by.ages = seen.aged(kept, nil)
			seen, by.anyMemory = seen.recalling(of(kept, p.unsure)), len(p.unsure) > 0
		}
		p.whole = p.offer(by, seen, nil, nil)
	})
	return p.whole
}

// to returns what a consumer may see, by its own import, which may be nil: not the exports that name their consumers and not
// this one, and not those that the import leaves out (SPEC P2). Of clusters of which nothing is known at present it sees what
// its own import remembers (SPEC L9): what others remember may be older, or forged, and is nobody's word but theirs (SPEC X4).
// Consumers that see the same share one offer. known are the clusters of which a controller before this one imported something
// into the consumer, so that an export of theirs which the import does not remember appeared since (SPEC M1).
func (p *picture) to(consumer string, i *mcs.ServiceImport, known map[string]bool) *offer {
	var providers []string
	if i != nil {
		providers = mcsapi.ClustersIn(i.Annotations, mcsapi.AnnotationProviders)
	}
	var by sight
	memory := remembered(i, p.opts.ClusterSet)
	seen, ages := p.aged(memory, known)
	by.ages = ages
	if lastKnown := of(memory, p.unsure); len(lastKnown) > 0 {
		by.memory = i.Annotations[mcsapi.AnnotationExports]
		seen = seen.recalling(lastKnown)
	}
	closed, leftOut := seen.unseen(consumer, providers)
	by.closed, by.leftOut = strings.Join(closed, ","), strings.Join(leftOut, ",")
	return p.offer(by, seen, closed, leftOut)
}

// offer returns the offer of what is seen less some clusters, which is made once.
func (p *picture) offer(by sight, seen facts, closed, leftOut []string) *offer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.offers[by] == nil {
		if p.offers == nil {
			p.offers = make(map[sight]*offer, 1)
		}
		made := seen.without(closed, leftOut).offer(time.Now(), p.opts.Withdrawal)
		made.leftOut = seen.mayExport(leftOut)
		p.offers[by] = made
	}
	return p.offers[by]
}

// pictures keeps one picture per name until something about the name changes, so that it is merged once and not once per
// consumer. The zero value is ready for use.
type pictures struct {
	mu    sync.Mutex
	epoch uint64 // counts what was forgotten: a picture made across a change is used, but not kept
	kept  map[types.NamespacedName]*picture
}

func (p *pictures) forget(names scope) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	if names.reach == oneName {
		delete(p.kept, names.name)
		return
	}
	maps.DeleteFunc(p.kept, func(name types.NamespacedName, _ *picture) bool { return names.holds(name) })
}

func (p *pictures) get(key types.NamespacedName, look func() *picture) *picture {
	p.mu.Lock()
	if known, ok := p.kept[key]; ok {
		p.mu.Unlock()
		return known
	}
	epoch := p.epoch
	p.mu.Unlock()

	made := look()

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch && !made.empty() {
		if p.kept == nil {
			p.kept = map[types.NamespacedName]*picture{}
		}
		p.kept[key] = made
	}
	return made
}
