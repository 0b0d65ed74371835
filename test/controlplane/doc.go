// Package controlplane starts real Kubernetes control planes for tests and demonstrations: etcd, kube-apiserver with RBAC
// and, if wanted, kube-controller-manager, compiled from their Go modules. Nothing in it is a substitute for the real
// thing, and nothing in it knows about multi-cluster services but the CRDs that it can install.
//
// In a test that is one call; the cluster goes with the test, however that ends:
//
//	func TestSomething(t *testing.T) {
//		c := controlplane.ForTest(t, controlplane.Options{Name: "consumer", ControllerManager: true})
//		...
//		client, err := kubernetes.NewForConfig(c.Config())
//
// # Where to find what
//
// Programs. [Build] compiles them, once per version: one static binary with several names, out of the nested module in
// binaries/, so that the product's go.mod knows nothing of k8s.io/kubernetes (build.go, compile.go). [Binaries] says
// where they are, kube-proxy and kubectl too, which are provided and not run here. The command in build/ does only that.
// KUBEBUILDER_ASSETS is honoured (binaries.go).
//
// Clusters. [Start], [StartAll], [Cluster.Stop] (cluster.go), with one file per component. Every cluster has a CA of its
// own (ca.go), out of which come identities: [Cluster.Config], [Cluster.ConfigFor], and kubeconfigs (identity.go).
//
// Objects. [Cluster.ApplyYAML] (apply.go), [Cluster.InstallCRDs] and its like (crds.go).
//
// Faults. The API server can be stopped, killed, paused and started again: same port, same data (apiserver.go);
// [Cluster.WipeEtcd] takes the data away.
//
// Observation. [Cluster.MutatingRequests] says who changed what (audit.go); [Cluster.Logs] what components printed.
//
// # No residue
//
// A child is killed by the kernel when this program ends (process.go); a directory is held by a lock, and the next start
// of a cluster removes those whose holder is gone (scratch.go); a port is reserved rather than guessed (port.go). So
// clusters of any number of programs run side by side, and SIGKILL of a program leaves no process behind. Etcd listens on
// a Unix socket. [ForTest] also handles SIGINT and SIGTERM; other programs do that themselves and call Stop.
package controlplane
