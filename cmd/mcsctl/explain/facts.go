// Package explain finds out why a multi-cluster service does not work, or that it does.
//
// In three places, as everywhere in this project: gather.go reads, of every cluster at once, the few objects that bear the
// name; diagnose.go and its neighbours compare what was read, link by link of the chain from the exporting Service to the
// answer of DNS, and know no client; print.go shows it. The rules by which exports merge are those of package merge, the
// ones that the controller itself follows, so the explanation can't drift from what is done.
package explain

import (
	"time"

	"github.com/clusterset/multicluster/cmd/mcsctl/finding"
	"github.com/clusterset/multicluster/cmd/mcsctl/members"
	"github.com/clusterset/multicluster/cmd/mcsctl/nameserver"
	"github.com/clusterset/multicluster/controller/registration"
	"github.com/clusterset/multicluster/internal/shell"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	mcs "sigs.k8s.io/mcs-api/pkg/apis/v1beta1"
)

// Facts are all that is known of one name. They are not changed once gathered.
type Facts struct {
	Key types.NamespacedName
	// Sub is what the name that was asked for has before that of the service: "<hostname>.<cluster id>", or "".
	Sub, Zone string
	// Controller is that at home, nil if it was not found; Runs is what shows whether one runs, wherever that is.
	Controller *members.Controller
	Runs       finding.Controller
	// Namespace is that of the controller; HomeFlags make kubectl act on its cluster.
	Namespace string
	HomeFlags shell.Text
	// Look are the flags that make mcsctl look at the same clusters, Registering those for join and leave.
	Look, Registering shell.Text
	Clusters          []Cluster
	Now               time.Time
}

// Cluster is what one cluster holds of the name.
type Cluster struct {
	ID string
	// Flags make mcsctl and kubectl act on this cluster, for advice: " --context c1", or "".
	Flags              shell.Text
	Provider, Consumer bool
	// Limits are what the cluster's registration trusts it with (SPEC X2, X3).
	Limits registration.Limits
	// Down says why the cluster gave no answer; "" if it did.
	Down string
	// Unread says of what could not be read why, by resource: "serviceexports", "services", "endpointslices",
	// "serviceimports", "namespaces", "nameservers".
	Unread map[string]string
	// NotServed are the kinds of the MCS API that the server does not have, by resource.
	NotServed map[string]bool

	Namespace *corev1.Namespace
	Export    *mcs.ServiceExport
	Service   *corev1.Service
	Slices    []discoveryv1.EndpointSlice

	Import *mcs.ServiceImport
	// Derived is the Service of the derived name, whoever owns it.
	Derived  *corev1.Service
	Imported []discoveryv1.EndpointSlice

	Servers []nameserver.Server
	// Reply is what DNS answered; AskErr is why it was not asked, or did not answer. Both empty: nobody asked.
	Reply  *nameserver.Reply
	AskErr string
	// Unanswered says that a name server was asked, and did not reply.
	Unanswered *nameserver.Unanswered
	// Connects are the connections that were tried.
	Connects []Connect
}

// Connect is one try of a TCP connection.
type Connect struct {
	Address string        `json:"address"`
	Took    time.Duration `json:"-"`
	Err     string        `json:"err,omitempty"`
}

// Report is the explanation.
type Report struct {
	Name   string         `json:"name"`
	Domain string         `json:"domain"`
	Steps  []finding.Step `json:"steps"`
	// Problem is the first link that is wrong; nil if none is.
	Problem *finding.Step `json:"problem,omitempty"`
}
