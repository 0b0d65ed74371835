package members

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/mirror"
)

// This file notes when exports of a member were first seen: its word about their age is not enough to take a name over from
// others (SPEC M1).

// arrivals are the exports of a member that were seen, whether or not their connection is still the same.
type arrivals struct {
	mu   sync.Mutex
	met  time.Time // when the member was first synced; zero before
	seen map[types.NamespacedName]arrival
}

// arrival is when an export was first seen. Another creationTimestamp is another export.
type arrival struct{ created, at int64 } // Unix time; at is 0 for what was there when the member was first synced

// meet notes that the member is synced, with all that it exports: all that it ever exports later is new.
func (a *arrivals) meet(now time.Time, each func(func(types.NamespacedName, *mcs.ServiceExport))) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.met.IsZero() {
		return
	}
	a.met, a.seen = now, map[types.NamespacedName]arrival{}
	each(func(key types.NamespacedName, e *mcs.ServiceExport) {
		a.seen[key] = arrival{created: e.CreationTimestamp.Unix()}
	})
}

// since returns when the export was first seen, if the member was already synced then; otherwise zero.
func (a *arrivals) since(e *mcs.ServiceExport, now time.Time) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.met.IsZero() {
		return time.Time{}
	}
	key, created := mirror.KeyOf(e), e.CreationTimestamp.Unix()
	seen, ok := a.seen[key]
	if !ok || seen.created != created {
		seen = arrival{created, now.Unix()}
		a.seen[key] = seen
	}
	if seen.at == 0 {
		return time.Time{}
	}
	return time.Unix(seen.at, 0)
}

// forget drops what was noted of an export that is gone.
func (a *arrivals) forget(key types.NamespacedName) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.seen, key)
}

// longRegistered is how much older than this process a registration is that a process before this one took up.
const longRegistered = 10 * time.Minute

// ExportedSince returns when the export, one of the member's, was first seen, if the member was synced before; otherwise zero.
func (m *Member) ExportedSince(e *mcs.ServiceExport) time.Time {
	if m.ProviderSynced() { // whoever looks first, so that nothing changes between that look and the telling that it is synced
		m.arrivals.meet(time.Now(), m.eachExport)
	}
	return m.arrivals.since(e, time.Now())
}

// Met returns when this process first knew all that the member exports; zero before. Known reports that a process before this
// one knew the member, as far as its registration shows: what it exports that nobody remembers is then new.
func (m *Member) Met() (at time.Time, known bool) {
	registered := m.Registration().Registered
	m.arrivals.mu.Lock()
	defer m.arrivals.mu.Unlock()
	return m.arrivals.met, !registered.IsZero() && m.joined.Sub(registered) > longRegistered
}
