"""The gateway's Deployment, Service, configuration and certificate."""

from __future__ import annotations

from typing import Any, Final

from tenantry.api import labels
from tenantry.gateway.config.text import is_ip
from tenantry.install.gateway_settings import (
    CERTIFICATE_FOLDER,
    CONFIGURATION_FILE,
    CONFIGURATION_FOLDER,
    RUNTIME_FOLDER,
    RUNTIME_VOLUME,
    GatewayInstall,
)
from tenantry.install.settings import InstallSettings
from tenantry.install.workloads import (
    CONTAINER_SECURITY,
    METRICS_PORT,
    POD_SECURITY,
    component_labels,
    disruption_budget,
    metadata,
    metrics_service,
    probe,
    spread,
)

JSON = dict[str, Any]
COMPONENT: Final = "gateway"
HEALTH_PORT: Final = 8081
"""capsule-proxy's."""
_FLOW_API: Final = "flowcontrol.apiserver.k8s.io/v1"


def gateway_workloads(settings: InstallSettings, gateway: GatewayInstall) -> list[JSON]:
    """Return the running part, in the order to apply it."""
    return [
        *(_certificates(settings, gateway) if settings.cert_manager else []),
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(settings, "tenantry-gateway", COMPONENT),
            "data": {CONFIGURATION_FILE: gateway.text},
        },
        _service(settings, gateway),
        metrics_service(settings, COMPONENT),
        _deployment(settings, gateway),
        disruption_budget(settings, COMPONENT),
        *(_flow_control(settings) if gateway.has_flow_schema else []),
    ]


def gateway_arguments(gateway: GatewayInstall) -> list[str]:
    """Return the command line."""
    file = CONFIGURATION_FOLDER / CONFIGURATION_FILE
    return [COMPONENT, "run", f"--config={file}", f"--runtime-folder={RUNTIME_FOLDER}", *gateway.arguments]


def _service(settings: InstallSettings, gateway: GatewayInstall) -> JSON:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(settings, gateway.name, COMPONENT),
        "spec": {
            "selector": component_labels(COMPONENT),
            "ports": [{"name": "proxy", "port": gateway.service_port, "targetPort": "proxy", "protocol": "TCP"}],
        },
    }


def _deployment(settings: InstallSettings, gateway: GatewayInstall) -> JSON:
    selector = component_labels(COMPONENT)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(settings, "tenantry-gateway", COMPONENT),
        "spec": {
            "replicas": gateway.replicas,
            "selector": {"matchLabels": selector},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": selector}, "spec": _pod(settings, gateway)},
        },
    }


def _pod(settings: InstallSettings, gateway: GatewayInstall) -> JSON:
    return {
        "serviceAccountName": gateway.name,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": gateway.grace_seconds,
        "securityContext": POD_SECURITY,
        "topologySpreadConstraints": spread(COMPONENT),
        "containers": [_container(settings, gateway)],
        "volumes": [
            {"name": "configuration", "configMap": {"name": "tenantry-gateway"}},
            # The Pod waits until the Secret is there.
            {"name": "certificate", "secret": {"secretName": gateway.name}},
            # In memory: the secret between the parts of the process is in it.
            {"name": "runtime", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }


def _container(settings: InstallSettings, gateway: GatewayInstall) -> JSON:
    return {
        "name": COMPONENT,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": gateway_arguments(gateway),
        "env": [
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "ports": [
            {"name": "proxy", "containerPort": gateway.configuration.listening.port, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
        ],
        "livenessProbe": probe("/healthz", period_seconds=10),
        "readinessProbe": probe("/readyz", period_seconds=5),
        "resources": {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "configuration", "mountPath": str(CONFIGURATION_FOLDER), "readOnly": True},
            {"name": "certificate", "mountPath": str(CERTIFICATE_FOLDER), "readOnly": True},
            {"name": "runtime", "mountPath": str(RUNTIME_VOLUME)},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # writable for libraries that want one
        ],
    }


def _certificates(settings: InstallSettings, gateway: GatewayInstall) -> list[JSON]:
    """Return a self-signed Issuer and the Certificate of the Secret that clients' ``ca.crt`` comes from."""
    names = gateway.certificate_names(settings.namespace)
    addresses = [name for name in names if is_ip(name)]
    return [
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": metadata(settings, "tenantry-gateway", COMPONENT),
            "spec": {"selfSigned": {}},
        },
        {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Certificate",
            "metadata": metadata(settings, "tenantry-gateway", COMPONENT),
            "spec": {
                "secretName": gateway.name,
                "dnsNames": [name for name in names if name not in addresses],
                **({"ipAddresses": addresses} if addresses else {}),
                "issuerRef": {"kind": "Issuer", "name": "tenantry-gateway"},
            },
        },
    ]


def _flow_control(settings: InstallSettings) -> list[JSON]:
    """Return a priority level for Capsule users: one of them can't keep the others waiting."""
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "namespaces": ["*"], "clusterScope": True}
    name = {"name": "tenantry-gateway", "labels": metadata(settings, "", COMPONENT)["labels"]}
    return [
        {
            "apiVersion": _FLOW_API,
            "kind": "PriorityLevelConfiguration",
            "metadata": name,
            "spec": {
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": 10,
                    "limitResponse": {
                        "type": "Queue",
                        "queuing": {"queues": 64, "handSize": 6, "queueLengthLimit": 50},
                    },
                },
            },
        },
        {
            "apiVersion": _FLOW_API,
            "kind": "FlowSchema",
            "metadata": name,
            "spec": {
                "priorityLevelConfiguration": {"name": "tenantry-gateway"},
                "matchingPrecedence": 900,
                "distinguisherMethod": {"type": "ByUser"},
                "rules": [
                    {
                        "subjects": [{"kind": "Group", "group": {"name": labels.DEFAULT_USER_GROUP}}],
                        "resourceRules": [everything],
                    }
                ],
            },
        },
    ]
