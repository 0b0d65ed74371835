package command

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/clusterset/multicluster/cmd/mcsctl/explain"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

func (a *app) explain() *cobra.Command {
	var o explain.Options
	noAsk := false
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Say why a name does not resolve, or that all is well",
		Long: `explain walks the whole chain of one multi-cluster service: the ServiceExport and the Service behind it in every
exporting cluster, the endpoints, what the exports amount to and where they disagree; then, in every importing cluster,
the ServiceImport, the derived Service, the EndpointSlices, CoreDNS's configuration, and what DNS answers. It says the
first thing that is wrong, and what to do.

NAME is service.namespace, namespace/service, or a full domain name. Only objects of that name are read. Of a headless service,
hostname.cluster-id.service.namespace.svc.clusterset.local is one pod: explain says whether that name exists, and why not.

DNS is asked over a port forwarded to a ready CoreDNS pod, or at --dns.`,
		Example: `  mcsctl explain service1.provider-ns
  mcsctl explain service1.provider-ns.svc.clusterset.local --contexts c1,c2
  mcsctl explain web-0.c2.web.provider-ns.svc.clusterset.local
  mcsctl explain service1.provider-ns --dns 10.96.0.10 --connect   # in a pod`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, sub, err := parseName(args[0], a.zone)
			if err != nil {
				return err
			}
			if o.Server, err = dnsAddress(o.Server); err != nil {
				return err
			}
			set, err := a.find(cmd.Context())
			if err != nil {
				return err
			}
			if err := known(set, o.Importing); err != nil {
				return fmt.Errorf("--to: %w", err)
			}
			o.Key, o.Sub, o.Zone, o.Ask, o.Timeout = key, sub, a.zone, !noAsk, a.members.Timeout
			report := explain.Diagnose(explain.Gather(cmd.Context(), set, o))
			if a.screen.Format != screen.Text {
				err = a.screen.Data(report)
			} else {
				explain.Print(a.screen, report)
			}
			if err == nil && report.Problem != nil {
				err = errProblem
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Importing, "to", "", "look at one importing `cluster` only")
	f.StringVar(&o.Server, "dns", "", "ask the name server at this `address`, as host or host:port, instead of a pod")
	f.BoolVar(&noAsk, "no-dns", false, "ask no name server")
	f.BoolVar(&o.Connect, "connect", false, "try to connect to the service, from here")
	return cmd
}

// dnsAddress completes an address with the port of DNS.
func dnsAddress(address string) (string, error) {
	if address == "" {
		return "", nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = address, "53"
	}
	if net.ParseIP(host) == nil && host != "localhost" {
		return "", fmt.Errorf("--dns %q: want an IP address, or address:port", address)
	}
	return net.JoinHostPort(host, port), nil
}
