{{- define "fairlead.name" -}}
{{ .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "fairlead.image" -}}
{{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: fairlead
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fairlead.labels" -}}
{{ include "fairlead.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- end }}

{{- /* Whether agents have a fence: "" when they do not, or hold nothing. */}}
{{- define "fairlead.fenced" -}}
{{- if and .Values.agent.enabled .Values.fence.enabled (ne (.Values.config.dataplane | default "nft") "none") }}yes{{ end }}
{{- end }}

{{- /* Whether agents announce by BGP. */}}
{{- define "fairlead.routed" -}}
{{- if and .Values.agent.enabled .Values.bgp.enabled (ne (.Values.config.dataplane | default "nft") "none") }}yes{{ end }}
{{- end }}

{{- /* Who owns FRR is run by its path: it needs nothing of the package around it. */}}
{{- define "fairlead.owner" -}}
from importlib.util import find_spec as find; from runpy import run_path as run; run(find("fairlead").submodule_search_locations[0] + "/drivers/bgp/owner.py", run_name="__main__")
{{- end }}

{{- define "fairlead.fenceSecret" -}}
{{ .Values.fence.existingSecret | default (printf "%s-fence" (include "fairlead.name" .)) }}
{{- end }}

{{- define "fairlead.pod" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
enableServiceLinks: false
{{- end }}
