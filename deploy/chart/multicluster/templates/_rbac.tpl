{{/*
The ClusterRoles of files/rbac/FILE.yaml, which are those of deploy/rbac, under names of this release.
Call with (list $ "file").
*/}}
{{- define "multicluster.clusterRoles" -}}
{{- $root := index . 0 -}}
{{- range regexSplit "(?m)^---.*$" ($root.Files.Get (printf "files/rbac/%s.yaml" (index . 1))) -1 }}
{{- with fromYaml . }}
---
apiVersion: {{ .apiVersion }}
kind: {{ .kind }}
metadata:
  name: {{ include "multicluster.clusterRoleName" (list $root .metadata.name) }}
  labels:
    {{- merge (default dict .metadata.labels) (include "multicluster.labels" (list $root "multicluster") | fromYaml) | toYaml | nindent 4 }}
{{- with .aggregationRule }}
aggregationRule:
  {{- toYaml . | nindent 2 }}
{{- end }}
rules:
  {{- toYaml .rules | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}

{{- define "multicluster.clusterRoleName" -}}
{{ include "multicluster.prefix" (index . 0) }}:{{ trimPrefix "multicluster:" (index . 1) }}
{{- end }}

{{/*
Lets a ServiceAccount keep the leases that tell which exporting clusters are connected, in its namespace only.
Call with (list $ "account").
*/}}
{{- define "multicluster.leases" -}}
{{- $root := index . 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ index . 1 }}-leases
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "multicluster.labels" (list $root "multicluster") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "multicluster.clusterRoleName" (list $root "leases") }}
subjects:
  - kind: ServiceAccount
    name: {{ index . 1 }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}

{{/*
Binds a ClusterRole of the release to a ServiceAccount.
Call with (list $ "role" "name of the binding" "account" "its namespace").
*/}}
{{- define "multicluster.bind" -}}
{{- $root := index . 0 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ include "multicluster.clusterRoleName" (list $root (index . 2)) }}
  labels:
    {{- include "multicluster.labels" (list $root "multicluster") | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ include "multicluster.clusterRoleName" (list $root (index . 1)) }}
subjects:
  - kind: ServiceAccount
    name: {{ index . 3 }}
    namespace: {{ index . 4 }}
{{- end }}
