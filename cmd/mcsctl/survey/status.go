package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

// Status is a clusterset at a glance.
type Status struct {
	ClusterSet string      `json:"clusterSet"`
	Controller *Controller `json:"controller,omitempty"`
	Members    []Member    `json:"members"`
	// Problems are what is not as it should be, one line each.
	Problems []string `json:"problems"`
}

// Controller is the one at home, or one that is known by its Leases only.
type Controller struct {
	Role    string `json:"role"` // "fleet" or "member", or "elsewhere" where there is no Deployment
	Image   string `json:"image,omitempty"`
	Ready   int32  `json:"ready"`
	Wanted  int32  `json:"wanted"`
	Leader  string `json:"leader,omitempty"`
	Renewed string `json:"renewed,omitempty"`
}

// Member is one cluster.
type Member struct {
	ID        string              `json:"id"`
	Role      string              `json:"role"`
	Origin    string              `json:"origin"`
	Reachable bool                `json:"reachable"`
	Version   string              `json:"version,omitempty"`
	Exports   int                 `json:"exports"`
	Imports   int                 `json:"imports"`
	Endpoints int                 `json:"endpoints"`
	DNS       []nameserver.Server `json:"dns"`
	// DNSHidden says that the name servers could not be looked at with these credentials.
	DNSHidden bool `json:"dnsHidden,omitempty"`
	answered  time.Duration
}

// StatusOf puts together what was read.
func StatusOf(set *members.Set, list []Cluster, leases []members.Leases, now time.Time) Status {
	s := Status{ClusterSet: set.ClusterSet(), Members: []Member{}, Problems: []string{}}
	if set.SecretsErr != nil {
		s.Problems = append(s.Problems, "the members are not known: "+set.SecretsErr.Error())
	}
	for i := range list {
		c := &list[i]
		m := Member{
			ID: c.Member.ID, Role: role(c.Member), Origin: c.Member.Origin, Reachable: c.Down == "", Version: c.Version,
			Exports: len(c.Exports), Imports: len(c.Imports), DNS: append([]nameserver.Server{}, c.Servers...), answered: c.Answered, DNSHidden: c.ServersHidden,
		}
		for n := range c.Slices {
			m.Endpoints += len(c.Slices[n].Endpoints)
		}
		if c.Down != "" {
			s.Problems = append(s.Problems, fmt.Sprintf("%s can't be reached from here: %s", m.ID, c.Down))
		}
		slices.Sort(c.Problems)
		for _, p := range c.Problems {
			s.Problems = append(s.Problems, m.ID+": "+p)
		}
		for n := range m.DNS {
			if d := &m.DNS[n]; !d.Answer.Works() {
				s.Problems = append(s.Problems, fmt.Sprintf("%s: %s/%s does not answer for the zone: %s", m.ID, d.Namespace, d.Name, d.Answer.State))
			}
		}
		s.Members = append(s.Members, m)
	}
	s.controller(set, leases, now)
	return s
}

func role(c *members.Cluster) string {
	switch {
	case c.Provider && c.Consumer:
		return "both"
	case c.Provider:
		return "provider"
	case c.Consumer:
		return "consumer"
	}
	return "hub"
}

// controller notes what runs, and what speaks against that one does.
func (s *Status) controller(set *members.Set, leases []members.Leases, now time.Time) {
	judged := finding.ControllerOf(set, leases, now)
	for i := range s.Members {
		judged.Imports[s.Members[i].ID] = s.Members[i].Imports
	}
	runs := false
	for _, step := range judged.Runs() {
		runs = runs || step.Link == "lease" && step.Verdict == finding.OK
		if step.Verdict == finding.Wrong {
			s.Problems = append(s.Problems, step.Found+" → "+step.Do)
		}
	}
	switch c := set.Controller; {
	case c != nil && c.Self != "":
		s.Controller = &Controller{Role: "member", Image: c.Image, Ready: c.Ready, Wanted: c.Replicas}
	case c != nil:
		s.Controller = &Controller{Role: "fleet", Image: c.Image, Ready: c.Ready, Wanted: c.Replicas}
	case runs:
		s.Controller = &Controller{Role: "elsewhere"}
	}
	for i := range leases {
		if l := leases[i].Leader; s.Controller != nil && s.Controller.Leader == "" && l.Held(now) {
			s.Controller.Leader, s.Controller.Renewed = l.Holder, l.Renewed.UTC().Format(time.RFC3339)
		}
	}
}

// Print shows the status to people.
func (s *Status) Print(out *screen.Screen) {
	out.Line("%s %s", out.Bold("clusterset"), s.ClusterSet)
	switch c := s.Controller; {
	case c == nil:
		out.Line("%s none is known to run", out.Bold("controller"))
	case c.Role == "elsewhere":
		out.Line("%s runs elsewhere, leader %s", out.Bold("controller"), cmp.Or(c.Leader, "not known here"))
	default:
		out.Line("%s %s, %d/%d ready, leader %s", out.Bold("controller"), c.Role, c.Ready, c.Wanted, cmp.Or(c.Leader, "none"))
	}
	out.Line("")
	var rows [][]string
	for i := range s.Members {
		m := &s.Members[i]
		reached := "no"
		if m.Reachable {
			reached = "in " + m.answered.Round(time.Millisecond).String()
		}
		rows = append(rows, []string{m.ID, m.Role, reached, m.Version, fmt.Sprint(m.Exports), fmt.Sprint(m.Imports), fmt.Sprint(m.Endpoints), m.dns(), m.Origin})
	}
	out.Table([]string{"CLUSTER", "ROLE", "REACHED", "VERSION", "EXPORTS", "IMPORTS", "ENDPOINTS", "DNS", "FROM"}, rows)
	out.Line("")
	if len(s.Problems) == 0 {
		out.Line("%s %s", out.Mark(screen.Good), out.Paint(screen.Good, "all is well"))
	}
	for _, p := range s.Problems {
		out.Line("%s %s", out.Mark(screen.Bad), p)
	}
}

func (m *Member) dns() string {
	if m.DNSHidden {
		return "?"
	}
	var out []string
	for i := range m.DNS {
		d := &m.DNS[i]
		state := string(d.Answer.State)
		if d.Wanted > 0 {
			state += fmt.Sprintf(" (%d/%d)", d.Ready, d.Wanted)
		}
		if d.Role != nameserver.Stock {
			state = string(d.Role) + " " + state
		}
		out = append(out, state)
	}
	return strings.Join(out, ", ")
}
