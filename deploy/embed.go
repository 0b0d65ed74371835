// Package deploy carries those manifests of this folder that mcsctl applies, so that what it makes is what is documented.
package deploy

import "embed"

// Provider is what a cluster gets whose exports are read from elsewhere: namespace, roles, identity, bindings.
//
//go:embed base/namespace.yaml rbac/provider-read.yaml rbac/provider-export-status.yaml components/provider/identity.yaml components/provider/read.yaml components/provider/export-status.yaml
var Provider embed.FS

// FleetMember is what a member of a fleet gets beside: the right to keep its imports.
//
//go:embed rbac/consumer.yaml rbac/leases.yaml overlays/fleet-member/consumer-binding.yaml
var FleetMember embed.FS

// CRDs are the API itself, which every member needs.
//
//go:embed crds/multicluster.x-k8s.io_serviceexports.yaml crds/multicluster.x-k8s.io_serviceimports.yaml
var CRDs embed.FS
