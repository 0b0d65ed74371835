package members

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/kubeclient"
	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/internal/shell"
)

// Options say which clusters a command is about.
type Options struct {
	// Kubeconfig is the file; empty means $KUBECONFIG, else ~/.kube/config.
	Kubeconfig string
	// Context is the one that the command begins with; empty means the current one.
	Context string
	// Contexts are all clusters, each "context" or "id=context". Empty means Context and what is registered there.
	Contexts []string
	// Clusters are all clusters, each "id=kubeconfig[:context]", as mcs-controller takes them.
	Clusters []string
	// Namespace is the one of the controller and of the Secrets that register members.
	Namespace string
	// Zone is the DNS zone of the clusterset; empty where it does not matter.
	Zone string
	// Timeout is how long a request may take.
	Timeout time.Duration
}

// Set is the clusters that a command is about.
type Set struct {
	// Clusters are sorted by id, but the home first.
	Clusters []*Cluster
	// Controller is what runs at home; nil where none was found: it runs elsewhere, or may not be read.
	Controller *Controller
	// Secrets are those that register members at home; SecretsErr says why they can't be read.
	Secrets    []corev1.Secret
	SecretsErr error
	Namespace  string
	look       shell.Text
}

// DefaultNamespace is the one of the controller and of the Secrets that register members, unless a flag names another.
const DefaultNamespace = "mcs-system"

// DefaultZone is the DNS zone of the clusterset, unless a flag names another.
const DefaultZone = "clusterset.local"

// Look are the flags that make mcsctl look at the same clusters, for advice.
func (s *Set) Look() shell.Text { return s.look }

// lookOf composes [Set.Look] of options, where home is the cluster that the command begins with, if it begins with one.
func lookOf(o Options, home *Cluster) (flags shell.Text) {
	switch {
	case home != nil:
		flags = home.Flags()
	case len(o.Contexts) > 0:
		flags = contextFlags(o.Kubeconfig, "") + shell.Command(" --contexts %s", strings.Join(o.Contexts, ","))
	}
	for _, c := range o.Clusters {
		flags += shell.Command(" --cluster %s", c)
	}
	return flags + Besides(o.Namespace, o.Zone)
}

// Besides are the flags of mcsctl that name the controller's namespace and the zone, where they are not the defaults.
func Besides(namespace, zone string) (flags shell.Text) {
	if namespace != "" && namespace != DefaultNamespace {
		flags += shell.Command(" --namespace %s", namespace)
	}
	if zone = strings.TrimSuffix(zone, "."); zone != "" && zone != DefaultZone {
		flags += shell.Command(" --zone %s", zone)
	}
	return flags
}

// Registering are the flags that make mcsctl join and leave act on the home. They take neither --contexts nor --cluster, as [Set.Look]
// may have.
func (s *Set) Registering() shell.Text { return s.Flags() + Besides(s.Namespace, "") }

// Home is the cluster that registrations and the controller are looked for in; nil where clusters were all given by flags.
func (s *Set) Home() *Cluster {
	for _, c := range s.Clusters {
		if c.Home {
			return c
		}
	}
	return nil
}

// Flags make mcsctl and kubectl act on the home. Where it is not known which cluster is that, they name a context to fill in.
func (s *Set) Flags() shell.Text {
	home := s.Home()
	switch {
	case home != nil:
		return home.Flags()
	case len(s.Clusters) == 1:
		return s.Clusters[0].Flags()
	}
	return " --context CONTEXT"
}

// ClusterSet is the name of the clusterset, as far as it is known.
func (s *Set) ClusterSet() string {
	if s.Controller == nil {
		return "default"
	}
	return s.Controller.ClusterSet
}

// Find finds the clusters. An error means that there is not even one to begin with; a cluster that can't be reached is
// in the set all the same.
func Find(ctx context.Context, o Options) (*Set, error) {
	s := &Set{Namespace: o.Namespace}
	var err error
	switch {
	case len(o.Clusters) > 0 && len(o.Contexts) > 0:
		return nil, errors.New("--cluster and --contexts exclude each other; want one of them")
	case len(o.Clusters) > 0:
		err = s.fromFlags(o)
	case len(o.Contexts) > 0:
		err = s.fromContexts(ctx, o)
	default:
		return s, s.fromHome(ctx, o)
	}
	s.look = lookOf(o, nil)
	if err != nil {
		return nil, err
	}
	s.sort()
	return s, s.unique()
}

func (s *Set) fromFlags(o Options) error {
	for _, value := range o.Clusters {
		f, err := registration.ParseFlag(value)
		if err != nil {
			return fmt.Errorf("--cluster: %w", err)
		}
		rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: f.Path}
		cfg, name, err := configOf(rules, f.Context)
		if err != nil {
			return fmt.Errorf("--cluster %s: %w", f, err)
		}
		c := &Cluster{ID: f.ID, Origin: "--cluster " + f.String(), Context: name, Kubeconfig: f.Path, Provider: true, Consumer: true}
		s.Clusters = append(s.Clusters, c.Connect(cfg, o.Timeout))
	}
	return nil
}

func (s *Set) fromContexts(ctx context.Context, o Options) error {
	for _, value := range o.Contexts {
		id, name, explicit := strings.Cut(value, "=")
		if !explicit {
			name = id
		}
		cfg, _, err := configOf(o.rules(), name)
		if err != nil {
			return fmt.Errorf("--contexts %s: %w", value, err)
		}
		c := (&Cluster{ID: id, Origin: "context " + name, Context: name, Kubeconfig: o.Kubeconfig, Provider: true, Consumer: true}).Connect(cfg, o.Timeout)
		if !explicit && c.Err == nil {
			c.ID = cmp.Or(c.ownID(ctx, o.Namespace), c.property(ctx), name)
		}
		s.Clusters = append(s.Clusters, c)
	}
	return nil
}

// ownID is the id that the controller in a cluster gives it, or "".
func (c *Cluster) ownID(ctx context.Context, ns string) string {
	controller, err := c.ControllerOf(ctx, ns)
	if err != nil || controller == nil {
		return ""
	}
	return controller.Self
}

// One returns the cluster of one context of the kubeconfig, the current one for "". Nothing is sent.
func One(o Options, context string) (*Cluster, error) {
	cfg, name, err := configOf(o.rules(), context)
	if err != nil {
		return nil, err
	}
	c := &Cluster{ID: name, Origin: "context " + name, Context: name, Kubeconfig: o.Kubeconfig, Provider: true, Consumer: true}
	if name == inCluster {
		c.Context = ""
	}
	c.Connect(cfg, o.Timeout)
	return c, c.Err
}

func (s *Set) fromHome(ctx context.Context, o Options) error {
	home, err := One(o, o.Context)
	if err != nil {
		return err
	}
	home.Home, home.Provider = true, true
	s.look = lookOf(o, home)
	var wg sync.WaitGroup
	var ownUID types.UID
	var property string
	wg.Go(func() { s.Controller, _ = home.ControllerOf(ctx, o.Namespace) })
	wg.Go(func() { s.Secrets, s.SecretsErr = home.Registrations(ctx, o.Namespace) })
	wg.Go(func() { ownUID, err = home.UID(ctx) })
	wg.Go(func() { property = home.property(ctx) })
	wg.Wait()
	if Unreachable(err) {
		return &UnreachableHome{fmt.Sprintf("%s (%s) can't be reached: %s; want another --context, or a working one", home.Origin, home.Config.Host, Brief(err))}
	}
	home.ID = cmp.Or(s.self(), property, home.ID)
	others := s.registered(ctx, o.Timeout, ownUID)
	registered := slices.IndexFunc(others, func(m found) bool { return m.uid != "" && m.uid == ownUID })
	if registered >= 0 { // the person's credentials may see more than those of the registration
		home.ID, home.Provider, home.Consumer = others[registered].cluster.ID, others[registered].cluster.Provider, others[registered].cluster.Consumer
		others = slices.Delete(others, registered, registered+1)
	} else if s.Controller != nil && s.Controller.Self == "" && len(others) > 0 {
		home.Provider, home.Consumer = false, false // a hub that is no member itself
	}
	s.Clusters = []*Cluster{home}
	for _, m := range others {
		m.cluster.Consumer = m.cluster.Consumer && s.self() == "" // in the member role the others are only read
		s.Clusters = append(s.Clusters, m.cluster)
	}
	s.sort()
	return nil
}

// UnreachableHome says that the cluster that a command begins with gave no answer.
type UnreachableHome struct{ text string }

// Error implements error.
func (e *UnreachableHome) Error() string { return e.text }

// Fleet reports whether one controller serves all members, for all that their Secrets show: it imports into them, too.
func (s *Set) Fleet() bool {
	return slices.ContainsFunc(s.Secrets, func(secret corev1.Secret) bool { return secret.Annotations[registration.AnnotationRole] != "provider" })
}

func (s *Set) self() string {
	if s.Controller == nil {
		return ""
	}
	return s.Controller.Self
}

// found is a registered cluster with the UID that tells it from others.
type found struct {
	cluster *Cluster
	uid     types.UID
}

// InHome is the address of the API server of the controller's own cluster, as pods have it. This machine need not resolve it.
const InHome = "https://kubernetes.default.svc"

// registered connects to every member that a Secret registers, all at once. The home may be one of them.
func (s *Set) registered(ctx context.Context, timeout time.Duration, home types.UID) []found {
	out := make([]found, len(s.Secrets))
	var wg sync.WaitGroup
	for i := range s.Secrets {
		wg.Go(func() {
			reg := registration.Registered(&s.Secrets[i])
			if registration.ValidID(reg.ID) != nil {
				reg.ID = s.Secrets[i].Name
			}
			c := &Cluster{ID: reg.ID, Origin: reg.Origin, Registered: true, Provider: reg.Provider, Consumer: reg.Consumer, Limits: reg.Limits, Err: reg.Err}
			out[i].cluster = c
			if reg.Err == nil && reg.Config.Host == InHome {
				out[i].uid = home
				if home == "" { // otherwise it is looked at as the home
					c.Err = fmt.Errorf("%s is the address of the controller's own cluster, and this machine is not allowed to read the UID of namespace %s there, which tells whether that is this cluster",
						InHome, metav1.NamespaceSystem)
				}
			} else if reg.Err == nil && c.Connect(reg.Config, timeout).Err == nil {
				out[i].uid, _ = c.UID(ctx) // who can't be reached is found out by whoever asks for more
			}
		})
	}
	wg.Wait()
	return out
}

// Registrations lists the Secrets of a namespace that register members, by name.
func (c *Cluster) Registrations(ctx context.Context, ns string) ([]corev1.Secret, error) {
	opts := metav1.ListOptions{LabelSelector: registration.LabelMember}
	all, err := kubeclient.All(ctx, opts, func(ctx context.Context, opts metav1.ListOptions) ([]corev1.Secret, metav1.ListMeta, error) {
		list, err := c.Kube.CoreV1().Secrets(ns).List(ctx, opts)
		if err != nil {
			return nil, metav1.ListMeta{}, err
		}
		return mcsapi.OnlyWellformed(list.Items, true), list.ListMeta, nil
	})
	if err != nil {
		if apierrors.IsForbidden(err) {
			return nil, fmt.Errorf("these credentials may not list the Secrets of namespace %s", ns)
		}
		return nil, err
	}
	slices.SortFunc(all, func(a, b corev1.Secret) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func (s *Set) sort() {
	slices.SortStableFunc(s.Clusters, func(a, b *Cluster) int {
		if a.Home != b.Home {
			if a.Home {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
}

func (s *Set) unique() error {
	held := map[string]string{}
	for _, c := range s.Clusters {
		if by := held[c.ID]; by != "" {
			return fmt.Errorf("%s and %s both have the cluster id %s; want id=context, each with an id of its own", by, c.Origin, c.ID)
		}
		held[c.ID] = c.Origin
	}
	return nil
}

func (o Options) rules() *clientcmd.ClientConfigLoadingRules {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	return rules
}

// inCluster is what a pod's own cluster is called where there is no kubeconfig.
const inCluster = "in-cluster"

// configOf returns the configuration of a context, the current one for "", and its name.
func configOf(rules *clientcmd.ClientConfigLoadingRules, name string) (*rest.Config, string, error) {
	raw, err := rules.Load()
	if err != nil {
		return nil, "", fmt.Errorf("reading the kubeconfig: %s", strings.Join(strings.Fields(err.Error()), " "))
	}
	name = cmp.Or(name, raw.CurrentContext)
	switch {
	case name == "" && len(raw.Contexts) == 0:
		cfg, err := rest.InClusterConfig()
		if err != nil {
			return nil, "", errors.New("no kubeconfig was found; want --kubeconfig FILE, or the variable KUBECONFIG")
		}
		return cfg, inCluster, nil
	case name == "":
		return nil, "", fmt.Errorf("the kubeconfig has no current context; want --context, one of %s", names(raw))
	case raw.Contexts[name] == nil:
		return nil, "", fmt.Errorf("the kubeconfig has no context %q; want one of %s", name, names(raw))
	}
	cfg, err := clientcmd.NewNonInteractiveClientConfig(*raw, name, &clientcmd.ConfigOverrides{}, rules).ClientConfig()
	if err != nil {
		return nil, "", fmt.Errorf("context %s: %s", name, strings.Join(strings.Fields(err.Error()), " "))
	}
	return cfg, name, nil
}

func names(cfg *clientcmdapi.Config) string {
	if len(cfg.Contexts) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(cfg.Contexts)), ", ")
}
