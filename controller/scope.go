package controller

import "k8s.io/apimachinery/pkg/types"

// scope is what a lane has to look at: one name, all names of a namespace, or all names. How far it reaches is a field of its
// own, so that no name that a cluster gives, an empty one included, stands for more than itself. The zero value is one
// name, which is empty.
type scope struct {
	reach reach
	name  types.NamespacedName // without a Name where it reaches further
}

type reach int

const (
	oneName reach = iota
	wholeNamespace
	allNames
)

// everything is the scope of every name that is known. A worker expands it, so that announcing it costs nothing.
var everything = scope{reach: allNames}

func only(name types.NamespacedName) scope { return scope{oneName, name} }

func within(namespace string) scope {
	return scope{wholeNamespace, types.NamespacedName{Namespace: namespace}}
}

// holds reports whether name is in the scope.
func (s scope) holds(name types.NamespacedName) bool {
	switch s.reach {
	case allNames:
		return true
	case wholeNamespace:
		return name.Namespace == s.name.Namespace
	}
	return name == s.name
}
