package controller

import (
	"encoding/json"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"

	"github.com/clusterset/multicluster/controller/keep"
	"github.com/clusterset/multicluster/controller/plan"
)

// Older ServiceImport CRDs drop fields that newer ones have, silently, and refuse others (SPEC A7). What a cluster does is
// learnt from its answers, because reading its CRDs would need a permission that nothing else needs.

// learnDropped compares what was asked for with what the API server made of it.
func (l *lane) learnDropped(a plan.Action, got object) {
	result, ok := got.(*mcs.ServiceImport)
	if !ok || keep.Refused(keep.Import(result)) != "" { // an answer of which nothing is kept teaches nothing
		return
	}
	asked := a.Patch
	if a.Verb == plan.Create || a.Verb == plan.Update {
		asked, _ = json.Marshal(a.Object)
	}
	if paths := absent(asked, result); len(paths) > 0 {
		l.learn(paths, "dropped")
	}
}

// absent returns the paths of spec and status fields that asked, a JSON object, sets and got lacks, sorted. Of got, which the API server
// made as large as it likes, no values are decoded.
func absent(asked []byte, got *mcs.ServiceImport) []string {
	var want struct{ Spec, Status map[string]any }
	var have struct{ Spec, Status map[string]json.RawMessage }
	body, err := json.Marshal(got)
	if err != nil || json.Unmarshal(body, &have) != nil || json.Unmarshal(asked, &want) != nil {
		return nil
	}
	paths := append(missing("spec.", want.Spec, have.Spec), missing("status.", want.Status, have.Status)...)
	slices.Sort(paths)
	return paths
}

// missing returns the names of those fields of want that are not empty there and not in have.
func missing(prefix string, want map[string]any, have map[string]json.RawMessage) (paths []string) {
	for field, value := range want {
		if _, kept := have[field]; !kept && !empty(value) {
			paths = append(paths, prefix+field)
		}
	}
	return paths
}

// empty reports whether a JSON value is one that an encoder may leave out.
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// learnRefused takes from a refusal which field the schema has no room for: the v0.1.0 CRD allows one address only.
func (l *lane) learnRefused(a plan.Action, err error) {
	if _, ok := a.Object.(*mcs.ServiceImport); !ok || !apierrors.IsInvalid(err) {
		return
	}
	status, ok := err.(apierrors.APIStatus)
	if !ok || status.Status().Details == nil {
		return
	}
	for _, cause := range status.Status().Details.Causes {
		if cause.Field == "spec.ips" && cause.Type != metav1.CauseTypeFieldValueRequired {
			l.learn([]string{"spec.ips[1]"}, cause.Message)
		}
	}
}
