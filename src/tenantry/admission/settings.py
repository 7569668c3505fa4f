"""What may be set about the admission server of one installation."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.admission.certificates import CertificateFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionSettings:
    """Settings, under Capsule's names where it has one; the defaults are those of a Capsule-compatible installation."""

    namespace: str = "capsule-system"
    service_account: str = "capsule"
    """Of the operator."""
    admission_service_account: str = "capsule-admission"
    configuration_name: str = "default"
    host: str | None = None
    """The address to listen on; None: all."""
    port: int = 9443
    certificate: CertificateFiles | None = None
    """None: the Secret that the CapsuleConfiguration names."""
    identity: str = "tenantry"
    """Of the pod, or the host; unique among the replicas."""
    worker: int = 0
    """Which of the processes that share the port this is."""
    drain_seconds: float = 0.0
    """How long a worker that is told to stop goes on answering, no longer ready: until the Service has let go of it."""

    @property
    def own_accounts(self) -> frozenset[str]:
        """User names of the installation's own ServiceAccounts."""
        names = (self.service_account, self.admission_service_account)
        return frozenset(f"system:serviceaccount:{self.namespace}:{name}" for name in names)
