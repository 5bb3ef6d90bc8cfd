{{- define "aerodb.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- /* Short enough that `-gateway-headless` still makes a DNS label. */ -}}
{{- define "aerodb.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "aerodb.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "aerodb.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "aerodb.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "aerodb.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "aerodb.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- /* What selects the pods of one component: (list $ "gateway"). It never changes, as a workload's selector cannot. */ -}}
{{- define "aerodb.selector" -}}
app.kubernetes.io/name: {{ include "aerodb.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "aerodb.labels" -}}
{{ include "aerodb.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
app.kubernetes.io/part-of: aerodb
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The name and labels of an object of a component: (list $ "gateway"). */ -}}
{{- define "aerodb.metadata" -}}
name: {{ include "aerodb.fullname" (index . 0) }}-{{ index . 1 }}
namespace: {{ (index . 0).Release.Namespace }}
labels:
  {{- include "aerodb.labels" . | nindent 2 }}
{{- end -}}

{{- define "aerodb.url" -}}
http://{{ include "aerodb.fullname" (index . 0) }}-{{ index . 1 }}:{{ index . 2 }}
{{- end -}}

{{- /* Each backend pod by its own address, so that gateways take turns and notice which one rests. */ -}}
{{- define "aerodb.backendUrls" -}}
{{- $name := printf "%s-backend" (include "aerodb.fullname" .) -}}
{{- $urls := list -}}
{{- range $i := until (int .Values.backend.replicas) -}}
{{- $urls = append $urls (printf "http://%s-%d.%s.%s.svc.%s:8083" $name $i $name $.Release.Namespace $.Values.clusterDomain) -}}
{{- end -}}
{{- join "," $urls -}}
{{- end -}}

{{- /* Variables from the Secret: (list $ "AERODB_REDIS_URL" ...). One whose name begins with `?` may be missing there. */ -}}
{{- define "aerodb.secretEnv" -}}
{{- $root := index . 0 -}}
{{- range rest . }}
{{- $name := trimPrefix "?" . }}
{{- $from := default dict (get $root.Values.secret.overrides $name) }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ default $root.Values.secret.name $from.name }}
      key: {{ default $name $from.key }}
      {{- if hasPrefix "?" . }}
      optional: true
      {{- end }}
{{- end }}
{{- end -}}

{{- /* What the operator adds: (list $ "gateway"). The API server refuses no variable that stands twice, so we do. */ -}}
{{- define "aerodb.furtherEnv" -}}
{{- $values := get (index . 0).Values (index . 1) -}}
{{- range $name, $value := $values.env }}
- name: {{ $name }}
  value: {{ $value | toString | quote }}
{{- end }}
{{- range $name, $from := $values.secretEnv }}
{{- if hasKey $values.env $name }}
{{- fail (printf "%s stands in both env and secretEnv of %s" $name (index $ 1)) }}
{{- end }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.name }}
      key: {{ $from.key }}
{{- end }}
{{- end -}}

{{- /* Annotations and labels of the pods of a component. They are started anew when what is mounted into them changes. */ -}}
{{- define "aerodb.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
{{- with $values.podLabels }}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" }}
{{- if hasKey $values.podLabels . }}{{ fail (printf "%s is the chart's own label" .) }}{{ end }}
{{- end }}
{{- end }}
labels:
  {{- include "aerodb.labels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
annotations:
  checksum/files: {{ list $root.Values.planCatalogue $root.Values.invoiceSeller | toJson | sha256sum }}
  {{- with $values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- /* Where pods run, and as whom; the same for all. Spread over nodes and zones, unless `affinity` says otherwise. */ -}}
{{- define "aerodb.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := get $root.Values (index . 1) -}}
{{- if and (eq (index . 1) "control") $root.Values.kubernetesTenants.enabled }}
serviceAccountName: {{ include "aerodb.fullname" $root }}-control
automountServiceAccountToken: true
{{- else }}
serviceAccountName: {{ include "aerodb.serviceAccountName" $root }}
automountServiceAccountToken: false
{{- end }}
# Kubernetes would set AERODB_GATEWAY_PORT=tcp://... for a Service called aerodb-gateway.
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "aerodb.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}

{{- /* The container of a component, as far as all are alike. */ -}}
{{- define "aerodb.container" -}}
{{- $root := index . 0 -}}
name: {{ index . 1 }}
image: {{ include "aerodb.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
# The image's entry point (tini) stays.
args: [node, {{ index . 1 }}/main.ts]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
resources:
  {{- toYaml (get $root.Values (index . 1)).resources | nindent 2 }}
lifecycle:
  # Until the endpoint is gone from every node and balancer; the process then drains for up to 15 s.
  preStop:
    sleep:
      seconds: 5
{{- end -}}

{{- /* (list path port livenessPath): ready when it serves, killed only when it does not answer at all. */ -}}
{{- define "aerodb.probes" -}}
startupProbe:
  httpGet: { path: {{ index . 0 }}, port: {{ index . 1 }} }
  periodSeconds: 2
  timeoutSeconds: 5
  # Migrations run before a process serves.
  failureThreshold: 150
readinessProbe:
  httpGet: { path: {{ index . 0 }}, port: {{ index . 1 }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
livenessProbe:
  httpGet: { path: {{ index . 2 }}, port: {{ index . 1 }} }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end -}}

{{- define "aerodb.podDisruptionBudget" -}}
{{- $root := index . 0 -}}
{{- with (get $root.Values (index . 1)).podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "aerodb.metadata" $ | nindent 2 }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  # A pod that is not ready must not keep its node from being drained.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "aerodb.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "aerodb.volumeClaim" -}}
- metadata:
    name: data
    {{- with .annotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .storageClass }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .size }}
{{- end -}}
