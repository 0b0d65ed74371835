package kubeclient

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestPages_X6: whatever the size of objects, pages stay below the budget of an answer once it is known, every object is read
// once, and small objects don't take more requests than a fixed size of page would, but for the first few.
func TestPages_X6(t *testing.T) {
	for _, c := range []struct {
		name     string
		sizes    func(n int) int64
		objects  int
		most     int // requests
		exceeded bool
	}{
		{"small", func(int) int64 { return 2 * kib }, 10_000, 22, false},
		{"none", nil, 0, 1, false},
		{"of 538 KiB", func(int) int64 { return 538 * kib }, 200, 90, false},
		{"small, then large", func(n int) int64 { return max(1, min(int64(n-5000), 1)) * 1500 * kib * int64(min(1, n/5000)) }, 5100, 140, false},
		{"one too large", func(n int) int64 { return kib + int64(n/70)*5*mib }, 71, 20, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			at, requests := 0, 0
			_, err := Pages(t.Context(), metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
				requests++
				bytes, n := int64(0), 0
				for ; n < int(opts.Limit) && at+n < c.objects; n++ {
					if bytes += c.sizes(at + n); bytes > answerBytes {
						return 0, metav1.ListMeta{}, &Exceeded{}
					}
				}
				*ctx.Value(measure{}).(*int64) += bytes
				at += n
				more := ""
				if at < c.objects {
					more = "more"
				}
				return n, metav1.ListMeta{Continue: more}, nil
			})
			var exceeded *Exceeded
			if errors.As(err, &exceeded) != c.exceeded || err == nil && at != c.objects || requests > c.most {
				t.Errorf("%v after %d requests for %d of %d objects", err, requests, at, c.objects)
			}
		})
	}
}

// TestEndlessPages_X6: a list whose pages never end, ends.
func TestEndlessPages_X6(t *testing.T) {
	for name, size := range map[string]int64{"empty": 0, "full": answerBytes / 2} {
		t.Run(name, func(t *testing.T) {
			_, err := Pages(t.Context(), metav1.ListOptions{}, func(ctx context.Context, opts metav1.ListOptions) (int, metav1.ListMeta, error) {
				*ctx.Value(measure{}).(*int64) += size
				return 0, metav1.ListMeta{Continue: "more"}, nil
			})
			var exceeded *Exceeded
			if !errors.As(err, &exceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestLongTokens_X6: what goes back into the URL of the next request, and from there into errors, has a bounded length.
func TestLongTokens_X6(t *testing.T) {
	for name, list := range map[string]metav1.ListMeta{
		"continue": {Continue: strings.Repeat("x", 1<<20)}, "version": {Continue: "more", ResourceVersion: strings.Repeat("1", 1<<20)},
	} {
		requests := 0
		_, err := Pages(t.Context(), metav1.ListOptions{}, func(context.Context, metav1.ListOptions) (int, metav1.ListMeta, error) {
			requests++
			return 0, list, nil
		})
		var exceeded *Exceeded
		if !errors.As(err, &exceeded) || requests != 1 {
			t.Errorf("%s: %v after %d requests", name, err, requests)
		}
	}
}
