// Package agent does a kubelet's duties, and the scheduler's, for the one node of a test cluster: it registers the Node
// and keeps it alive, binds every pod to it, runs the pod's container through a [Runtime], probes it, writes its status,
// and ends it when the pod is deleted, with grace.
//
// Deployments, EndpointSlices and all else are left to the real controllers. What the agent does not do, it refuses with
// a message in the pod's status: more than one container, init containers, host network, files outside /etc and /run.
//
// There are no images. A container with a command runs that command of this machine; one without runs what
// [Config.Images] says for the image, else the web demo, a small server on the container's ports (8080 if it names none).
//
// agent.go   the Node, its Lease, and which pod goes to which worker
// worker.go  the life of one pod
// status.go  what is said of it
// spec.go volumes.go resolvconf.go  from a Pod to what its container sees
// probe.go   readiness
package agent
