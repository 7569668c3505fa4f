{{/* Labels of one component's objects; they select its Pods, too. Call with the component's name. */}}
{{- define "tenantry.labels" -}}
app.kubernetes.io/name: tenantry
app.kubernetes.io/part-of: tenantry
app.kubernetes.io/component: {{ . }}
{{- end }}

{{/* Names of the components, as a YAML list. */}}
{{- define "tenantry.components" -}}
- operator
- admission
{{- if .Values.gateway.enabled }}
- gateway
{{- end }}
{{- end }}

{{/* Names and addresses of the gateway's certificate, as a YAML list. */}}
{{- define "tenantry.gatewayNames" -}}
{{- $name := .Values.gateway.name }}
{{- $service := printf "%s.%s" $name .Release.Namespace }}
{{- $names := list $name $service (printf "%s.svc" $service) (printf "%s.svc.cluster.local" $service) }}
{{- range .Values.gateway.configuration.clusters }}
{{- $names = concat $names (.hosts | default list) }}
{{- end }}
{{- $names = concat $names (.Values.gateway.options.additionalSANs | default list) .Values.gateway.additionalSANs }}
{{- toYaml (uniq $names) }}
{{- end }}

{{/* Labels of rights, which belong to no component alone. */}}
{{- define "tenantry.rbacLabels" -}}
app.kubernetes.io/name: tenantry
app.kubernetes.io/part-of: tenantry
{{- end }}

{{- define "tenantry.image" -}}
{{- with .Values.manager.image -}}
{{ with .registry }}{{ . }}/{{ end }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* The Service's DNS names, as a YAML list. */}}
{{- define "tenantry.serviceNames" -}}
{{- $name := .Values.webhooks.service.name }}
- {{ $name }}
- {{ $name }}.{{ .Release.Namespace }}
- {{ $name }}.{{ .Release.Namespace }}.svc
- {{ $name }}.{{ .Release.Namespace }}.svc.cluster.local
{{- end }}

{{/* A probe of the health port. Call with path and period. */}}
{{- define "tenantry.probe" -}}
httpGet:
  path: {{ .path }}
  port: health
periodSeconds: {{ .period }}
timeoutSeconds: 3
{{- end }}

{{/* What a Pod says before its containers. Call with root, component, account, settings, graceSeconds. */}}
{{- define "tenantry.placement" -}}
{{- $values := .root.Values }}
serviceAccountName: {{ .account }}
{{- with $values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .settings.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
terminationGracePeriodSeconds: {{ .graceSeconds }}
securityContext:
  {{- toYaml $values.podSecurityContext | nindent 2 }}
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
  {{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "tenantry.labels" .component | nindent 8 }}
  {{- end }}
{{- end }}

{{/* One Deployment. Call with root, component, account, settings, arguments (a list). */}}
{{- define "tenantry.deployment" -}}
{{- $root := .root }}
{{- $values := .root.Values }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: tenantry-{{ .component }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "tenantry.labels" .component | nindent 4 }}
spec:
  replicas: {{ $values.replicaCount }}
  selector:
    matchLabels:
      {{- include "tenantry.labels" .component | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  template:
    metadata:
      labels:
        {{- include "tenantry.labels" .component | nindent 8 }}
      {{- with $values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "tenantry.placement" (merge (dict "graceSeconds" 30) .) | nindent 6 }}
      containers:
        - name: {{ .component }}
          image: {{ include "tenantry.image" $root }}
          imagePullPolicy: {{ $values.manager.image.pullPolicy }}
          args:
            {{- range .arguments }}
            - {{ . | quote }}
            {{- end }}
          env:
            - name: NAMESPACE
              valueFrom:
                fieldRef:
                  fieldPath: metadata.namespace
            - name: POD_NAME
              valueFrom:
                fieldRef:
                  fieldPath: metadata.name
            - name: SERVICE_ACCOUNT
              value: {{ $values.serviceAccount.name }}
            - name: ADMISSION_SERVICE_ACCOUNT
              value: {{ $values.admission.serviceAccount.name }}
          ports:
            {{- if eq .component "admission" }}
            - name: webhook
              containerPort: 9443
              protocol: TCP
            {{- end }}
            - name: metrics
              containerPort: 8080
              protocol: TCP
            - name: health
              containerPort: 10080
              protocol: TCP
          livenessProbe:
            {{- include "tenantry.probe" (dict "path" "/healthz" "period" 10) | nindent 12 }}
          readinessProbe:
            {{- include "tenantry.probe" (dict "path" "/readyz" "period" 5) | nindent 12 }}
          resources:
            {{- toYaml .settings.resources | nindent 12 }}
          securityContext:
            {{- toYaml $values.securityContext | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir: {}
{{- end }}
