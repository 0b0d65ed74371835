package validate

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	corev1 "k8s.io/api/core/v1"
)

const (
	alertsFile    = deployDir + "/monitoring/alerts.yaml"
	dashboardFile = deployDir + "/monitoring/dashboard.json"
)

// onlyInTrouble are metrics that a program serves only once something has gone wrong.
var onlyInTrouble = []string{"mcs_controller_reconcile_errors_total"}

// TestAlerts reads the rules as promtool does: fields, expressions, templates; and each alert says what to do about it.
func TestAlerts(t *testing.T) {
	seen := map[string]bool{}
	for _, group := range alertGroups(t).Groups {
		for _, rule := range group.Rules {
			if seen[rule.Alert] {
				t.Errorf("there are two alerts %s", rule.Alert)
			}
			seen[rule.Alert] = true
			if !slices.Contains([]string{"critical", "warning", "info"}, rule.Labels["severity"]) || rule.Annotations["summary"] == "" {
				t.Errorf("alert %s has severity %q and summary %q", rule.Alert, rule.Labels["severity"], rule.Annotations["summary"])
			}
		}
	}
}

func alertGroups(t *testing.T) *rulefmt.RuleGroups {
	t.Helper()
	content, err := os.ReadFile(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(content, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Errorf("%s: %v", alertsFile, err)
	}
	if len(errs) > 0 || len(groups.Groups) == 0 {
		t.FailNow()
	}
	return groups
}

type panel struct {
	ID                 int
	Title, Description string
	Type               string
	GridPos            struct{ X, Y, W, H int }
	Targets            []struct{ Expr string }
}

func dashboard(t *testing.T) []panel {
	t.Helper()
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels     []panel
		Templating struct {
			List []struct{ Name string }
		}
	}
	if err := json.Unmarshal(content, &d); err != nil {
		t.Fatal(err)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	for _, used := range regexp.MustCompile(`\$\{?([a-z]\w*)`).FindAllStringSubmatch(string(content), -1) {
		if !slices.Contains(variables, used[1]) {
			t.Errorf("the dashboard uses a variable %s that it does not have", used[1])
		}
	}
	return d.Panels
}

// TestDashboard: panels with something to show, that don't lie over each other.
func TestDashboard(t *testing.T) {
	panels := dashboard(t)
	if len(panels) == 0 {
		t.Fatal("the dashboard is empty")
	}
	for i, p := range panels {
		if p.Type != "row" && (len(p.Targets) == 0 || p.Title == "" || p.Description == "") {
			t.Errorf("panel %d (%s) lacks a title, a description, or anything to show", p.ID, p.Title)
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %s is wider than the grid", p.Title)
		}
		for _, q := range panels[:i] {
			a, b := p.GridPos, q.GridPos
			if p.ID == q.ID || a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
				t.Errorf("panels %s and %s share an id or a place", p.Title, q.Title)
			}
		}
	}
	selectors(t) // parses every expression
}

// A selector is what an expression reads: a metric, and the labels it expects that metric to have.
type selector struct {
	origin, metric string
	labels         []string
}

// selectors returns all that the rules and the dashboard read.
func selectors(t *testing.T) []selector {
	t.Helper()
	expressions := map[string]string{}
	for _, group := range alertGroups(t).Groups {
		for _, rule := range group.Rules {
			expressions["alert "+rule.Alert] = rule.Expr
		}
	}
	for _, p := range dashboard(t) {
		for i, target := range p.Targets {
			expressions[fmt.Sprintf("panel %s, %d", p.Title, i)] = strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
		}
	}
	var all []selector
	for origin, text := range expressions {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(text)
		if err != nil {
			t.Errorf("%s: %v", origin, err)
			continue
		}
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if v, ok := node.(*parser.VectorSelector); ok {
				s := selector{origin: origin, metric: v.Name}
				for _, m := range v.LabelMatchers {
					if m.Name != model.MetricNameLabel && m.Name != "namespace" { // which Prometheus adds
						s.labels = append(s.labels, m.Name)
					}
				}
				all = append(all, s)
			}
			return nil
		})
	}
	return all
}

// metricsServed holds every metric that rules and dashboard read against what running programs serve.
func metricsServed(t *testing.T, scrapes ...string) {
	t.Helper()
	lines := strings.Split(strings.Join(scrapes, "\n"), "\n")
	for _, s := range selectors(t) {
		if slices.Contains(onlyInTrouble, s.metric) {
			continue
		}
		served := slices.ContainsFunc(lines, func(line string) bool {
			rest, ok := strings.CutPrefix(line, s.metric)
			if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
				return false
			}
			for _, label := range s.labels {
				if !strings.Contains(rest, label+`="`) {
					return false
				}
			}
			return true
		})
		if !served {
			t.Errorf("%s reads %s with labels %q, which nothing serves", s.origin, s.metric, s.labels)
		}
	}
}

// scrape returns what a program serves to Prometheus.
func scrape(t *testing.T, address string) string {
	t.Helper()
	client := &http.Client{Timeout: 10 * time.Second}
	response, err := client.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("scraping %s: %s %v", address, response.Status, err)
	}
	return string(body)
}

// TestServiceMonitors: what the chart makes for the Prometheus operator is what its types have, and finds the metrics' ports.
func TestServiceMonitors(t *testing.T) {
	monitor := map[string]any{"serviceMonitor": map[string]any{"enabled": true, "labels": map[string]any{"release": "prometheus"}}}
	objects := rendered(t, release, map[string]any{
		"controller": map[string]any{"metrics": monitor},
		"coredns":    map[string]any{"own": map[string]any{"enabled": true, "serviceMonitor": monitor["serviceMonitor"]}},
	})
	for monitorName, serviceName := range map[string]string{
		"mcs-controller": "mcs-controller-metrics", "coredns-multicluster": "coredns-multicluster",
	} {
		m, s := new(monitoringv1.ServiceMonitor), new(corev1.Service)
		strictly(t, oneOf(t, objects, "ServiceMonitor", monitorName), m)
		strictly(t, oneOf(t, objects, "Service", serviceName), s)
		if m.Labels["release"] != "prometheus" {
			t.Errorf("%s has the labels %v", m.Name, m.Labels)
		}
		for key, value := range m.Spec.Selector.MatchLabels {
			if s.Labels[key] != value {
				t.Errorf("%s selects %s=%s; Service %s has %q", m.Name, key, value, s.Name, s.Labels[key])
			}
		}
		port := m.Spec.Endpoints[0].Port
		if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == port }) {
			t.Errorf("%s scrapes port %q, which Service %s does not have", m.Name, port, s.Name)
		}
	}
}
