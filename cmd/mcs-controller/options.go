package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/controller/liveness"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/controller/rules"
	"github.com/clusterset/multicluster/internal/mcsapi"
)

// options is what can be asked for on the command line.
type options struct {
	members     []string
	clustersDir string
	self        string
	kubeconfig  string
	namespace   string

	clusterSet string
	automatic  bool
	prefer     string
	byRule     *rules.Rules // nil: nothing is exported by rule
	workers    int
	withdrawal string
	grace      time.Duration
	stable     time.Duration

	leaderElect   *bool // nil until [options.complete]
	metricsAddr   string
	metricsSecure bool
	probeAddr     string
	logFormat     string
	verbosity     int
	version       bool
	parsedMembers []registration.Flag
	limits        map[string]*[]string // flags as given, by name
	parsedLimits  map[string]registration.Limits
}

const usage = `mcs-controller makes Services that some clusters export available in others, by the
Multi-Cluster Services API (KEP-1645). It watches the ServiceExports of every member
cluster and keeps ServiceImports, amcs-… Services and EndpointSlices in every member.

The smallest clusterset, from a shell:

  mcs-controller --cluster c1=a.kubeconfig --cluster c2=b.kubeconfig

In a pod it needs no flags: members are the Secrets of its namespace with the label
clusterset.dev/member=<cluster id> and a kubeconfig under the key "kubeconfig".

`

// parse reads the command line. Help is written to w, and returned as pflag.ErrHelp.
func parse(args []string, w io.Writer) (*options, error) {
	o := &options{}
	f := pflag.NewFlagSet("mcs-controller", pflag.ContinueOnError)
	f.SortFlags = false
	f.SetOutput(io.Discard)

	f.StringArrayVar(&o.members, "cluster", nil, "a member, as `id=kubeconfig[:context]`; may be repeated. The file is read again when it changes")
	f.StringVar(&o.clustersDir, "clusters-dir", "", "a `directory` of kubeconfig files, one member each, named after the file without its extension; watched")
	f.StringVar(&o.namespace, "namespace", "", "the `namespace` of the members' Secrets and of the leader's Lease (default: $POD_NAMESPACE, else that of the pod)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the `file` to reach the own cluster with: the one with the Secrets and the Lease, and that of --self (default: the pod's credentials)")
	f.StringVar(&o.self, "self", "", "the `id` of the own cluster. With it, only the own cluster is written to, and all other members are only read: one controller per cluster. Without it, one controller writes to all members")

	o.limits = map[string]*[]string{}
	for _, limit := range [][2]string{
		{registration.LimitEndpointCIDRs, "a member and the ranges that its endpoints must be in, as `id=ranges`, such as c1=10.1.0.0/16,fd00:1::/48; others are refused. May be repeated, once per member. For members in Secrets this is the annotation clusterset.dev/endpoint-cidrs"},
		{registration.LimitServiceCIDRs, "a member that has no ServiceCIDR objects and its ranges of Service addresses, as `id=ranges`; no endpoint can be there. On a Secret: clusterset.dev/service-cidrs"},
		{registration.LimitExportNamespaces, "a member and the namespaces that it may export from, as `id=namespaces`, such as c1=shop,team-* (default: all). On a Secret: clusterset.dev/export-namespaces"},
		{registration.LimitImportNamespaces, "a member and the namespaces that services are imported into there, as `id=namespaces` (default: all but kube-*, which must be named). On a Secret: clusterset.dev/import-namespaces"},
		{registration.LimitExportedKeys, "a member and the labels and annotations with a domain that its ServiceExports may put on imports and derived Services, as `id=keys`: domains, keys, or *.domain, such as c1=example.com,networking.istio.io/exportTo (default: none; keys without a domain always pass). On a Secret: clusterset.dev/exported-keys"},
	} {
		o.limits[limit[0]] = f.StringArray(limit[0], nil, limit[1])
	}

	f.StringVar(&o.clusterSet, "clusterset", "default", "the `name` of the clusterset, which all objects made here carry; controllers of other names don't touch them")
	f.BoolVar(&o.automatic, "automatic-imports", true, "make a ServiceImport wherever an exported service's namespace exists; with =false, only serve ServiceImports that somebody made")
	f.StringVar(&o.prefer, "prefer", "", "the `clusters` whose endpoints are used first, in order, such as local,c2, where local is the importing cluster; all others come last. For services whose ServiceImport or ServiceExport has no annotation clusterset.dev/prefer (default: no preference)")
	selector := f.String("export-selector", "", "export every Service that this label `selector` selects, such as app=web, as if somebody had made its ServiceExport, in members that let their ServiceExports be created. The annotation clusterset.dev/export-selector of a namespace goes before it; with = and nothing behind, only those count (default: off)")
	f.IntVar(&o.workers, "workers", 32, "the `number` of names worked on at once, per member")

	f.DurationVar(&o.grace, "grace-period", 30*time.Second, "how `long` a provider must be out of reach before its endpoints are withdrawn where others remain; below 0 for never")
	f.DurationVar(&o.stable, "stable-period", 30*time.Second, "how `long` it must then be in reach without a break before they return")

	f.StringVar(&o.withdrawal, "withdrawal", string(liveness.WithdrawUnlessLast), "what happens to endpoints of a provider out of reach: keep, withdraw, or withdraw-unless-last: a `policy` that keeps stale endpoints rather than leave a service without any")

	elect := f.Bool("leader-elect", false, "let only one of several replicas work (default: true where a namespace is known, else false)")
	f.StringVar(&o.metricsAddr, "metrics-bind-address", "", "the `address` to serve Prometheus metrics on, at /metrics, to whoever reaches it; 0 for none (default: 127.0.0.1:8080 in a pod, else 0)")
	f.BoolVar(&o.metricsSecure, "metrics-secure", false, "serve metrics over TLS, with a certificate of its own, and only to those whom the own cluster lets get /metrics; needs the ClusterRole system:auth-delegator")
	f.StringVar(&o.probeAddr, "health-probe-bind-address", "", "the `address` to serve /healthz and /readyz on; 0 for none (default: :8081 in a pod, else 0)")
	f.StringVar(&o.logFormat, "log-format", "text", "`text` or json")
	f.CountVarP(&o.verbosity, "verbose", "v", "log every write, too")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	help := f.BoolP("help", "h", false, "print this and exit")

	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if *help {
		fmt.Fprint(w, usage, f.FlagUsagesWrapped(100))
		return nil, pflag.ErrHelp
	}
	if f.Changed("leader-elect") {
		o.leaderElect = elect
	}
	if rest := f.Args(); len(rest) > 0 {
		return nil, fmt.Errorf("unexpected argument %q; members are given as --cluster id=kubeconfig[:context]", rest[0])
	}
	if f.Changed("export-selector") {
		everywhere, err := rules.Parse(*selector)
		if err != nil {
			return nil, fmt.Errorf("--export-selector: %w", err)
		}
		o.byRule = &rules.Rules{ClusterSet: o.clusterSet, Everywhere: everywhere}
	}
	return o, o.check()
}

// check looks at what can be judged from the command line alone.
func (o *options) check() error {
	held := map[string]bool{}
	for _, value := range o.members {
		f, err := registration.ParseFlag(value)
		if err != nil {
			return fmt.Errorf("--cluster: %w", err)
		}
		if held[f.ID] {
			return fmt.Errorf("--cluster %s: cluster id %q is given twice; want another id", f, f.ID)
		}
		held[f.ID] = true
		o.parsedMembers = append(o.parsedMembers, f)
	}
	if o.self != "" {
		if err := registration.ValidID(o.self); err != nil {
			return fmt.Errorf("--self: %w", err)
		}
	}
	if err := o.checkLimits(held); err != nil {
		return err
	}
	if bad := validation.IsDNS1123Label(o.clusterSet); len(bad) > 0 {
		return fmt.Errorf("--clusterset %q: want lower-case letters, digits and '-', 1 to 63 of them", o.clusterSet)
	}
	for _, id := range mcsapi.ParseClusters(o.prefer) {
		if err := registration.ValidID(id); err != nil {
			return fmt.Errorf("--prefer: %w, or %s for the importing cluster", err, mcsapi.PreferLocal)
		}
	}
	if o.workers < 1 {
		return fmt.Errorf("--workers %d: want at least 1", o.workers)
	}
	if _, err := liveness.ParsePolicy(o.withdrawal); err != nil {
		return fmt.Errorf("--withdrawal %w", err)
	}
	if o.grace == 0 || o.stable <= 0 {
		return fmt.Errorf("--grace-period %v, --stable-period %v: want times such as 30s", o.grace, o.stable)
	}
	if o.logFormat != "text" && o.logFormat != "json" {
		return fmt.Errorf("--log-format %q: want text or json", o.logFormat)
	}
	return nil
}

// checkLimits reads the limits of members. A limit of nobody is most likely a slip, which would leave somebody without.
func (o *options) checkLimits(given map[string]bool) error {
	o.parsedLimits = map[string]registration.Limits{}
	for _, name := range registration.LimitNames {
		for _, value := range *o.limits[name] {
			if err := registration.ParseLimit(o.parsedLimits, name, value); err != nil {
				return fmt.Errorf("--%s %s: %w", name, value, err)
			}
			if id, _, _ := strings.Cut(value, "="); !given[id] && id != o.self && o.clustersDir == "" {
				return fmt.Errorf("--%s %s: no member %q is given by flags; want --cluster %s=kubeconfig, or the annotation %s/%s on its Secret",
					name, value, id, id, mcsapi.Domain, name)
			}
		}
	}
	return nil
}

// metricsAddrInPod is where metrics are served unless an address is given: nobody is asked who they are, so to others only
// when that is asked for.
const metricsAddrInPod = "127.0.0.1:8080"

// complete fills in the defaults that depend on where the program runs.
func (o *options) complete(h *home) error {
	elect := h.known()
	if o.leaderElect == nil {
		o.leaderElect = &elect
	}
	if *o.leaderElect && !h.known() {
		return fmt.Errorf("--leader-elect: needs a cluster and a namespace for its Lease; want --kubeconfig and --namespace, or a pod")
	}
	if o.metricsSecure && h.config == nil {
		return fmt.Errorf("--metrics-secure: which cluster knows who may read? want --kubeconfig, or a pod")
	}
	byDefault := func(addr *string, inPod string) {
		if *addr == "" && h.pod {
			*addr = inPod
		}
		if *addr == ":0" {
			*addr = "0"
		}
	}
	byDefault(&o.metricsAddr, metricsAddrInPod)
	byDefault(&o.probeAddr, ":8081")
	return nil
}

// sources returns where members come from.
func (o *options) sources(h *home, log *slog.Logger) ([]registration.Source, error) {
	both := registration.Registration{Provider: true, Consumer: true, ExportStatus: true}
	var sources []registration.Source
	if o.self != "" {
		own := registration.Self{Flag: registration.Flag{ID: o.self, Path: o.kubeconfig}, Registration: both}
		own.Registration.Limits = o.parsedLimits[o.self]
		if o.kubeconfig == "" && !h.pod {
			return nil, fmt.Errorf("--self %s: this is not a pod; want --kubeconfig with the own cluster's kubeconfig", o.self)
		}
		sources = append(sources, own)
	}
	if len(o.parsedMembers) > 0 {
		flags := registration.Flags{Flags: o.parsedMembers, Registration: both, Limits: o.parsedLimits}
		if bad, none := flags.Check(); none && o.clustersDir == "" && o.self == "" && !h.known() {
			return nil, fmt.Errorf("no member can be reached: %s", joined(bad))
		}
		sources = append(sources, flags)
	}
	if o.clustersDir != "" {
		dir := registration.Directory{Path: o.clustersDir, Registration: both, Limits: o.parsedLimits, Log: log}
		if err := dir.Check(); err != nil {
			return nil, fmt.Errorf("--clusters-dir: %w", err)
		}
		sources = append(sources, dir)
	}
	if h.known() {
		client, err := h.client(h.config)
		if err != nil {
			return nil, fmt.Errorf("--kubeconfig: %w", err)
		}
		sources = append(sources, registration.Secrets{Client: client, Namespace: h.namespace, Registration: both, Log: log})
	}
	if len(sources) == 0 {
		return nil, fmt.Errorf("no members: want --cluster id=kubeconfig, --clusters-dir, or --kubeconfig and --namespace for members in Secrets")
	}
	return sources, nil
}

func joined(errs []error) string {
	lines := make([]string, len(errs))
	for i, err := range errs {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "; ")
}
