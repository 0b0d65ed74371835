package clusterset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/clusterset/multicluster/test/controlplane"
	"github.com/clusterset/multicluster/test/demo/manifests"
	"github.com/clusterset/multicluster/test/node"
	"github.com/clusterset/multicluster/test/programs"
)

// Options say what to bring up.
type Options struct {
	Clusters []ClusterOptions

	// Packets gives every cluster a node with pods that run; see [node.Check] for what that needs.
	Packets bool

	// Corefile is CoreDNS's in every cluster, the walk-through's by default.
	Corefile string

	// Progress is told each step as it ends, and which long one begins. Nil is silence.
	Progress func(step string)

	// BuildLog gets what compiling prints, if anything is compiled. Nil is silence.
	BuildLog io.Writer
}

// ClusterOptions say what is particular to one cluster.
type ClusterOptions struct {
	Name     string        // also the cluster id under which the controller knows it
	Families []node.Family // both, IPv4 first, by default
	OldCRDs  bool          // those of mcs-api v0.1.0, v1alpha1 only
	AuditLog bool          // see controlplane.Options
	Bare     bool          // nothing of ours is installed, not even the CRDs: what a user begins with
}

// A Set is a number of running clusters.
type Set struct {
	Clusters []*Cluster
	Programs Programs

	opts       Options
	source     string        // the directory of this module
	network    *node.Network // nil without packets
	controller *programs.Process
}

// Programs are the paths of what a set is made of.
type Programs struct {
	Kubernetes                  *controlplane.Binaries
	CoreDNS, Controller, inside string
}

// Build compiles everything that a set needs, as far as it is not there yet: ten minutes the first time on two cores.
func Build(ctx context.Context, log io.Writer) (Programs, error) {
	if log == nil {
		log = io.Discard
	}
	kubernetes, err := controlplane.Build(ctx, log)
	if err != nil {
		return Programs{}, err
	}
	built, err := programs.Build(ctx, log, "cmd/coredns", "cmd/mcs-controller", "test/node/inside")
	if err != nil {
		return Programs{}, err
	}
	return Programs{kubernetes, built[0], built[1], built[2]}, nil
}

// New brings the clusters up, all at once, and returns when DNS is ready in each. No controller runs yet. ctx is for
// bringing up only; [Set.Close] takes everything down, and the end of this program does too.
func New(ctx context.Context, opts Options) (*Set, error) {
	s := &Set{opts: opts}
	if s.opts.Corefile == "" {
		s.opts.Corefile = manifests.Corefile
	}
	if s.opts.Progress == nil {
		s.opts.Progress = func(string) {}
	}
	if err := s.bringUp(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Set) bringUp(ctx context.Context) error {
	if s.opts.Packets {
		if err := node.Check(); err != nil {
			return err
		}
	}
	var err error
	if s.source, err = programs.Root(ctx); err != nil {
		return err
	}
	if s.Programs, err = Build(ctx, s.opts.BuildLog); err != nil {
		return err
	}
	if s.opts.Packets {
		if s.network, err = node.NewNetwork(s.Programs.inside); err != nil {
			return err
		}
	}
	s.Clusters = make([]*Cluster, len(s.opts.Clusters))
	errs := make([]error, len(s.opts.Clusters))
	var starting sync.WaitGroup
	for i, opts := range s.opts.Clusters {
		s.Clusters[i] = &Cluster{Name: opts.Name, Addresses: node.Plan(i, opts.Families...), set: s, opts: opts}
		starting.Go(func() {
			if err := s.Clusters[i].bringUp(ctx); err != nil {
				errs[i] = fmt.Errorf("bringing cluster %s up: %w", opts.Name, err)
			}
		})
	}
	starting.Wait()
	return errors.Join(errs...)
}

// Close ends everything. It may be called more than once.
func (s *Set) Close() {
	s.StopController()
	var stopping sync.WaitGroup
	for _, c := range s.Clusters {
		stopping.Go(c.close)
	}
	stopping.Wait()
	if s.network != nil {
		s.network.Close()
		s.network = nil
	}
}

// Cluster returns the one of the given name. It panics if there is none.
func (s *Set) Cluster(name string) *Cluster {
	for _, c := range s.Clusters {
		if c.Name == name {
			return c
		}
	}
	panic(fmt.Sprintf("clusterset: no cluster is named %q", name))
}

// ControllerArgs returns the command line that makes every cluster a member, under its name.
func (s *Set) ControllerArgs() []string {
	var args []string
	for _, c := range s.Clusters {
		args = append(args, "--cluster", c.Name+"="+c.ControllerKubeconfig())
	}
	return args
}

// StartController runs mcs-controller for all clusters, with further arguments.
func (s *Set) StartController(args ...string) error {
	if s.controller != nil {
		return errors.New("the controller runs already")
	}
	p, err := programs.Start(s.Programs.Controller, append(s.ControllerArgs(), args...)...)
	if err != nil {
		return fmt.Errorf("starting the controller: %w", err)
	}
	s.controller = p
	return nil
}

// StopController ends the controller, if it runs, in good order.
func (s *Set) StopController() {
	if s.controller != nil {
		s.controller.Stop(10 * time.Second)
		s.controller = nil
	}
}

// ControllerLog returns the end of what the running controller printed.
func (s *Set) ControllerLog() string {
	if s.controller == nil {
		return ""
	}
	return s.controller.Log()
}
