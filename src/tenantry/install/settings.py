"""What may be set about an installation's manifests."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version

from tenantry.install.gateway_settings import GatewayInstall


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSettings:
    """Settings of one installation; the defaults are those of a Capsule-compatible one.

    With Capsule's namespace and ServiceAccount, manifests and scripts that name
    ``system:serviceaccount:capsule-system:capsule`` go on working.
    """

    namespace: str = "capsule-system"
    operator_account: str = "capsule"
    admission_account: str = "capsule-admission"
    configuration_name: str = "default"
    service_name: str = "capsule-webhook-service"
    image: str = f"ghcr.io/tenantry/tenantry:{version('tenantry')}"
    admission_replicas: int = 2
    operator_replicas: int = 2
    admission_workers: int = 1
    webhook_url: str | None = None
    """Base URL of an admission server outside the cluster; None: the Service."""
    bindable_cluster_roles: tuple[str, ...] = ("admin", "edit", "view")
    """ClusterRoles, besides the installation's own, that tenants' owners may be given."""
    tls_secret: str = "capsule-tls"  # noqa: S105  # a name
    """Secret with the certificate of admission."""
    cert_manager: bool = False
    """Whether cert-manager keeps that Secret; else the operator does."""
    operator_workers: int = 16
    """How many namespaces the operator works on at once."""
    log_level: str = "info"
    force_delete_namespaces: bool = False
    prometheus_operator: bool = False
    """Whether to print a PrometheusRule and ServiceMonitors (their CRDs must be there)."""
    gateway: GatewayInstall | None = None
    """The gateway's part; None: there is none."""

    @property
    def own_accounts(self) -> tuple[str, str]:
        """User names of the two ServiceAccounts."""
        return tuple(  # type: ignore[return-value]  # two names in, two names out
            f"system:serviceaccount:{self.namespace}:{name}" for name in (self.operator_account, self.admission_account)
        )
