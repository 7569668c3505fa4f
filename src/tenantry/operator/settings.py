"""What may be set about the controllers of one installation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorSettings:
    """Settings, under Capsule's names where it has one; the defaults are those of a Capsule-compatible installation."""

    namespace: str = "capsule-system"
    service_account: str = "capsule"
    admission_service_account: str = "capsule-admission"
    configuration_name: str = "default"
    service_name: str = "capsule-webhook-service"
    """Of admission, unless the CapsuleConfiguration names one."""
    gateway_secret: str = ""
    """Secret with the gateway's certificate, to be made and renewed here; empty: there is none, or others do."""
    gateway_hosts: tuple[str, ...] = ()
    """Host names and addresses of that certificate."""
    identity: str = "tenantry"
    """Of this process, unique among the candidates for the lease."""
    workers: int = 16
    """How many namespaces are worked on at once."""
    force_delete_namespaces: bool = False
    """Whether a Tenant's deletion may strip finalizers of what others left behind (spec 13.12)."""
    force_delete_grace_seconds: float = 10.0

    @property
    def own_accounts(self) -> tuple[str, ...]:
        """User names of the installation's own ServiceAccounts."""
        names = dict.fromkeys((self.service_account, self.admission_service_account))
        return tuple(f"system:serviceaccount:{self.namespace}:{name}" for name in names)
