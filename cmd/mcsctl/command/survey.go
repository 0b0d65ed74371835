package command

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
	"github.com/clusterset/multicluster/cmd/mcsctl/survey"
)

func (a *app) status() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the members, the controller and CoreDNS", Args: cobra.NoArgs,
		Long: `status shows every member: whether it can be reached from here, its version, how much it exports and imports; the
controller and who leads; and which CoreDNS has the directive. Where members or imports need a controller and none runs, it
says since when. Controllers show that they run by Leases in the namespace of --namespace, wherever they run.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.find(cmd.Context())
			if err != nil {
				return err
			}
			clusters, leases := survey.Gather(cmd.Context(), set, a.zone), set.Leases(cmd.Context())
			status := survey.StatusOf(set, clusters, leases, time.Now())
			if a.screen.Format != screen.Text {
				err = a.screen.Data(status)
			} else {
				status.Print(a.screen)
			}
			if err == nil && len(status.Problems) > 0 {
				err = errProblem
			}
			return err
		},
	}
}

func (a *app) services() *cobra.Command {
	return &cobra.Command{
		Use: "services", Short: "List every multi-cluster service", Args: cobra.NoArgs,
		Long: `services lists every name that is exported or imported, one per line: its type and addresses, the exporting clusters with
their endpoints (ready/all), and where they disagree. The exit code is 1 if a service has a conflict or a note.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := a.find(cmd.Context())
			if err != nil {
				return err
			}
			clusters := survey.Gather(cmd.Context(), set, "")
			list := survey.Services(clusters)
			if a.screen.Format != screen.Text {
				err = a.screen.Data(list)
			} else {
				survey.PrintServices(a.screen, list)
			}
			for i := range clusters {
				if c := &clusters[i]; c.Down != "" || len(c.Problems) > 0 {
					a.screen.Progress("%s: %s", c.Member.ID, c.Trouble())
					err = orProblem(err)
				}
			}
			for i := range list {
				if list[i].Troubled() {
					err = orProblem(err)
				}
			}
			return err
		},
	}
}

func orProblem(err error) error {
	if err == nil {
		return errProblem
	}
	return err
}
