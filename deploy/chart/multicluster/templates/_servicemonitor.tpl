{{/* Has the Prometheus operator scrape the port "metrics" of a Service. Call with (list $ "component" .Values....serviceMonitor secure). */}}
{{- define "multicluster.serviceMonitor" -}}
{{- $root := index . 0 }}{{ $values := index . 2 }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: {{ index . 1 }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- merge (deepCopy $values.labels) (include "multicluster.labels" . | fromYaml) | toYaml | nindent 4 }}
spec:
  selector:
    matchLabels:
      {{- include "multicluster.selector" . | nindent 6 }}
  endpoints:
    - port: metrics
      interval: {{ $values.interval }}
      {{- if index . 3 }}
      scheme: https
      # The certificate is made at start and known to nobody; the token goes to whoever the cluster's network leads to.
      tlsConfig:
        insecureSkipVerify: true
      bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
      {{- end }}
{{- end }}
