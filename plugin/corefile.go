package multicluster

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/clusterset/multicluster/internal/mcsapi"
	"github.com/clusterset/multicluster/plugin/view"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/fall"
	"github.com/miekg/dns"
	"k8s.io/apimachinery/pkg/labels"
	_ "k8s.io/client-go/plugin/pkg/client/auth/oidc" // for kubeconfigs that name it
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	defaultTTL      = 5    // seconds, as the plugin kubernetes has it
	maxTTL          = 3600 // seconds
	defaultPatience = 5 * time.Second
)

// stanza is one multicluster directive of a Corefile.
type stanza struct {
	key      sourceKey
	config   *rest.Config
	zones    []*zone
	patience time.Duration // startup_timeout
	group    *group
}

// parseStanza reads
//
//	multicluster [ZONES...] {
//	    kubeconfig KUBECONFIG [CONTEXT]
//	    ttl TTL
//	    namespaces NAMESPACE...
//	    labels EXPRESSION
//	    noendpoints
//	    fallthrough [ZONES...]
//	    startup_timeout DURATION
//	}
func parseStanza(c *caddy.Controller) (*stanza, error) {
	st := &stanza{patience: defaultPatience}
	p := parser{Controller: c, stanza: st, ttl: defaultTTL}
	if err := p.origins(c.RemainingArgs()); err != nil {
		return nil, err
	}
	for c.NextBlock() {
		option, ok := options[c.Val()]
		if !ok {
			return nil, c.Errf("unknown property '%s'", c.Val())
		}
		if err := option(&p, c.RemainingArgs()); err != nil {
			return nil, err
		}
	}
	for _, z := range st.zones {
		z.TTL, z.fall = p.ttl, p.fall
	}
	return st, p.connect()
}

// parser is a stanza while it is read.
type parser struct {
	*caddy.Controller
	stanza              *stanza
	ttl                 uint32
	fall                fall.F
	kubeconfig, context string
}

var options = map[string]func(p *parser, args []string) error{
	"kubeconfig":      (*parser).setKubeconfig,
	"ttl":             (*parser).setTTL,
	"namespaces":      (*parser).setNamespaces,
	"labels":          (*parser).setLabels,
	"noendpoints":     (*parser).setNoEndpoints,
	"fallthrough":     (*parser).setFallthrough,
	"startup_timeout": (*parser).setStartupTimeout,
}

// origins reads the zones: those given, or else those of the server block.
func (p *parser) origins(args []string) error {
	for _, arg := range args {
		if _, ok := dns.IsDomainName(arg); !ok || len(plugin.Host(arg).NormalizeExact()) == 0 {
			return p.Errf("zone '%s' is no domain name", arg)
		}
	}
	for _, origin := range plugin.OriginsFromArgsOrServerBlock(args, p.ServerBlockKeys) {
		if len(view.Zone{Origin: origin}.Name("dns-version")) > maxZone {
			return p.Errf("zone '%s' leaves no room for names in it", origin)
		}
		if !slices.ContainsFunc(p.stanza.zones, func(z *zone) bool { return z.Origin == origin }) {
			p.stanza.zones = append(p.stanza.zones, &zone{Zone: view.Zone{Origin: origin}})
		}
	}
	if len(p.stanza.zones) == 0 {
		return p.Errf("no zone is given")
	}
	return nil
}

// maxZone is the length of the longest name in text: 255 octets, less the one of the root.
const maxZone = 254

func (p *parser) setKubeconfig(args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return p.ArgErr()
	}
	p.kubeconfig = args[0]
	if len(args) == 2 {
		p.context = args[1]
	}
	return nil
}

func (p *parser) setTTL(args []string) error {
	if len(args) != 1 {
		return p.ArgErr()
	}
	ttl, err := strconv.Atoi(args[0])
	if err != nil || ttl < 0 || ttl > maxTTL {
		return p.Errf("ttl must be a number of seconds from 0 to %d: '%s'", maxTTL, args[0])
	}
	p.ttl = uint32(ttl)
	return nil
}

func (p *parser) setNamespaces(args []string) error {
	if len(args) == 0 {
		return p.ArgErr()
	}
	for _, ns := range args {
		if !mcsapi.IsLabel(ns) {
			return p.Errf("'%s' is no name of a namespace", ns)
		}
	}
	all := append(splitNamespaces(p.stanza.key.namespaces), args...)
	slices.Sort(all)
	p.stanza.key.namespaces = strings.Join(slices.Compact(all), " ")
	return nil
}

func splitNamespaces(joined string) []string { return strings.Fields(joined) }

func (p *parser) setLabels(args []string) error {
	if len(args) == 0 {
		return p.ArgErr()
	}
	selector, err := labels.Parse(strings.Join(args, " "))
	if err != nil {
		return p.Errf("labels '%s' is no label selector: %v", strings.Join(args, " "), err)
	}
	p.stanza.key.labels = selector.String()
	return nil
}

func (p *parser) setNoEndpoints(args []string) error {
	if len(args) != 0 {
		return p.ArgErr()
	}
	p.stanza.key.noEndpoints = true
	return nil
}

func (p *parser) setFallthrough(args []string) error {
	p.fall.SetZonesFromArgs(args)
	return nil
}

func (p *parser) setStartupTimeout(args []string) error {
	if len(args) != 1 {
		return p.ArgErr()
	}
	timeout, err := time.ParseDuration(args[0])
	if err != nil || timeout < 0 {
		return p.Errf("startup_timeout must be a duration such as 5s: '%s'", args[0])
	}
	p.stanza.patience = timeout
	return nil
}

// connect finds out where the API server is, without asking it.
func (p *parser) connect() (err error) {
	st := p.stanza
	if p.kubeconfig == "" {
		st.key.server = "in-cluster"
		if st.config, err = rest.InClusterConfig(); err != nil {
			return p.Errf("no kubeconfig is given, and this is no pod of a cluster: %v", err)
		}
		return nil
	}
	content, err := os.ReadFile(p.kubeconfig)
	if err != nil {
		return p.Errf("kubeconfig: %v", err)
	}
	digest := sha256.Sum256(content)
	st.key.server = strings.TrimSpace(p.kubeconfig + " " + p.context)
	st.key.credentials = hex.EncodeToString(digest[:])
	st.config, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: p.kubeconfig},
		&clientcmd.ConfigOverrides{CurrentContext: p.context},
	).ClientConfig()
	if err != nil {
		return p.Errf("kubeconfig %s: %v", st.key.server, err)
	}
	return nil
}
