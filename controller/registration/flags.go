package registration

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/rest"
)

// Flag is one --cluster flag: id=kubeconfig[:context].
type Flag struct {
	ID, Path, Context string
}

// ParseFlag parses id=kubeconfig[:context]. A file of the whole name has no context; otherwise the shortest part before a
// colon that is a file is the kubeconfig, since names of contexts have colons more often than names of files do
// (arn:aws:eks:…). Where nothing is a file yet, the first colon separates the two.
func ParseFlag(value string) (Flag, error) {
	id, path, ok := strings.Cut(value, "=")
	if !ok || path == "" {
		return Flag{}, fmt.Errorf("%q: want id=kubeconfig[:context], such as c1=/etc/mcs/c1.kubeconfig", value)
	}
	if err := ValidID(id); err != nil {
		return Flag{}, err
	}
	file, name := splitContext(path)
	return Flag{ID: id, Path: file, Context: name}, nil
}

// splitContext separates kubeconfig[:context] as [ParseFlag] says.
func splitContext(path string) (file, name string) {
	if isFile(path) {
		return path, ""
	}
	first := -1
	for i := range path {
		if path[i] != ':' || i == 0 || i == len(path)-1 {
			continue
		}
		if isFile(path[:i]) {
			return path[:i], path[i+1:]
		}
		if first < 0 {
			first = i
		}
	}
	if first < 0 {
		return path, ""
	}
	return path[:first], path[first+1:]
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

func (f Flag) String() string {
	if f.Context == "" {
		return f.ID + "=" + f.Path
	}
	return f.ID + "=" + f.Path + ":" + f.Context
}

// Flags is a [Source] of members given one by one. The set of members is fixed; their credentials follow the files.
type Flags struct {
	Flags []Flag
	// Registration is what the members have in common: their roles.
	Registration Registration
	// Limits are those of members by id; others have none.
	Limits map[string]Limits
	// Poll is the time between two looks at the files; 0 means 2 s.
	Poll time.Duration
}

// Check says which of the flags can't be used now, as one error per flag, and whether none can.
func (s Flags) Check() (bad []error, none bool) {
	regs := s.read(nil)
	for _, reg := range regs {
		if reg.Err != nil {
			bad = append(bad, reg.Err)
		}
	}
	return bad, len(regs) > 0 && len(bad) == len(regs)
}

// Run implements [Source].
func (s Flags) Run(ctx context.Context, update func([]Registration)) error {
	return poll(ctx, s.Poll, update, func(last map[string]Registration) ([]Registration, error) { return s.read(last), nil })
}

func (s Flags) read(last map[string]Registration) []Registration {
	regs := make([]Registration, 0, len(s.Flags))
	for _, f := range s.Flags {
		reg := s.Registration
		reg.ID, reg.Origin, reg.Limits = f.ID, "--cluster "+f.String(), s.Limits[f.ID]
		regs = append(regs, fromFile(reg, f.Path, f.Context, last))
	}
	return regs
}

// Self is a [Source] of the cluster that the controller runs in, for the member role. With an empty path the credentials
// are those of the pod, which the client reads anew as they are rotated.
type Self struct {
	Flag         Flag
	Registration Registration // with its limits
}

// Run implements [Source].
func (s Self) Run(ctx context.Context, update func([]Registration)) error {
	if s.Flag.Path != "" {
		limits := map[string]Limits{s.Flag.ID: s.Registration.Limits}
		return Flags{Flags: []Flag{s.Flag}, Registration: s.Registration, Limits: limits}.Run(ctx, update)
	}
	cfg, err := rest.InClusterConfig()
	if errors.Is(err, rest.ErrNotInCluster) {
		return errors.New("--self: this is not a pod of a cluster; want --kubeconfig with the own cluster's kubeconfig")
	}
	if err != nil {
		return fmt.Errorf("--self: %w", err)
	}
	reg := s.Registration
	reg.ID, reg.Origin, reg.Config = s.Flag.ID, "--self "+s.Flag.ID, cfg
	update([]Registration{reg})
	<-ctx.Done()
	return nil
}
