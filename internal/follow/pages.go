package follow

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/clusterset/multicluster/internal/kubeclient"
)

// Gate bounds how many pages are read at once.
type Gate interface {
	// Enter waits until a page may be asked for.
	Enter(context.Context) (Turn, error)
}

// Turn is the right to read one page. While the page comes, the gate may take it back, since a server decides how long that lasts.
type Turn interface {
	// Decode waits until the page, which has come, may be decoded. That waits for nobody.
	Decode(context.Context) error
	Leave()
}

// Reader reads pages of lists. The zero value reads any number of them at once.
type Reader struct {
	Gate Gate
	// Patience is how long a server may take to open a watch, or to send more of a page; 0 for [Patience].
	Patience time.Duration
	// Keep says that objects are kept: each is in memory of its own then, so that one does not keep its whole page.
	Keep bool
}

func (r *Reader) patience() time.Duration { return or(r.Patience, Patience) }

// Page reads one page and calls each for its objects.
func (r *Reader) Page(ctx context.Context, s Source, opts metav1.ListOptions, each func(Object) error) (metav1.ListMeta, error) {
	decode := func(context.Context) error { return nil }
	if r.Gate != nil {
		turn, err := r.Gate.Enter(ctx)
		if err != nil {
			return metav1.ListMeta{}, err
		}
		defer turn.Leave()
		decode = turn.Decode
	}
	page, err := fetch(ctx, s, opts, r.patience())
	if err != nil {
		return metav1.ListMeta{}, err
	}
	if err := decode(ctx); err != nil {
		return metav1.ListMeta{}, err
	}
	list, err := page()
	if err != nil {
		return metav1.ListMeta{}, err
	}
	return r.objects(list, each)
}

// fetch waits for a page as long as more of it comes.
func fetch(ctx context.Context, s Source, opts metav1.ListOptions, patience time.Duration) (Page, error) {
	ctx, done := kubeclient.UntilStalled(ctx, patience)
	defer done()
	page, err := s.Page(ctx, opts)
	if err != nil {
		return nil, because(ctx, err)
	}
	return page, nil
}

// objects calls each for the objects of a list.
func (r *Reader) objects(list runtime.Object, each func(Object) error) (metav1.ListMeta, error) {
	of, err := meta.ListAccessor(list)
	if err != nil {
		return metav1.ListMeta{}, fmt.Errorf("got a %T: %w", list, err)
	}
	out := metav1.ListMeta{ResourceVersion: of.GetResourceVersion(), Continue: of.GetContinue()}
	if out.ResourceVersion == "" {
		return out, errNoVersion
	}
	if len(out.ResourceVersion) > kubeclient.VersionBytes {
		return out, errLongVersion
	}
	items := meta.EachListItem
	if r.Keep {
		items = meta.EachListItemWithAlloc
	}
	return out, items(list, func(o runtime.Object) error {
		object, ok := o.(Object)
		if !ok {
			return fmt.Errorf("got a %T", o)
		}
		return each(object)
	})
}

// Pages reads a whole list, page by page ([kubeclient.Pages]), calls each for its objects, and returns the metadata of its last page.
func (r *Reader) Pages(ctx context.Context, s Source, opts metav1.ListOptions, each func(Object) error) (metav1.ListMeta, error) {
	return kubeclient.Pages(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) (objects int, list metav1.ListMeta, err error) {
		list, err = r.Page(ctx, s, opts, func(o Object) error {
			objects++
			return each(o)
		})
		return objects, list, err
	})
}
