package command

import (
	"slices"

	"github.com/clusterset/multicluster/cmd/mcsctl/check"
	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"

	"github.com/spf13/cobra"
)

func (a *app) check() *cobra.Command {
	return &cobra.Command{
		Use: "check", Short: "Look over the whole clusterset: is it set up well?", Args: cobra.NoArgs,
		Long: `check looks, before the first export and at any time after, at the API servers' versions and clocks, the CRDs, what the
registered identities may do, ranges of pods that overlap, the controller and its lease, and CoreDNS: an image without the
plugin, a line that is missing or was reverted, a server block that captures the zone, kubernetes claiming it, answers that
last too long, NodeLocal DNS in front. Where gateways or meshes are installed, it warns of routes and namespaces in which they
do not find the endpoints of imported services.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.find(cmd.Context())
			if err != nil {
				return err
			}
			steps := check.Judge(check.Gather(cmd.Context(), set, a.zone))
			if a.screen.Format != screen.Text {
				err = a.screen.Data(steps)
			} else {
				a.screen.Line("%s", a.screen.Bold("clusterset "+set.ClusterSet()))
				finding.Print(a.screen, steps, true)
			}
			if err == nil && slices.ContainsFunc(steps, func(s finding.Step) bool { return s.Verdict == finding.Wrong }) {
				err = errProblem
			}
			return err
		},
	}
}
