package multicluster

import (
	"github.com/clusterset/multicluster/internal/excerpt"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/decode"
	"github.com/clusterset/multicluster/plugin/view"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// sink takes the objects of one kind as they come.
type sink interface {
	set(runtime.Object)    // an object that is there, new or not
	remove(runtime.Object) // an object that is gone
	begin()                // all objects will be set once, beginning now
	end()                  // what was not set since begin is gone
}

// importSink puts ServiceImports into the view.
type importSink struct {
	view   *view.View
	zone   *zoneLength
	wanted wanted
	told   told
	seen   map[string]struct{} // since begin, where something was there before
	dirty  bool                // something may be there already
}

func (s *importSink) set(o runtime.Object) {
	si, ok := o.(*mcs.ServiceImport)
	if !ok || !s.told.wellformed("ServiceImport", si) || !s.wanted.namespace(si.Namespace) {
		return
	}
	imp, odd := decode.Import(si)
	if imp != nil {
		s.zone.checkImport(si.Namespace, si.Name, &odd)
	}
	s.told.tell("ServiceImport", si.Namespace, si.Name, odd)
	if imp == nil {
		return // its name can't have been another before
	}
	if s.seen != nil {
		s.seen[si.Name+"."+si.Namespace] = struct{}{}
	}
	s.view.SetImport(si.Namespace, si.Name, *imp)
}

func (s *importSink) remove(o runtime.Object) {
	if si, ok := o.(*mcs.ServiceImport); ok && s.told.wellformed("ServiceImport", si) {
		s.told.forget(si.Namespace, si.Name)
		s.view.DeleteImport(si.Namespace, si.Name)
	}
}

func (s *importSink) begin() {
	if s.dirty {
		s.seen = map[string]struct{}{}
	}
	s.dirty = true
}

func (s *importSink) end() {
	if s.seen != nil {
		s.view.RetainImports(s.seen)
	}
	s.seen = nil
}

// sliceSink puts the EndpointSlices of one stream into the view.
type sliceSink struct {
	part   string // begins their names in the view: two streams may have a slice of one name, while its labels change
	view   *view.View
	zone   *zoneLength
	wanted wanted
	told   told
	seen   map[view.SliceKey]struct{} // since begin, where something was there before
	dirty  bool                       // something may be there already
}

func (s *sliceSink) set(o runtime.Object) {
	es, ok := o.(*discoveryv1.EndpointSlice)
	if !ok || !s.told.wellformed("EndpointSlice", es) || !s.wanted.namespace(es.Namespace) {
		return
	}
	service, slice, odd := decode.Slice(s.part+es.Name, es)
	if slice != nil {
		s.zone.checkSlice(es.Namespace, service, slice, &odd)
	}
	s.told.tell("EndpointSlice", es.Namespace, es.Name, odd)
	name := s.part + es.Name
	if slice == nil {
		s.view.DeleteSlice(es.Namespace, name)
		return
	}
	if s.seen != nil {
		s.seen[view.SliceKey{Namespace: es.Namespace, Name: name}] = struct{}{}
	}
	s.view.SetSlice(es.Namespace, service, slice)
}

func (s *sliceSink) remove(o runtime.Object) {
	if es, ok := o.(*discoveryv1.EndpointSlice); ok && s.told.wellformed("EndpointSlice", es) {
		s.told.forget(es.Namespace, es.Name)
		s.view.DeleteSlice(es.Namespace, s.part+es.Name)
	}
}

func (s *sliceSink) begin() {
	if s.dirty {
		s.seen = map[view.SliceKey]struct{}{}
	}
	s.dirty = true
}

func (s *sliceSink) end() {
	if s.seen != nil {
		s.view.RetainSlices(s.part, s.seen)
	}
	s.seen = nil
}

// wanted are the namespaces to serve; none means all.
type wanted map[string]struct{}

func newWanted(joined string) wanted {
	w := wanted{}
	for _, ns := range splitNamespaces(joined) {
		w[ns] = struct{}{}
	}
	return w
}

func (w wanted) namespace(name string) bool {
	_, ok := w[name]
	return ok || len(w) == 0
}

// told remembers what was logged about each odd object, so that it is logged once.
type told map[string]string

func (t told) tell(kind, namespace, name string, odd decode.Oddities) {
	if len(odd) == 0 && len(t) == 0 {
		return
	}
	key, text := namespace+"/"+name, odd.String()
	if t[key] == text {
		return
	}
	if text == "" {
		delete(t, key)
		return
	}
	t[key] = text
	log.Warningf("%s %s: %s", kind, excerpt.Of(key, excerpt.Line), excerpt.Of(text, excerpt.Line))
}

// malformed is the key of what was logged about objects whose names are none; no object has it.
const malformed = "/"

// wellformed reports whether an object has a name and a namespace that an object can have. What has not is no key of
// anything, and one such object of a kind is logged.
func (t told) wellformed(kind string, o metav1.Object) bool {
	err := mcsapi.Wellformed(o, true)
	if err != nil && t[malformed] == "" {
		t[malformed] = err.Error()
		log.Warningf("%s: %v: ignored, and others like it", kind, err)
	}
	return err == nil
}

func (t told) forget(namespace, name string) { delete(t, namespace+"/"+name) }
