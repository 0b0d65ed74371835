// Package clusterset brings whole clusters up for the demo, the end-to-end tests and the measurements: control planes
// (package controlplane), for each one node with pods and real packets (packages node and agent), kube-proxy, our CoreDNS
// behind the Service kube-dns, and one controller for all.
//
// A cluster is as a user's would be: the API server is at the ClusterIP of default/kubernetes, CoreDNS is a Deployment
// with a service account, a ConfigMap and readiness, pods are made by Deployments and reached through Services. The one
// thing borrowed from the machine is the API server's process, which listens on loopback; the node forwards to it.
//
// Without root there are no packets ([Options.Packets]): pods then exist in the API only, and CoreDNS runs on a loopback
// port, where it can be asked.
package clusterset
