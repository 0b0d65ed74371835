package plan

import (
	"bytes"
	"encoding/json"
	"testing"
)

func roundTrip[T any](t testing.TB, in *T) *T {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// mergeInto applies a JSON merge patch (RFC 7386).
func mergeInto[T any](t testing.TB, in *T, patch []byte) *T {
	t.Helper()
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var target, change any
	decode := func(text []byte, into *any) {
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(into); err != nil {
			t.Fatal(err)
		}
	}
	decode(text, &target)
	decode(patch, &change)
	text, err = json.Marshal(merge7386(target, change))
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := json.Unmarshal(text, out); err != nil {
		t.Fatalf("patch %s: %v", patch, err)
	}
	return out
}

func merge7386(target, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, ok := target.(map[string]any)
	if !ok {
		t = make(map[string]any)
	}
	for k, v := range p {
		if v == nil {
			delete(t, k)
		} else {
			t[k] = merge7386(t[k], v)
		}
	}
	return t
}
