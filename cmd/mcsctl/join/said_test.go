package join

import (
	"maps"
	"testing"
)

// TestRemember_X2: what a person said stands until the same flag says something else, or nothing.
func TestRemember_X2(t *testing.T) {
	type words = map[string]string
	for name, c := range map[string]struct {
		before    string
		now, want words
	}{
		"nothing yet":                {"", nil, words{}},
		"said now":                   {"", words{"endpoint-cidrs": "any", "role": "consumer"}, words{"endpoint-cidrs": "any", "role": "consumer"}},
		"said before":                {`{"endpoint-cidrs":"any","server":"https://x"}`, words{"role": "both"}, words{"endpoint-cidrs": "any", "server": "https://x", "role": "both"}},
		"said otherwise":             {`{"role":"consumer"}`, words{"role": "provider"}, words{"role": "provider"}},
		"a server that is not tried": {`{"server":"https://x","unchecked":"true"}`, words{"role": "both"}, words{"server": "https://x", "unchecked": "true", "role": "both"}},
		"it is tried now":            {`{"server":"https://x","unchecked":"true"}`, words{"unchecked": "false"}, words{"server": "https://x"}},
		"another one is":             {`{"server":"https://x","unchecked":"true"}`, words{"server": "https://y"}, words{"server": "https://y"}},
		"taken back":                 {`{"endpoint-cidrs":"any","pod-cidrs":"10.0.0.0/8"}`, words{"endpoint-cidrs": "", "pod-cidrs": ""}, words{}},
		"a limit is no such thing":   {`{"endpoint-cidrs":"any"}`, words{"endpoint-cidrs": "10.0.0.0/8"}, words{}},
		"somebody's nonsense":        {`["x"]`, words{"server": "https://x"}, words{"server": "https://x"}},
		"null":                       {`null`, words{"role": "both"}, words{"role": "both"}},
		"flags of a later version":   {`{"x":"y"}`, nil, words{}},
		"a role that is none":        {`{"role":"king"}`, nil, words{}},
	} {
		if got := remember(c.before, c.now); !maps.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
