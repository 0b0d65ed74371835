package kubeclient

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/clusterset/multicluster/internal/excerpt"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// Budgets of what an API server may make a client hold or wait for. Bytes are counted decoded, while they are read.
const (
	discoveryBytes = 256 * kib
	answerBytes    = 4 * mib
	eventBytes     = 4 * mib
	errorBytes     = 256 * kib
	headerBytes    = 64 * kib
	moreItems      = 64     // than the limit that was asked for
	itemsUnasked   = 10_000 // where no limit was asked for
	listBytes      = 1 * gib
	listPages      = 20_000
	errorCauses    = 64
	errorField     = 256
	retryAfter     = 30 * time.Second
)

// VersionBytes is the length of a resourceVersion. It is kept with every object, sent back with requests, and stands in errors; those who
// keep objects look at it.
const VersionBytes = 128

// Budget is one row of the table of budgets, for people.
type Budget struct {
	What       string // is bounded
	Most       string // is accepted
	Legitimate string // is the largest that an honest server sends
}

// Budgets are all budgets of this package. docs/security.md has the same table.
func Budgets() []Budget {
	return []Budget{
		{"headers of an answer", size(headerBytes), "about 1 KiB; the API server itself stops at 4 KiB of warnings"},
		{"an answer about what is served (probe, version)", size(discoveryBytes), "12 KiB, the kinds of the core group"},
		{"an answer that is an error", size(errorBytes), "some KiB; an object that a webhook quotes in its refusal"},
		{"any other answer: an object, a page of a list", size(answerBytes), "1.5 MiB, what etcd accepts for one object; pages are asked for so that they stay below half"},
		{"one event of a watch", size(eventBytes), "1.5 MiB, likewise"},
		{"objects in an answer", fmt.Sprintf("%d more than the limit that was asked for, %d without one", moreItems, itemsUnasked), "the limit; the slices of one Service, 500 for 50,000 endpoints"},
		{"JSON values in an answer", "one per 3 bytes", "one per 5 bytes, managed fields"},
		{"short fields (up to 4 bytes) in an answer in protobuf", "one per 5 bytes", "one per 5.3 bytes, Services of 1500 ports with short names"},
		{"a whole list", fmt.Sprintf("%s, %d pages", size(listBytes), listPages), "300 MiB, 200,000 slices"},
		{"a resourceVersion", size(VersionBytes), "20 bytes, a number of 64 bits; an object with a longer one is ignored"},
		{"text of an error", fmt.Sprintf("%s, %d causes of %d bytes each", size(excerpt.Line), errorCauses, 2*errorField), "some hundred bytes"},
		{"an answer of which nothing comes", requestPatience.String(), "1 min, after which an API server itself gives a request up"},
		{"wait before another try that a server asks for", retryAfter.String(), "1 s"},
	}
}

func size(n int64) string {
	switch {
	case n%gib == 0:
		return fmt.Sprintf("%d GiB", n/gib)
	case n%mib == 0:
		return fmt.Sprintf("%d MiB", n/mib)
	case n%kib == 0:
		return fmt.Sprintf("%d KiB", n/kib)
	}
	return fmt.Sprintf("%d bytes", n)
}

// budgetOf returns how many bytes the answer to a request may have, given the path of the server's address.
func budgetOf(r *http.Request, base string) int64 {
	path := strings.Split(strings.Trim(strings.TrimPrefix(r.URL.Path, strings.TrimSuffix(base, "/")), "/"), "/")
	switch {
	case path[0] == "apis" && len(path) <= 3, path[0] == "api" && len(path) <= 2, path[0] == "version":
		return discoveryBytes
	}
	return answerBytes
}

// Exceeded says which budget an answer would have passed. What was read of it is not used.
type Exceeded struct {
	Request string // such as "GET /api/v1/services"
	What    string // such as "the answer"
	Most    string // such as "4 MiB"
}

func (e *Exceeded) Error() string {
	return fmt.Sprintf("%s: %s has more than %s, which is its budget; it is left out", e.Request, e.What, e.Most)
}
