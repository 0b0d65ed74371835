package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/merge"
)

// mismatch is one field of a person's import that is not what is exported (SPEC I3).
type mismatch struct {
	reason, message string
}

// match compares a person's import with the merged service: what it sets must match; ports that it lists are the only ones
// served; what it leaves unset follows the exports.
func (p *pass) match(s *shape) {
	filled := filledOf(p.Import)
	spec := &p.Import.Spec
	if want := p.Service.Type(); spec.Type != "" && spec.Type != want {
		s.mismatches = append(s.mismatches, mismatch{TypeMismatch, fmt.Sprintf("spec.type is %s, expected %s", spec.Type, want)})
	}
	if asks := p.listed(filled); asks != nil {
		var bad []string
		s.ports, bad = filter(asks, p.Service.Ports)
		if len(bad) > 0 {
			s.mismatches = append(s.mismatches, mismatch{PortsMismatch, strings.Join(few(bad), "; ")})
		}
	}
	for i := range scalars {
		f := &scalars[i]
		held, want := f.held(spec), f.want(&p.Service.Service)
		if held != "" && filled.Spec[f.name] != held && !f.equal(held, want) {
			s.mismatches = append(s.mismatches, mismatch{f.reason,
				fmt.Sprintf("%s is %s, expected %s", f.path(), held, cmp.Or(want, "none"))})
		}
	}
}

// listed are the ports that a person asks for, or nil if the import leaves them to the exports.
func (p *pass) listed(filled filled) []mcs.ServicePort {
	held := p.Import.Spec.Ports
	if len(held) == 0 || filled.Spec["ports"] == fingerprint(held) {
		return nil
	}
	return held
}

// filter returns those of exported that asks lists, in the order of exported, and says of each port that is listed but not
// exported so what is expected. A port must agree in protocol and number, and in name unless it is listed without one; a
// wrong appProtocol is told, and the port served with the right one. Of asks, as many are looked at as a Service may have.
func filter(asks []mcs.ServicePort, exported []merge.Port) (served []merge.Port, bad []string) {
	wanted := make(map[int]bool)
	if n := len(asks); n > merge.MaxPorts {
		bad = append(bad, fmt.Sprintf("spec.ports has %d ports, expected at most %d", n, merge.MaxPorts))
		asks = asks[:merge.MaxPorts]
	}
	all := sync.OnceValue(func() string { return titles(exported) }) // for thousands of ports that match none
	for i := range asks {
		ask := portOf(&asks[i])
		at := slices.IndexFunc(exported, func(e merge.Port) bool { return e.Protocol == ask.Protocol && e.Number == ask.Number })
		name := slices.IndexFunc(exported, func(e merge.Port) bool { return e.Published == ask.Name })
		field := fmt.Sprintf("spec.ports[%d]", i)
		switch {
		case at >= 0 && ask.Name != "" && ask.Name != exported[at].Published:
			bad = append(bad, fmt.Sprintf("%s.name is %s, expected %s for %s", field, ask.Name, cmp.Or(exported[at].Published, "none"), ask))
		case at >= 0:
			wanted[at] = true
			if ask.AppProtocol != "" && ask.AppProtocol != exported[at].AppProtocol {
				bad = append(bad, fmt.Sprintf("%s.appProtocol is %s, expected %s", field, ask.AppProtocol, cmp.Or(exported[at].AppProtocol, "none")))
			}
		case name >= 0:
			bad = append(bad, fmt.Sprintf("%s is %s, expected %s", field, title(ask), exported[name]))
		default:
			bad = append(bad, fmt.Sprintf("%s is %s, expected one of %s", field, title(ask), all()))
		}
	}
	for i := range exported {
		if wanted[i] {
			served = append(served, exported[i])
		}
	}
	return served, bad
}

func title(p merge.Port) string {
	return strings.TrimLeft(cmp.Or(p.Published, p.Name)+" "+p.String(), " ")
}

func titles(ports []merge.Port) string {
	if len(ports) == 0 {
		return "none"
	}
	names := make([]string, len(ports))
	for i := range ports {
		names[i] = title(ports[i])
	}
	return strings.Join(few(names), ", ")
}

// few cuts a list that a person is to read, and counts what was cut.
func few(items []string) []string {
	const most = 8
	if len(items) <= most {
		return items
	}
	return append(slices.Clone(items[:most]), fmt.Sprintf("and %d more", len(items)-most))
}
