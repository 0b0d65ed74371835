package join

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"
)

func ranges(list ...string) []netip.Prefix {
	out, bad := ParseCIDRs(list)
	if len(bad) > 0 {
		panic(bad)
	}
	return out
}

func TestRefuse(t *testing.T) {
	home := Party{ID: "c1", UID: "u1", Origin: "context c1", Pods: ranges("10.1.0.0/16"), Services: ranges("10.96.0.0/16")}
	c2 := Party{ID: "c2", UID: "u2", Origin: "Secret mcs-system/c2", Secret: "c2", Pods: ranges("10.2.0.0/16", "fd00:2::/48")}
	newcomer := func(id, uid string, pods ...string) Newcomer {
		n := Newcomer{ServesExports: true, Registering: " --context c1"}
		n.ID, n.UID, n.Pods, n.Origin = id, types.UID(uid), ranges(pods...), "context x"
		return n
	}
	serving := func(services ...string) Newcomer {
		n := newcomer("c3", "u3", "10.3.0.0/16")
		n.Services = ranges(services...)
		return n
	}
	hidden := func(server string) Newcomer {
		n := newcomer("c1", "")
		n.Server = server
		return n
	}
	lacking := newcomer("c3", "u3")
	lacking.ServesExports = false
	for _, c := range []struct {
		name string
		n    Newcomer
		want string // part of the refusal; "" for none
	}{
		{"a cluster of its own", newcomer("c3", "u3", "10.3.0.0/16", "fd00:3::/48"), ""},
		{"ranges that are not known", newcomer("c3", "u3"), ""},
		{"the same cluster again", newcomer("c2", "u2", "10.2.0.0/16"), ""},
		{"a cluster that hides who it is, again", newcomer("c2", ""), ""},
		{"no id (X4)", newcomer("C_2", "u3"), `cluster id "C_2": want one DNS label`},
		{"another's id (X4)", newcomer("c2", "u3"), "cluster id c2 is that of another cluster (Secret mcs-system/c2); want another id, or to end that membership first: mcsctl leave c2 --context c1"},
		{"the home's id", newcomer("c1", "u3"), "cluster id c1 is that of another cluster (context c1)"},
		{"one cluster twice", newcomer("c4", "u2"), "member as c2 already (Secret mcs-system/c2); want each cluster once: another --from, or to end that membership first: mcsctl leave c2 --context c1"},
		{"the home itself under another id", newcomer("c4", "u1"), "member as c1 already"},
		{"the home itself, whose controller has it", newcomer("c5", "u5"), "this is the cluster that it would join (context c5), whose controller has it as its own, c5, without a registration"},
		{"under another id", newcomer("c6", "u5"), "this is the cluster that it would join (context c5)"},
		{"and hides who it is", hidden("https://c5:6443"), "this is the cluster that it would join (context c5)"},
		{"the pods of the home", newcomer("c3", "u3", "10.1.128.0/17"), "the pods of c3 have 10.1.128.0/17, the pods of c1 have 10.1.0.0/16, which overlap"},
		{"the pods of a member, IPv6", newcomer("c3", "u3", "10.3.0.0/16", "fd00:2::/64"), "the pods of c2 have fd00:2::/48"},
		{"the Services of the home", newcomer("c3", "u3", "10.96.4.0/22"), "the Services of c1 have 10.96.0.0/16"},
		{"Services where the home has Services", serving("10.96.0.0/16"), ""},
		{"Services where the home has pods", serving("10.1.0.0/20"), "the Services of c3 have 10.1.0.0/20, the pods of c1 have 10.1.0.0/16, which overlap"},
		{"Services where a member has pods", serving("10.99.0.0/16", "fd00:2::/108"), "the Services of c3 have fd00:2::/108, the pods of c2 have fd00:2::/48"},
		{"no CRDs", lacking, "kubectl apply --server-side -k deploy/crds"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Refuse(c.n, []Party{home, c2, {ID: "c5", UID: "u5", Origin: "context c5", Server: "https://c5:6443", Self: true}})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// SPEC X2: whoever claims the ranges of others keeps nobody out for long: the refusal names the claim, and the flag by which it does
// not count. An id does not stop counting.
func TestIgnoredRanges_X2(t *testing.T) {
	greedy := Party{ID: "c2", UID: "u2", Origin: "Secret mcs-system/c2", Pods: ranges("10.0.0.0/8")}
	n := Newcomer{ServesExports: true, Party: Party{ID: "c3", UID: "u3", Pods: ranges("10.3.0.0/16")}}
	err := Refuse(n, []Party{greedy})
	if err == nil || !strings.Contains(err.Error(), "that c2 has 10.0.0.0/8 is its own claim (Secret mcs-system/c2): --ignore-ranges c2 joins in spite of it") {
		t.Errorf("got %v", err)
	}
	others := []Party{greedy}
	if err := ignoreRanges(others, []string{"c2"}); err != nil {
		t.Fatal(err)
	}
	if err := Refuse(n, others); err != nil {
		t.Errorf("the claim counts: %v", err)
	}
	n.ID = "c2"
	if err := Refuse(n, others); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("the id does not count: %v", err)
	}
	twice := []Party{{ID: "c2", Origin: "--from"}, greedy, {Origin: "Secret mcs-system/x", Pods: greedy.Pods}}
	if err := ignoreRanges(twice, []string{"c2", "Secret mcs-system/x"}); err != nil || !twice[0].Ignored || !twice[1].Ignored || !twice[2].Ignored {
		t.Errorf("a cluster that is there twice, and one without an id: %+v, %v", twice, err)
	}
	if err := ignoreRanges(others, []string{"c7"}); err == nil {
		t.Error("a slip in an id is not noticed")
	}
}

func TestAggregate(t *testing.T) {
	for _, c := range []struct{ in, want []string }{
		{[]string{"10.1.1.0/24", "10.1.0.0/24", "10.1.3.0/24", "10.1.2.0/24"}, []string{"10.1.0.0/22"}},
		{[]string{"10.1.1.0/24", "10.1.2.0/24"}, []string{"10.1.1.0/24", "10.1.2.0/24"}},
		{[]string{"10.1.0.0/16", "10.1.7.0/24", "10.1.0.0/16"}, []string{"10.1.0.0/16"}},
		{[]string{"fd00:1:0:1::/64", "10.1.0.7/24", "fd00:1::/64"}, []string{"10.1.0.0/24", "fd00:1::/63"}},
		{nil, nil},
	} {
		if got := aggregate(ranges(c.in...)); !reflect.DeepEqual(got, ranges(c.want...)) {
			t.Errorf("%v: got %v, want %v", c.in, got, c.want)
		}
	}
}

// TestIdentity: a provider gets what deploy/provider has, and the right to write imports only in a fleet (SPEC X1).
func TestIdentity(t *testing.T) {
	for _, fleet := range []bool{false, true} {
		objects, err := Identity("other", fleet)
		if err != nil {
			t.Fatal(err)
		}
		writes := false
		for i, o := range objects {
			if rank(o) < 0 || i > 0 && rank(o) < rank(objects[i-1]) {
				t.Errorf("%s %s is out of order", o.GetKind(), o.GetName())
			}
			writes = writes || o.GetName() == "multicluster:provider:consumer"
			text, err := yaml.Marshal(o.Object)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "mcs-system") {
				t.Errorf("%s %s is not in the namespace that was asked for:\n%s", o.GetKind(), o.GetName(), text)
			}
		}
		if writes != fleet {
			t.Errorf("fleet %v: the right to write imports: %v", fleet, writes)
		}
	}
}
