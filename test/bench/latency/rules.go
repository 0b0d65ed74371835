package main

import (
	"bufio"
	"context"
	"strings"
	"sync"
	"time"

	"github.com/clusterset/multicluster/test/clusterset"
)

// A ruleWatch follows what kube-proxy writes into the kernel of one node, as `nft monitor` prints it.
type ruleWatch struct {
	mu    sync.Mutex
	lines []ruleLine
}

type ruleLine struct {
	at   time.Time
	text string
}

func watchRules(ctx context.Context, c *clusterset.Cluster) (*ruleWatch, error) {
	cmd := c.Node.Command(ctx, "nft", "monitor", "rules")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := new(ruleWatch)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			w.mu.Lock()
			w.lines = append(w.lines, ruleLine{time.Now(), lines.Text()})
			w.mu.Unlock()
		}
		_ = cmd.Wait() // killed at the end
	}()
	return w, nil
}

// dispatch returns when kube-proxy first wrote, after since, a rule that spreads the derived Service's connections over
// endpoints among which address is or is not; false while it has not.
func (w *ruleWatch) dispatch(since time.Time, derived, address string, present bool) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, line := range w.lines {
		// As: add rule ip kube-proxy service-5RZLKHW7-ns/amcs-name/tcp/http meta l4proto tcp dnat ip to
		// numgen random mod 2 map { 0 : 10.10.0.2 . 8080, 1 : 10.10.0.3 . 8080 }
		if line.at.Before(since) || !strings.HasPrefix(line.text, "add rule ip kube-proxy service-") ||
			!strings.Contains(line.text, "/"+derived+"/") || !strings.Contains(line.text, " dnat ") {
			continue
		}
		if strings.Contains(line.text, " "+address+" . ") == present {
			return line.at, true
		}
	}
	return time.Time{}, false
}
