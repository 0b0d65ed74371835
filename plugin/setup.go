package multicluster

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
)

func init() { plugin.Register(pluginName, setup) }

// group is all server blocks with this plugin of one instance of the server: a reload makes another instance.
type group struct{ members []*Multicluster }

type groupKey struct{}

func setup(c *caddy.Controller) error {
	m, err := parseStanzas(c)
	if err != nil {
		return plugin.Error(pluginName, err)
	}
	m.group, _ = c.Get(groupKey{}).(*group)
	if m.group == nil {
		m.group = &group{}
		c.Set(groupKey{}, m.group)
	}
	m.group.members = append(m.group.members, m)
	for _, st := range m.stanzas {
		st.group = m.group
	}
	config := dnsserver.GetConfig(c)
	config.AddPlugin(func(next plugin.Handler) plugin.Handler {
		m.Next = next
		return m
	})
	m.live(c, func() []netip.Addr { return serverAddrs(config.ListenHosts) })
	return nil
}

// live ties the sources to the life of the server. In a reload the new instance starts before the old one is shut down,
// and takes its sources over. Otherwise they go on to the very end: a server in lameduck mode still answers.
func (m *Multicluster) live(c *caddy.Controller, addrs func() []netip.Addr) {
	reloading := false
	leave := func() error {
		release(func(st *stanza) bool { return st.group == m.group })
		return nil
	}
	c.OnStartup(func() error {
		local := addrs()
		for _, st := range m.stanzas {
			acquire(st)
			for _, z := range st.zones {
				z.stand(local)
			}
		}
		m.started.Store(true)
		for _, st := range m.stanzas {
			st.zones[0].source.health.wait(st.patience)
		}
		return nil
	})
	c.OnRestart(func() error { reloading = true; return nil })
	c.OnRestartFailed(func() error {
		reloading = false
		release(func(st *stanza) bool { return st.group != m.group })
		return nil
	})
	c.OnShutdown(func() error {
		if !reloading {
			return nil
		}
		return leave()
	})
	c.OnFinalShutdown(leave)
}

// parseStanzas reads every multicluster stanza of a server block.
func parseStanzas(c *caddy.Controller) (*Multicluster, error) {
	m := &Multicluster{}
	for c.Next() {
		st, err := parseStanza(c)
		if err != nil {
			return nil, err
		}
		for _, z := range st.zones {
			if slices.ContainsFunc(m.zones, func(other *zone) bool { return other.Origin == z.Origin }) {
				return nil, c.Errf("zone %s is given twice", z.Origin)
			}
			m.zones = append(m.zones, z)
		}
		m.stanzas = append(m.stanzas, st)
	}
	return m, nil
}

// serverAddrs returns the addresses that the name server of the zones is known by: those that the server is bound to, or
// else those of the machine, without loopback and link-local ones where there are others.
func serverAddrs(bound []string) []netip.Addr {
	var all, global []netip.Addr
	for _, text := range boundOrLocal(bound) {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				continue
			}
			addr = prefix.Addr()
		}
		addr = addr.Unmap().WithZone("")
		if addr.IsUnspecified() || slices.Contains(all, addr) {
			continue
		}
		all = append(all, addr)
		if addr.IsGlobalUnicast() {
			global = append(global, addr)
		}
	}
	if len(global) > 0 {
		return global
	}
	return all
}

func boundOrLocal(bound []string) []string {
	if len(bound) > 0 && bound[0] != "" {
		return bound
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		log.Warningf("the name server of the zone has no address: %v", err)
		return nil
	}
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = fmt.Sprint(addr)
	}
	return texts
}
