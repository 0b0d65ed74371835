package controlplane

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"sync"
	"time"
)

// auditPolicy records every request that changes what is stored, once, when it is answered. Leases are left out, being
// renewed at rest (SPEC S5), and so are reviews and tokens, which are "created" but not stored.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
%s- level: None
  resources:
  - {group: coordination.k8s.io, resources: [leases]}
  - {group: authentication.k8s.io}
  - {group: authorization.k8s.io}
  - {group: "", resources: [serviceaccounts/token]}
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// auditAccounts records in front of that whatever ServiceAccounts ask for; a watch once it has begun.
const auditAccounts = `- level: Metadata
  userGroups: ["system:serviceaccounts"]
  omitStages: [RequestReceived]
`

// auditArgs writes the policy and returns the API server's arguments for it. Each request is written before it is
// answered ("blocking", without batches).
func (c *Cluster) auditArgs() ([]string, error) {
	policy, accounts := c.path("audit-policy.yaml"), ""
	if c.opts.AuditReads {
		accounts = auditAccounts
	}
	return []string{
		"--audit-policy-file=" + policy,
		"--audit-log-path=" + c.auditLog(),
		"--audit-log-mode=blocking",
		"--audit-log-maxsize=102400", // MiB: no other file is begun, which would not be read
	}, os.WriteFile(policy, fmt.Appendf(nil, auditPolicy, accounts), 0o600)
}

func (c *Cluster) auditLog() string { return c.path("audit.log") }

// A Mutation is a kind of request that changes something: who did what to which resource.
type Mutation struct {
	User     string // as "system:serviceaccount:kube-system:deployment-controller"
	Verb     string // create, update, patch, delete, deletecollection
	Resource string // as "services", "serviceimports.multicluster.x-k8s.io/status"
}

// An AuditedRequest is one request that the API server answered.
type AuditedRequest struct {
	Mutation
	UserAgent       string
	Namespace, Name string // of the object; the name is empty where the server chose it or for a collection
	Code            int    // the HTTP status of the answer
	Received        time.Time
	Answered        time.Time
}

// MutatingRequests counts the mutating requests since the cluster was started, refused ones too, Leases and reviews
// not. A request that has been answered is in it. The cluster must have been started with [Options.AuditLog].
func (c *Cluster) MutatingRequests() (map[Mutation]int, error) {
	requests, err := c.AuditedRequests()
	if err != nil {
		return nil, err
	}
	counts := map[Mutation]int{}
	for _, r := range requests {
		if r.mutates() {
			counts[r.Mutation]++
		}
	}
	return counts, nil
}

// mutates says whether the request is one that [Cluster.MutatingRequests] counts.
func (r AuditedRequest) mutates() bool {
	return r.Verb != "get" && r.Verb != "list" && r.Verb != "watch" && r.Resource != "leases.coordination.k8s.io"
}

// AuditedRequests returns the requests that [Cluster.MutatingRequests] counts, in the order of their answers, and those that
// [Options.AuditReads] adds.
func (c *Cluster) AuditedRequests() ([]AuditedRequest, error) {
	if !c.opts.AuditLog {
		return nil, fmt.Errorf("cluster %s has no audit log: start it with Options.AuditLog", c.opts.Name)
	}
	c.audit.Lock()
	defer c.audit.Unlock()
	if err := c.audit.readOn(c.auditLog()); err != nil {
		return nil, fmt.Errorf("the audit log of cluster %s: %w", c.opts.Name, err)
	}
	return slices.Clone(c.audit.requests), nil
}

// auditTrail is what has been read of an audit log, which is only appended to: it can have gigabytes. It is locked for use.
type auditTrail struct {
	sync.Mutex
	read     int64 // octets
	requests []AuditedRequest
}

// readOn reads what the log has more by now.
func (t *auditTrail) readOn(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	log, err := io.ReadAll(io.NewSectionReader(f, t.read, math.MaxInt64-t.read))
	if err != nil {
		return err
	}
	log = log[:bytes.LastIndexByte(log, '\n')+1] // a last line without its end is still being written
	requests, err := parseAuditLog(log)
	if err != nil {
		return fmt.Errorf("after %d octets: %w", t.read, err)
	}
	t.read += int64(len(log))
	t.requests = append(t.requests, requests...)
	return nil
}

// auditEvent is what is of use in an Event of audit.k8s.io/v1.
type auditEvent struct {
	Verb      string `json:"verb"`
	UserAgent string `json:"userAgent"`
	User      struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		APIGroup    string `json:"apiGroup"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	RequestReceivedTimestamp time.Time `json:"requestReceivedTimestamp"`
	StageTimestamp           time.Time `json:"stageTimestamp"`
}

// parseAuditLog reads one JSON object a line.
func parseAuditLog(log []byte) ([]AuditedRequest, error) {
	var requests []AuditedRequest
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, len(log)+1)
	for n := 1; lines.Scan(); n++ {
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		requests = append(requests, event.request())
	}
	return requests, lines.Err()
}

func (e *auditEvent) request() AuditedRequest {
	resource := e.ObjectRef.Resource
	if e.ObjectRef.APIGroup != "" {
		resource += "." + e.ObjectRef.APIGroup
	}
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	return AuditedRequest{
		Mutation:  Mutation{User: e.User.Username, Verb: e.Verb, Resource: resource},
		UserAgent: e.UserAgent,
		Namespace: e.ObjectRef.Namespace,
		Name:      e.ObjectRef.Name,
		Code:      e.ResponseStatus.Code,
		Received:  e.RequestReceivedTimestamp,
		Answered:  e.StageTimestamp,
	}
}
