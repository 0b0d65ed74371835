package mcsapi

import "github.com/clusterset/multicluster/internal/shell"

// Names that the objects of a clusterset carry. Keys of the kubernetes.io domain come from KEP-1645; those under
// [Domain] are this project's own.
const (
	// Domain is the prefix of every label and annotation that this project invents.
	Domain = "clusterset.dev"

	// LabelClusterSet holds the name of the clusterset whose controller created and owns the object. An object without
	// it, or with another value, is never changed or deleted.
	LabelClusterSet = Domain + "/clusterset"

	// LabelAutomatic marks ("true") a ServiceImport that the controller created by itself (KEP-1645 "Importing
	// Services") and therefore also deletes. An import without it is a person's.
	LabelAutomatic = Domain + "/automatic"

	// LabelServiceName names the multi-cluster service that an EndpointSlice or derived Service belongs to. Slices in reserve
	// have [LabelReserve] instead.
	LabelServiceName = "multicluster.kubernetes.io/service-name"

	// LabelReserve names the multi-cluster service of an imported EndpointSlice that is not in use, because others are
	// preferred to it (SPEC P3). Such a slice has neither [LabelServiceName] nor kubernetes.io/service-name: gateways and
	// meshes that select slices by either label would send traffic to it (SPEC G1).
	LabelReserve = Domain + "/reserve"

	// LabelSourceCluster names the cluster whose endpoints an EndpointSlice holds.
	LabelSourceCluster = "multicluster.kubernetes.io/source-cluster"

	// AnnotationDerivedService, on a ServiceImport, names the Service that carries its ClusterIP.
	AnnotationDerivedService = "multicluster.kubernetes.io/derived-service"

	// AnnotationExports, on a ServiceImport, holds the exports that it was last made of, as JSON, so that the export of a
	// cluster that is away still counts after a restart of the controller (SPEC L9).
	AnnotationExports = Domain + "/exports"

	// AnnotationFilled, on a ServiceImport or derived Service, holds which of its fields, labels and annotations the
	// controller filled in, as JSON, so that they follow the exports and are told from what others set.
	AnnotationFilled = Domain + "/filled"

	// AnnotationClusterSet, on a person's ServiceImport, names the clusterset that serves it. A person may set it to choose
	// between several; otherwise the first that knows an exporter does. It is no sign of ownership, as [LabelClusterSet] is.
	AnnotationClusterSet = Domain + "/clusterset"

	// AnnotationConditions, on a ServiceImport, holds its conditions as JSON where the CRD is too old to have them.
	AnnotationConditions = Domain + "/conditions"

	// AnnotationRank, on an imported EndpointSlice, is how far down it stands in the order of preference of its clusters, an
	// integer from 0 on; absent or unparsable is 0. DNS answers a headless name from the lowest rank that has a ready
	// endpoint (SPEC P3).
	AnnotationRank = Domain + "/rank"

	// ManagedBy is the value of endpointslice.kubernetes.io/managed-by on imported slices.
	ManagedBy = "mcs-controller." + Domain

	// DerivedPrefix begins the name of every derived Service.
	DerivedPrefix = "amcs-"
)

// ServiceOf returns the multi-cluster service that an imported EndpointSlice or a derived Service with these labels belongs to,
// whether the slice is in use or in reserve; false if they name none.
func ServiceOf(labels map[string]string) (name string, ok bool) {
	if name, ok = labels[LabelServiceName]; !ok {
		name, ok = labels[LabelReserve]
	}
	return name, ok
}

// DeleteImported is the command by which people delete what the controller of a clusterset made in a cluster.
func DeleteImported(clusterset string) string {
	return string(shell.Command("kubectl delete serviceimports,services,endpointslices -A -l %s=%s", LabelClusterSet, clusterset))
}
