package registration

import (
	"context"
	"fmt"
	"os"
	"time"
)

// pollInterval is how often files are looked at. Polling is slower than file notifications by seconds at most, and works
// wherever a file can be read, mounted Secrets and network file systems included.
const pollInterval = 2 * time.Second

// holdAbsences is how long it is doubted that most members are gone, as long as the grace period is by default (SPEC L6).
const holdAbsences = 30 * time.Second

// fromFile completes a registration with the credentials of a kubeconfig file. The present ones are kept, not made anew,
// while the file is the same.
func fromFile(reg Registration, path, context string, last map[string]Registration) Registration {
	// What has not changed is not even parsed: this is asked every few seconds, of hundreds of files.
	held, ok := last[reg.Origin]
	if content, err := os.ReadFile(path); err == nil && ok && held.Err == nil && held.Revision == revision(content, []byte(context)) {
		return held
	}
	cfg, revision, err := kubeconfigFile(path, context)
	if err != nil {
		reg.Err = fmt.Errorf("%s: %w; want a readable kubeconfig", reg.Origin, err)
		return reg
	}
	reg.Config, reg.Revision = cfg, revision
	return reg
}

// poll calls read again and again, and update at first and whenever something differs. An error of read changes nothing.
func poll(
	ctx context.Context, every time.Duration, update func([]Registration),
	read func(last map[string]Registration) ([]Registration, error),
) error {
	if every == 0 {
		every = pollInterval
	}
	var last map[string]Registration
	for {
		if regs, err := read(last); err == nil {
			now := byOrigin(regs)
			if last == nil || !sameRegistrations(last, now) {
				update(regs)
			}
			last = now
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}
