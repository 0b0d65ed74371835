package controlplane

import (
	"context"
	"fmt"
)

// clusterPropertyCRD is the kind of KEP-2149 as far as a cluster's id needs it, clusterProperty the object that holds one.
const (
	clusterPropertyCRD = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: clusterproperties.about.k8s.io
  annotations: {api-approved.kubernetes.io: "https://github.com/kubernetes/enhancements/pull/1850"}
spec:
  group: about.k8s.io
  scope: Cluster
  names: {kind: ClusterProperty, plural: clusterproperties, singular: clusterproperty, listKind: ClusterPropertyList}
  versions:
  - name: v1beta1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, properties: {value: {type: string}}}
`
	clusterProperty = `
apiVersion: about.k8s.io/v1beta1
kind: ClusterProperty
metadata: {name: cluster.clusterset.k8s.io}
spec: {value: %s}
`
)

// SetClusterID lets the cluster give itself an id, by the ClusterProperty cluster.clusterset.k8s.io (SPEC X4), whose CRD it
// installs first.
func (c *Cluster) SetClusterID(ctx context.Context, id string) error {
	for _, manifest := range [][]byte{[]byte(clusterPropertyCRD), fmt.Appendf(nil, clusterProperty, id)} {
		if err := c.ApplyYAML(ctx, manifest); err != nil {
			return err
		}
	}
	return nil
}
