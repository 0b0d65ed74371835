// Package command is mcsctl's command line: its commands, their flags and exit codes, and nothing of what they do.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/screen"
)

// Exit codes.
const (
	ExitOK      = 0 // all is well
	ExitProblem = 1 // a problem was found, or what was asked for could not be brought about
	ExitUsage   = 2 // the command line is wrong, or there is no cluster to begin with
)

// errProblem says that a problem was found, and has been shown.
var errProblem = errors.New("a problem was found")

// problem is an error about what was asked for, as against how it was asked.
type problem struct{ error }

func (p problem) Unwrap() error { return p.error }

// app is one run of the program.
type app struct {
	screen  *screen.Screen
	members members.Options
	output  string
	zone    string
	version string

	deadline time.Duration
	cancel   context.CancelCauseFunc // ends the command
	cleanup  atomic.Int64            // how long, in nanoseconds, the command takes at most to undo what it did when it is told to end
}

// Run runs the program with the arguments args, args[0] being its name, and returns its exit code.
func Run(ctx context.Context, version string, args []string, stdout, stderr io.Writer) int {
	stdout, stderr = screen.NewWriter(stdout), screen.NewWriter(stderr)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a := &app{version: version, cancel: cancel}
	root := a.root(filepath.Base(args[0]), stdout, stderr)
	root.SetArgs(args[1:])
	err := execute(ctx, &a.cleanup, root.ExecuteContext)
	var failed problem
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, errProblem):
		return ExitProblem
	}
	fmt.Fprintf(stderr, "%s: %s\n", root.CommandPath(), screen.Cut(strings.Join(strings.Fields(err.Error()), " ")))
	if errors.As(err, &failed) {
		return ExitProblem
	}
	return ExitUsage
}

const about = `mcsctl shows a clusterset, and tells why a name does not resolve.

Which clusters it looks at:
  by default          the kubeconfig's current context, and the members that Secrets there register
  --contexts a,b      these contexts of the kubeconfig; id=context where the cluster id is another
  --cluster id=FILE   these kubeconfigs, as mcs-controller takes them; may be repeated

Exit codes: 0 all is well; 1 a problem was found, or something could not be done;
2 the command line is wrong, or there is no cluster to begin with.`

func (a *app) root(name string, stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use: "mcsctl", Short: "Show a clusterset, and tell why a name does not resolve", Long: about,
		SilenceErrors: true, SilenceUsage: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			format, err := screen.ParseFormat(a.output)
			a.screen = screen.New(stdout, stderr, format)
			a.limit(cmd)
			return err
		},
	}
	if name == "kubectl-mcs" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl mcs"}
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	f := root.PersistentFlags()
	f.StringVar(&a.members.Kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default: $KUBECONFIG, else ~/.kube/config)")
	f.StringVar(&a.members.Context, "context", "", "the `context` to begin with (default: the current one)")
	f.StringSliceVar(&a.members.Contexts, "contexts", nil, "all clusters, as `contexts` of the kubeconfig, each as context or id=context")
	f.StringArrayVar(&a.members.Clusters, "cluster", nil, "all clusters, each as `id=kubeconfig[:context]`; may be repeated")
	f.StringVarP(&a.members.Namespace, "namespace", "n", members.DefaultNamespace, "the `namespace` of the controller and of the Secrets that register members")
	f.DurationVar(&a.members.Timeout, "timeout", 5*time.Second, "how long one request may take")
	f.DurationVar(&a.deadline, "deadline", 2*time.Minute, "how long the command may take in all, without what --wait allows; 0 for as long as it takes")
	f.StringVar(&a.zone, "zone", members.DefaultZone, "the DNS `zone` of the clusterset")
	f.StringVarP(&a.output, "output", "o", "", "`format` for programs: json or yaml")
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	root.AddCommand(a.explain(), a.status(), a.services(), a.check(),
		a.export(), a.unexport(), a.importCommand(), a.join(), a.leave(), a.dns(), a.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = false
	return root
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if a.screen.Format != screen.Text {
				return a.screen.Data(map[string]string{"version": a.version})
			}
			a.screen.Line("mcsctl %s", a.version)
			return nil
		},
	}
}

// done says what a command that changes something came to.
func (a *app) done(format string, args ...any) error {
	if a.screen.Format != screen.Text {
		return a.screen.Data(map[string]string{"done": fmt.Sprintf(format, args...)})
	}
	a.screen.Line(format, args...)
	return nil
}

// find finds the clusters that the flags name.
func (a *app) find(ctx context.Context) (*members.Set, error) {
	o := a.members
	o.Zone = a.zone
	return members.Find(ctx, o)
}

// parseName reads a name as people have it: service.namespace, namespace/service, or the full domain name; that of a pod has its
// hostname and cluster, sub, before the service's.
func parseName(text, zone string) (key types.NamespacedName, sub string, err error) {
	name := strings.TrimSuffix(strings.ToLower(text), ".")
	ns, service, slash := strings.Cut(name, "/")
	if !slash {
		short := strings.TrimSuffix(name, "."+strings.ToLower(strings.TrimSuffix(zone, ".")))
		labels := strings.Split(strings.TrimSuffix(short, ".svc"), ".")
		// Above the service are the endpoint's and the cluster's names, or a port's; they are of the same service.
		if short != name && len(labels) > 2 {
			if sub = strings.Join(labels[:len(labels)-2], "."); strings.HasPrefix(sub, "_") {
				sub = ""
			}
			labels = labels[len(labels)-2:]
		}
		if len(labels) == 2 {
			service, ns = labels[0], labels[1]
		}
	}
	for _, label := range []string{ns, service} {
		if len(validation.IsDNS1123Label(label)) > 0 {
			return key, "", fmt.Errorf("%q: want service.namespace, namespace/service, or a name of %s", text, zone)
		}
	}
	return types.NamespacedName{Namespace: ns, Name: service}, sub, nil
}

// known says whether a cluster id is one of a set's.
func known(set *members.Set, id string) error {
	var ids []string
	for _, c := range set.Clusters {
		ids = append(ids, c.ID)
	}
	if id != "" && !slices.Contains(ids, id) {
		return fmt.Errorf("no cluster %q; want one of %s", id, strings.Join(ids, ", "))
	}
	return nil
}
