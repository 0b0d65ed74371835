package exporting

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/clusterset/multicluster/internal/mcsapi"
)

// parsed is the rule of a namespace that has one of its own.
type parsed struct {
	text     string
	selector labels.Selector
	err      error
}

// rule returns what selects the Services of a namespace. A text is parsed once; one that was not seen by the watch yet, each time.
func (l *lane) rule(ns *corev1.Namespace) (labels.Selector, error) {
	text, own := ns.Annotations[mcsapi.AnnotationExportSelector]
	l.mu.Lock()
	known, seen := l.parsed[ns.Name]
	many := l.many[ns.Name]
	l.mu.Unlock()
	if own && many {
		return nil, errManyRules
	}
	if own && seen && known.text == text {
		return known.selector, known.err
	}
	return l.x.rules.For(ns)
}

// parse is [lane.rule] for a namespace as the watch has it now. l.mu is held.
func (l *lane) parse(ns *corev1.Namespace) (labels.Selector, error) {
	selector, err := l.x.rules.For(ns)
	if text, own := ns.Annotations[mcsapi.AnnotationExportSelector]; own {
		l.parsed[ns.Name] = parsed{text, selector, err}
	} else {
		delete(l.parsed, ns.Name)
	}
	return selector, err
}

// service returns a Service that the watch of a rule shows, or nil. Of what another rule's watch shows, only the labels are kept
// that the other rule asks for.
func (l *lane) service(key types.NamespacedName, rule labels.Selector) *corev1.Service {
	if nothing(rule) {
		return nil
	}
	as := rule.String()
	if l.everywhere.selector == as {
		return l.everywhere.get(key)
	}
	l.mu.Lock()
	w := l.own[key.Namespace]
	l.mu.Unlock()
	if w == nil || w.selector != as {
		return nil // its watch is about to begin
	}
	return w.get(key)
}

// selected says whether the watch of its namespace's rule shows a Service.
func (l *lane) selected(key types.NamespacedName) bool {
	ns := l.namespaces.get(types.NamespacedName{Name: key.Namespace})
	if ns == nil {
		return false
	}
	rule, err := l.rule(ns)
	return err == nil && l.service(key, rule) != nil
}
