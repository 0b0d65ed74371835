package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
)

// A Front is where clients connect to a Service: a ClusterIP, a port, and its protocol as nft(8) spells it (tcp, udp).
type Front struct {
	netip.AddrPort
	Protocol string
}

// Rules are what kube-proxy has told the kernel: the endpoints among which the kernel chooses for each front, sorted. A Service
// without endpoints, or that kube-proxy has not seen yet, is not in it.
type Rules map[Front][]netip.AddrPort

// Rules reads what kube-proxy, in its mode nftables, has written on the node. Connections opened from now on follow it.
func (n *Node) Rules(ctx context.Context) (Rules, error) {
	cmd := exec.CommandContext(ctx, "nft", "-j", "list", "ruleset")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := n.netns.do(cmd.Start); err != nil {
		return nil, fmt.Errorf("running nft: %w", err)
	}
	if err := cmd.Wait(); err != nil {
		return nil, fmt.Errorf("reading the rules of kube-proxy on %s: %w: %s", n.name, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return parseRules(out.Bytes())
}

// ruleset is the part of libnftables-json(5) that kube-proxy's rules use.
type ruleset struct {
	Nftables []struct {
		Map *struct {
			Family, Table, Name string
			Elem                []json.RawMessage
		}
		Rule *struct {
			Family, Table, Chain string
			Expr                 any
		}
	}
}

// parseRules follows the map service-ips to the chains of the Services, and from there to addresses.
func parseRules(listed []byte) (Rules, error) {
	var all ruleset
	if err := json.Unmarshal(listed, &all); err != nil {
		return nil, fmt.Errorf("reading what nft printed: %w", err)
	}
	chains := map[string][]any{} // by family and name
	for _, o := range all.Nftables {
		if o.Rule != nil && o.Rule.Table == "kube-proxy" {
			chain := o.Rule.Family + " " + o.Rule.Chain
			chains[chain] = append(chains[chain], o.Rule.Expr)
		}
	}
	rules := Rules{}
	for _, o := range all.Nftables {
		if o.Map == nil || o.Map.Table != "kube-proxy" || o.Map.Name != "service-ips" {
			continue
		}
		for _, raw := range o.Map.Elem {
			var element []any // key and verdict
			if err := json.Unmarshal(raw, &element); err != nil || len(element) != 2 {
				return nil, fmt.Errorf("an element of service-ips is %s", raw)
			}
			front, err := parseFront(element[0])
			if err != nil {
				return nil, err
			}
			w := &walk{family: o.Map.Family, chains: chains, seen: map[string]bool{}}
			w.visit(element[1])
			if w.err != nil {
				return nil, w.err
			}
			slices.SortFunc(w.endpoints, netip.AddrPort.Compare)
			rules[front] = slices.Compact(w.endpoints)
		}
	}
	return rules, nil
}

// parseFront reads a key of service-ips, which may be wrapped, with a comment beside it.
func parseFront(key any) (Front, error) {
	object, _ := key.(map[string]any)
	if wrapped, ok := object["elem"].(map[string]any); ok {
		object, _ = wrapped["val"].(map[string]any)
	}
	parts, _ := object["concat"].([]any)
	if len(parts) != 3 {
		return Front{}, fmt.Errorf("a key of service-ips is %v", key)
	}
	address, err := parseAddress(parts[0], parts[2])
	return Front{address, fmt.Sprint(parts[1])}, err
}

func parseAddress(ip, port any) (netip.AddrPort, error) {
	address, err := netip.ParseAddr(fmt.Sprint(ip))
	number, ok := port.(float64)
	if err != nil || !ok {
		return netip.AddrPort{}, fmt.Errorf("neither an address nor a port are %v and %v: %w", ip, port, err)
	}
	return netip.AddrPortFrom(address, uint16(number)), nil
}

// walk collects the addresses that a packet may be sent to from somewhere in the rules.
type walk struct {
	family    string
	chains    map[string][]any
	seen      map[string]bool
	endpoints []netip.AddrPort
	err       error
}

func (w *walk) visit(node any) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			w.visit(child)
		}
	case map[string]any:
		for key, child := range node {
			object, _ := child.(map[string]any)
			switch key {
			case "goto", "jump":
				w.follow(fmt.Sprint(object["target"]))
			case "dnat":
				w.dnat(object)
			default:
				w.visit(child)
			}
		}
	}
}

func (w *walk) follow(chain string) {
	if !w.seen[chain] {
		w.seen[chain] = true
		w.visit(w.chains[w.family+" "+chain])
	}
}

// dnat reads the one address of a statement, or the map from which one is drawn.
func (w *walk) dnat(statement map[string]any) {
	if choice, ok := statement["addr"].(map[string]any); ok {
		w.concats(choice)
		return
	}
	w.add(statement["addr"], statement["port"])
}

func (w *walk) concats(node any) {
	switch node := node.(type) {
	case []any:
		for _, child := range node {
			w.concats(child)
		}
	case map[string]any:
		for key, child := range node {
			if parts, ok := child.([]any); ok && key == "concat" && len(parts) == 2 {
				w.add(parts[0], parts[1])
				continue
			}
			w.concats(child)
		}
	}
}

func (w *walk) add(ip, port any) {
	address, err := parseAddress(ip, port)
	if err != nil {
		w.err = err
		return
	}
	w.endpoints = append(w.endpoints, address)
}
