{{- define "spegel.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- /* Names of objects get suffixes of at most 13 characters ("-cleanup-wait"), and may have 63. */ -}}
{{- define "spegel.fullname" -}}
{{- $name := include "spegel.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "spegel.namespace" -}}
{{ .Values.namespaceOverride | default .Release.Namespace }}
{{- end }}

{{- define "spegel.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "spegel.fullname" .) }}
{{- end }}

{{- define "spegel.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* The selector of pods. A DaemonSet cannot change it, so it has no common labels. */ -}}
{{- define "spegel.selectorLabels" -}}
app.kubernetes.io/name: {{ include "spegel.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "spegel.labels" -}}
{{ include "spegel.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "spegel.serviceDomain" -}}
{{ include "spegel.namespace" . }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- /* A flag once for each element of a list: elements may hold commas and spaces. */ -}}
{{- define "spegel.listFlag" -}}
{{- range $index, $value := .values }}
{{- if $index }}{{ "\n" }}{{ end -}}
- {{ printf "--%s=%s" $.flag $value | quote }}
{{- end }}
{{- end }}

{{- define "spegel.clusterKeySecret" -}}
{{- .Values.clusterKey.existingSecret | default (printf "%s-cluster-key" (include "spegel.fullname" .)) -}}
{{- end }}

{{- define "spegel.usesHostPort" -}}
{{- if and .Values.service.registry.hostPort (not .Values.service.registry.usePreferSameNodeTrafficDistribution) -}}
true
{{- end -}}
{{- end }}

{{- /* The node port of the registry's Service; 0 for none. */ -}}
{{- define "spegel.nodePort" -}}
{{- $registry := .Values.service.registry -}}
{{- if not (kindIs "invalid" $registry.nodePort) -}}
{{ int $registry.nodePort }}
{{- else if or (include "spegel.usesHostPort" .) (and $registry.internalTrafficLocal $registry.clusterIP) -}}
0
{{- else -}}
30021
{{- end -}}
{{- end }}

{{- /* Whether the registry has a Service. Nodes need none for each other, so pods get none. */ -}}
{{- define "spegel.hasRegistryService" -}}
{{- $registry := .Values.service.registry -}}
{{- if or (ne (include "spegel.nodePort" .) "0") $registry.internalTrafficLocal $registry.clusterIP $registry.annotations -}}
true
{{- end -}}
{{- end }}

{{- /* The port of the node itself, as a URL; NODE_IP is a variable of the container. */ -}}
{{- define "spegel.hostTarget" -}}
{{- $registry := .Values.service.registry -}}
{{- printf "http://%s:%d" ($registry.ipv6 | ternary "[$(NODE_IP)]" "$(NODE_IP)") (int $registry.hostPort) -}}
{{- end }}

{{- /* The mirrors that containerd asks, in this order; NODE_IP is a variable of the container. */ -}}
{{- define "spegel.mirrorTargets" -}}
{{- $registry := .Values.service.registry -}}
{{- $node := $registry.ipv6 | ternary "[$(NODE_IP)]" "$(NODE_IP)" -}}
{{- $targets := list -}}
{{- if and $registry.internalTrafficLocal $registry.clusterIP -}}
{{- $address := contains ":" $registry.clusterIP | ternary (printf "[%s]" $registry.clusterIP) $registry.clusterIP -}}
{{- $targets = append $targets (printf "http://%s:%d" $address (int $registry.port)) -}}
{{- end -}}
{{- if include "spegel.usesHostPort" . -}}
{{- $targets = append $targets (include "spegel.hostTarget" .) -}}
{{- end -}}
{{- $nodePort := include "spegel.nodePort" . | int -}}
{{- if $nodePort -}}
{{- $targets = append $targets (printf "http://%s:%d" $node $nodePort) -}}
{{- end -}}
{{- if not $targets -}}
{{- fail "containerd cannot reach the registry: set service.registry.hostPort or service.registry.nodePort" -}}
{{- end -}}
{{- concat $targets .Values.spegel.additionalMirrorTargets | toJson -}}
{{- end }}

{{- /* The container that puts the address of the node in NODE_IP needs this. */ -}}
{{- define "spegel.nodeIpVariable" -}}
- name: NODE_IP
  {{- if .Values.service.registry.nodeIp }}
  value: {{ .Values.service.registry.nodeIp | quote }}
  {{- else }}
  valueFrom:
    fieldRef:
      fieldPath: status.hostIP
  {{- end }}
{{- end }}

{{- /* The mount for containerd's socket: its folder, because a restarted containerd makes a new socket; the socket
itself in a folder that the pod has other uses for. */ -}}
{{- define "spegel.socketMount" -}}
{{- $socket := .Values.spegel.containerdSock -}}
{{- $folder := dir $socket -}}
{{- if has $folder (list "/" "/run" "/var/run") -}}
{{ $socket }}
{{- else -}}
{{ $folder }}
{{- end -}}
{{- end }}

{{- /* The nodes that a pod can run on. */ -}}
{{- define "spegel.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
