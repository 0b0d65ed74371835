package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/client-go/kubernetes"
)

// Limits of reviews. Anybody who reaches the port can send tokens, and each token that was not seen before costs the own
// cluster a review. So verdicts are kept for a while, each address has a share of its own, and all shares together are bounded.
const (
	// reviewTimeout is how long the own cluster may take to say who somebody is and what they may.
	reviewTimeout = 10 * time.Second
	// grantedFor and deniedFor are how long a verdict is used, so also how long a revoked token still reads metrics.
	grantedFor = time.Minute
	deniedFor  = 10 * time.Second
	// keptGranted and keptDenied are how many verdicts are kept. They are kept apart, so that tokens which are made up
	// never displace one that is good.
	keptGranted = 256
	keptDenied  = 1024
	// addressRate and addressBurst bound the reviews for one address, and totalRate and totalBurst those for all, per second.
	addressRate, addressBurst = 1, 10
	totalRate, totalBurst     = 20, 40
	// keptAddresses is how many addresses are told apart; who was not heard of for longest is forgotten first.
	keptAddresses = 4096
)

// errWho, errMayNot and errTooMany are all that a client is told.
var (
	errWho     = errors.New("unauthorized: want the bearer token of a user of this cluster")
	errMayNot  = errors.New("forbidden: want a role that allows the verb get on this path as a nonResourceURL")
	errTooMany = errors.New("too many requests with other tokens from this address")
)

// reviews decide who may read what, and ask their own cluster as rarely as they can.
type reviews struct {
	ask     func(ctx context.Context, token, path string) error // nil, errWho, errMayNot, or why it can't be said
	granted *cache.LRUExpireCache                               // by digest of token and path
	denied  *cache.LRUExpireCache
	total   *rate.Limiter

	mu     sync.Mutex
	shares *cache.LRUExpireCache // limiters, by address
}

func newReviews(ask func(ctx context.Context, token, path string) error) *reviews {
	return &reviews{
		ask: ask, granted: cache.NewLRUExpireCache(keptGranted), denied: cache.NewLRUExpireCache(keptDenied),
		total: rate.NewLimiter(totalRate, totalBurst), shares: cache.NewLRUExpireCache(keptAddresses),
	}
}

// verdict returns nil if the user of a token may read a path.
func (r *reviews) verdict(ctx context.Context, from netip.Addr, token, path string) error {
	if token == "" {
		return errWho
	}
	key := sha256.Sum256([]byte(path + "\x00" + token))
	if _, ok := r.granted.Get(key); ok {
		return nil
	}
	if why, ok := r.denied.Get(key); ok {
		return why.(error)
	}
	if !r.share(from).Allow() || !r.total.Allow() {
		return errTooMany
	}
	ctx, cancel := context.WithTimeout(ctx, reviewTimeout)
	defer cancel()
	err := r.ask(ctx, token, path)
	switch {
	case err == nil:
		r.granted.Add(key, true, grantedFor)
	case errors.Is(err, errWho), errors.Is(err, errMayNot):
		r.denied.Add(key, err, deniedFor)
	}
	return err
}

// share is what an address may ask for. An IPv6 network of 64 bits counts as one, since one host can have all of it.
func (r *reviews) share(from netip.Addr) *rate.Limiter {
	at := sameHost(from)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.shares.Get(at); ok {
		return known.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(addressRate, addressBurst)
	r.shares.Add(at, fresh, time.Hour)
	return fresh
}

// sameHost returns what one host has of addresses.
func sameHost(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, _ := addr.Prefix(bits) // fails for no address, which is one, too
	return prefix
}

// askCluster asks a cluster who has a token, and whether they may read a path.
func askCluster(kube kubernetes.Interface) func(ctx context.Context, token, path string) error {
	return func(ctx context.Context, token, path string) error {
		who, err := kube.AuthenticationV1().TokenReviews().Create(ctx, &authenticationv1.TokenReview{
			Spec: authenticationv1.TokenReviewSpec{Token: token},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if !who.Status.Authenticated {
			return errWho
		}
		extra := map[string]authorizationv1.ExtraValue{}
		for key, value := range who.Status.User.Extra {
			extra[key] = authorizationv1.ExtraValue(value)
		}
		may, err := kube.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
			Spec: authorizationv1.SubjectAccessReviewSpec{
				User: who.Status.User.Username, UID: who.Status.User.UID, Groups: who.Status.User.Groups, Extra: extra,
				NonResourceAttributes: &authorizationv1.NonResourceAttributes{Verb: "get", Path: path},
			},
		}, metav1.CreateOptions{})
		switch {
		case err != nil:
			return err
		case !may.Status.Allowed:
			return errMayNot
		}
		return nil
	}
}
