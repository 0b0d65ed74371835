package kubeclient

import (
	"context"
	"errors"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// How many objects are on a page: few at first, then as many as fill half of the budget of an answer, given the size of those
// that came so far.
const (
	firstLimit  = 50
	mostLimit   = 500
	growth      = 4
	targetBytes = answerBytes / 2
	tokenBytes  = 16 << 10 // honest ones hold the name of an object
)

// limit finds how many objects fit a page.
type limit struct{ n int64 }

// took learns from a page.
func (l *limit) took(objects, bytes int64) {
	l.n = min(l.n*growth, mostLimit)
	if objects > 0 && bytes > 0 {
		l.n = min(l.n, targetBytes*objects/bytes)
	}
	l.n = max(l.n, 1)
}

// less learns that a page was too large, and reports whether a smaller one can be asked for.
func (l *limit) less() bool {
	if l.n == 1 {
		return false
	}
	l.n = max(1, l.n/growth)
	return true
}

// Page reads one page of a list, as opts say, and returns how many objects are on it and the metadata of the list. The
// context is the one to read it with.
type Page func(ctx context.Context, opts metav1.ListOptions) (objects int, list metav1.ListMeta, err error)

// Pages reads a list page by page, and returns the metadata of its last page. Pages have the size in bytes that an answer may
// have, whatever that of the objects is; one that is too large is asked for again with fewer objects.
func Pages(ctx context.Context, opts metav1.ListOptions, page Page) (metav1.ListMeta, error) {
	l := limit{firstLimit}
	total := int64(0)
	for range listPages {
		opts.Limit = l.n
		bytes := int64(0)
		objects, list, err := page(withMeter(ctx, &bytes), opts)
		total += bytes
		var exceeded *Exceeded
		if errors.As(err, &exceeded) && l.less() {
			continue
		}
		if err != nil {
			return list, err
		}
		if list.Continue == "" {
			return list, nil
		}
		if total > listBytes {
			return list, &Exceeded{Request: "a list", What: "all pages together", Most: size(listBytes)}
		}
		if len(list.Continue) > tokenBytes || len(list.ResourceVersion) > tokenBytes { // they go back into a URL, and with that into errors
			return list, &Exceeded{Request: "a list", What: "its continue token or resourceVersion", Most: size(tokenBytes)}
		}
		l.took(int64(objects), bytes)
		opts.Continue = list.Continue
	}
	return metav1.ListMeta{}, &Exceeded{Request: "a list", What: "the list", Most: strconv.Itoa(listPages) + " pages"}
}

// All returns all objects of a list, which it reads as [Pages] does.
func All[T any](
	ctx context.Context, opts metav1.ListOptions, read func(context.Context, metav1.ListOptions) ([]T, metav1.ListMeta, error),
) (all []T, err error) {
	_, err = Pages(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
		items, list, err := read(ctx, opts)
		if err == nil {
			all = append(all, items...)
		}
		return len(items), list, err
	})
	return all, err
}
