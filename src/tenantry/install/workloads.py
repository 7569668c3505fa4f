"""Deployments, Services and PodDisruptionBudgets of the operator and of admission."""

from __future__ import annotations

from typing import Any, Final

from tenantry.install.settings import InstallSettings

WEBHOOK_PORT = 9443
METRICS_PORT = 8080
HEALTH_PORT = 10080
COMPONENTS = ("operator", "admission")
POD_SECURITY: Final[dict[str, Any]] = {
    "runAsNonRoot": True,
    "runAsUser": 1002,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER_SECURITY: Final[dict[str, Any]] = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def workloads(settings: InstallSettings) -> list[dict[str, Any]]:
    """Return the running parts, in the order to apply them."""
    return [
        _webhook_service(settings),
        *(metrics_service(settings, component) for component in COMPONENTS),
        *(_deployment(settings, component) for component in COMPONENTS),
        *(disruption_budget(settings, component) for component in COMPONENTS),
    ]


def component_labels(component: str) -> dict[str, str]:
    """Return the labels of one component's objects; they select its Pods, too."""
    return {
        "app.kubernetes.io/name": "tenantry",
        "app.kubernetes.io/part-of": "tenantry",
        "app.kubernetes.io/component": component,
    }


def metadata(settings: InstallSettings, name: str, component: str) -> dict[str, Any]:
    """Return metadata of a namespaced object of *component*."""
    return {"name": name, "namespace": settings.namespace, "labels": component_labels(component)}


def _webhook_service(settings: InstallSettings) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(settings, settings.service_name, "admission"),
        "spec": {
            "selector": component_labels("admission"),
            "ports": [{"name": "https", "port": 443, "targetPort": WEBHOOK_PORT, "protocol": "TCP"}],
        },
    }


def metrics_service(settings: InstallSettings, component: str) -> dict[str, Any]:
    """Return the Service by which metrics of *component* are found."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(settings, f"tenantry-{component}-metrics", component),
        "spec": {
            "selector": component_labels(component),
            "ports": [{"name": "metrics", "port": METRICS_PORT, "targetPort": METRICS_PORT, "protocol": "TCP"}],
        },
    }


def arguments(settings: InstallSettings, component: str) -> list[str]:
    """Return the command line of *component*."""
    common = [f"--configuration-name={settings.configuration_name}", f"--log-level={settings.log_level}"]
    if component == "operator":
        force = ["--force-delete-namespaces"] if settings.force_delete_namespaces else []
        own = [f"--workers={settings.operator_workers}", f"--service-name={settings.service_name}"]
        return ["operator", "--enable-leader-election", *own, *common, *force, *_gateway_certificate(settings)]
    return ["admission", "serve", f"--webhook-port={WEBHOOK_PORT}", f"--workers={settings.admission_workers}", *common]


def _gateway_certificate(settings: InstallSettings) -> list[str]:
    """Return what makes the operator keep the gateway's certificate."""
    if settings.gateway is None or settings.cert_manager:
        return []
    names = settings.gateway.certificate_names(settings.namespace)
    return [f"--gateway-secret={settings.gateway.name}", *(f"--gateway-host={name}" for name in names)]


def _deployment(settings: InstallSettings, component: str) -> dict[str, Any]:
    is_operator = component == "operator"
    selector = component_labels(component)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(settings, f"tenantry-{component}", component),
        "spec": {
            "replicas": settings.operator_replicas if is_operator else settings.admission_replicas,
            "selector": {"matchLabels": selector},
            # A new admission replica is ready before an old one goes: refusals for want of one are outages.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": selector}, "spec": _pod(settings, component)},
        },
    }


def _pod(settings: InstallSettings, component: str) -> dict[str, Any]:
    account = settings.operator_account if component == "operator" else settings.admission_account
    return {
        "serviceAccountName": account,
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 30,
        "securityContext": POD_SECURITY,
        "topologySpreadConstraints": spread(component),
        "containers": [_container(settings, component)],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }


def spread(component: str) -> list[dict[str, Any]]:
    """Return constraints that put a component's Pods on different nodes, where there are several."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": "kubernetes.io/hostname",
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": component_labels(component)},
        }
    ]


def _container(settings: InstallSettings, component: str) -> dict[str, Any]:
    ports = [
        {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
    ]
    if component == "admission":
        ports.insert(0, {"name": "webhook", "containerPort": WEBHOOK_PORT, "protocol": "TCP"})
    return {
        "name": component,
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(settings, component),
        "env": [
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "SERVICE_ACCOUNT", "value": settings.operator_account},
            {"name": "ADMISSION_SERVICE_ACCOUNT", "value": settings.admission_account},
        ],
        "ports": ports,
        "livenessProbe": probe("/healthz", period_seconds=10),
        "readinessProbe": probe("/readyz", period_seconds=5),
        # Measured at 800 namespaces and 201 tenants (docs/performance.md), with room to grow.
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108  # the only writable folder of the container
    }


def probe(path: str, *, period_seconds: int) -> dict[str, Any]:
    """Return a probe of the health port."""
    return {"httpGet": {"path": path, "port": "health"}, "periodSeconds": period_seconds, "timeoutSeconds": 3}


def disruption_budget(settings: InstallSettings, component: str) -> dict[str, Any]:
    """Return the PodDisruptionBudget of *component*: one Pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(settings, f"tenantry-{component}", component),
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": component_labels(component)}},
    }
