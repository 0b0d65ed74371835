package view

import (
	"cmp"
	"net/netip"
	"slices"
)

// targets are the names of the ready endpoints that stand behind a service, as SRV records have them, in the order in which they
// take turns, each with one of a few lists of ports. All SRV sets of the service share them: what a set has of its own does not
// grow with ports x endpoints.
type targets struct {
	owner  string     // what their names end with
	first  []endpoint // one that has the name
	list   []int32    // which of the lists of ports it has
	lists  [][]Port
	count  []int                // how many targets have each list
	octets []int                // of the names of those, with the dot at their ends
	more   map[int32][]endpoint // all with the name, where several addresses have it
	names  []string             // unless there are too many to be in one message

	madePorts int // of lists that no slice has

	least, longest int // octets of a name
}

// maxNames is the greatest number of targets that one message can have.
const maxNames = maxSet / srvSize

// targets returns the names of the endpoints.
func (r *Records) named() *targets {
	return r.targets.get(func() *targets {
		t := &targets{owner: r.owner}
		if r.service.Headless {
			t.collect(r)
		} else {
			t.names, t.list, t.lists, t.count = []string{r.owner}, []int32{0}, [][]Port{r.service.Ports}, []int{1}
			t.least, t.longest, t.octets = len(r.owner), len(r.owner), []int{len(r.owner)}
		}
		r.keeper.add(t.bytes())
		return t
	})
}

func (t *targets) len() int { return len(t.list) }

// member is an address at a name.
type member struct {
	target int32
	addr   netip.Addr
}

// collector finds out which endpoints have one name.
type collector struct {
	*targets
	byName  map[endpointName]int32
	members map[member]struct{} // of names that several have
	lists   portLists
}

func (t *targets) collect(r *Records) {
	all := r.service.ready()
	c := &collector{targets: t, byName: make(map[endpointName]int32, len(all)), members: map[member]struct{}{}}
	c.lists.bySlice = map[*Slice]int32{}
	c.lists.budget = maxSet
	for _, s := range r.service.slices {
		c.lists.budget += len(s.ports)
	}
	t.first, t.list = make([]endpoint, 0, len(all)), make([]int32, 0, len(all))
	t.least = MaxName
	buf := make([]byte, 0, 2*MaxName)
	for _, e := range all {
		if buf = e.slice.appendName(buf[:0], int(e.at)); len(buf) > 0 && r.fits(len(buf)) {
			c.add(e)
			length := len(buf) + 1 + len(t.owner)
			t.least, t.longest = min(t.least, length), max(t.longest, length)
		}
	}
	t.lists, t.madePorts, t.first, t.list = c.lists.all, c.lists.made, exactly(t.first), exactly(t.list)
	if t.len() <= maxNames {
		every := t.newSpeller(t.len())
		for i := range t.len() {
			every.add(int32(i))
		}
		t.names = every.all()
	}
	t.count, t.octets = make([]int, len(t.lists)), make([]int, len(t.lists))
	for i, list := range t.list {
		t.count[list]++
		t.octets[list] += t.size(int32(i), buf)
	}
}

// add adds an endpoint, under its own name or that of others.
func (c *collector) add(e endpoint) {
	list := c.lists.of(e.slice)
	name := e.name()
	at, known := c.byName[name]
	if !known {
		c.byName[name] = int32(len(c.list))
		c.first, c.list = append(c.first, e), append(c.list, list)
		return
	}
	if c.list[at] != list {
		c.list[at] = c.lists.union(c.list[at], list)
	}
	if c.more == nil {
		c.more = map[int32][]endpoint{}
	}
	if c.more[at] == nil {
		c.join(at, c.first[at])
	}
	c.join(at, e)
}

func (c *collector) join(at int32, e endpoint) {
	addr, _ := netip.AddrFromSlice(e.octets())
	before := len(c.members)
	if c.members[member{at, addr}] = struct{}{}; len(c.members) > before {
		c.more[at] = append(c.more[at], e)
	}
}

// addresses returns the endpoints at a name, each address once.
func (t *targets) addresses(i int32) []endpoint {
	if t.first == nil {
		return nil
	}
	if all := t.more[i]; all != nil {
		return all
	}
	return t.first[i : i+1]
}

// size returns the octets of a name with the dot at its end. It needs a buffer.
func (t *targets) size(i int32, buf []byte) int {
	if t.names != nil {
		return len(t.names[i])
	}
	e := t.first[i]
	return len(e.slice.appendName(buf[:0], int(e.at))) + 1 + len(t.owner)
}

// speller collects names, as parts of one text.
type speller struct {
	*targets
	names []string
	buf   []byte
	ends  []int
}

func (t *targets) newSpeller(n int) *speller {
	s := &speller{targets: t, names: make([]string, 0, n)}
	if t.names == nil {
		s.buf, s.ends = make([]byte, 0, n*t.longest), make([]int, 0, n)
	}
	return s
}

// add adds the name of a target and returns its octets, with the dot at its end.
func (s *speller) add(target int32) int {
	if known := s.targets.names; known != nil {
		s.names = append(s.names, known[target])
		return len(known[target])
	}
	e, before := s.first[target], len(s.buf)
	s.buf = append(append(e.slice.appendName(s.buf, int(e.at)), '.'), s.owner...)
	s.ends = append(s.ends, len(s.buf))
	return len(s.buf) - before
}

// all returns the names.
func (s *speller) all() []string {
	text, from := string(s.buf), 0
	for _, end := range s.ends {
		s.names, from = append(s.names, text[from:end]), end
	}
	return s.names
}

// portLists are the different lists of ports that endpoints have. Slices of one cluster mostly have the same one.
type portLists struct {
	all      [][]Port
	byDigest map[uint64][]int32
	bySlice  map[*Slice]int32
	unions   map[[2]int32]int32
	budget   int // ports that lists made of two may have together
	made     int // ports that they have
}

// of returns the list of a slice.
func (l *portLists) of(s *Slice) int32 {
	list, ok := l.bySlice[s]
	if !ok {
		list = l.add(s.ports, s.digest)
		l.bySlice[s] = list
	}
	return list
}

func (l *portLists) add(ports []Port, digest uint64) int32 {
	if l.byDigest == nil {
		l.byDigest = map[uint64][]int32{}
	}
	for _, list := range l.byDigest[digest] {
		if slices.Equal(l.all[list], ports) {
			return list
		}
	}
	list := int32(len(l.all))
	l.all = append(l.all, ports)
	l.byDigest[digest] = append(l.byDigest[digest], list)
	return list
}

// union returns the list of the ports of both. An endpoint has several only if its slices disagree. Where there would be more
// such lists than there are ports in all slices together, the first list stays: nothing but malice makes so many, and they
// would be another product without a bound.
func (l *portLists) union(a, b int32) int32 {
	pair := [2]int32{min(a, b), max(a, b)}
	if list, ok := l.unions[pair]; ok {
		return list
	}
	if l.budget -= len(l.all[a]) + len(l.all[b]); l.budget < 0 {
		return a
	}
	both := slices.Concat(l.all[a], l.all[b])
	slices.SortFunc(both, Port.Compare)
	both = exactly(slices.Compact(both))
	l.made += len(both)
	if l.unions == nil {
		l.unions = map[[2]int32]int32{}
	}
	list := l.add(both, digest(both))
	l.unions[pair] = list
	return list
}

// Compare orders ports by name, protocol and number.
func (p Port) Compare(q Port) int {
	if p == q {
		return 0
	}
	return cmp.Or(cmp.Compare(p.Name, q.Name), cmp.Compare(p.Protocol, q.Protocol), cmp.Compare(p.Number, q.Number))
}

// sortedPorts returns ports in order, themselves where they are.
func sortedPorts(ports []Port) []Port {
	if slices.IsSortedFunc(ports, Port.Compare) {
		return ports
	}
	return slices.SortedFunc(slices.Values(ports), Port.Compare)
}
