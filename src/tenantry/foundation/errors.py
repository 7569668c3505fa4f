"""The error tree.

TenantryError
├── RejectedError            the request is understood and refused
│   └── InvalidError         a value makes no sense: names the field, the value, what is allowed
├── ConfigurationError       settings, kubeconfig or files of this installation are wrong
├── UnavailableError         something needed does not answer; trying again may help
└── kube.errors.ApiError     the API server's own refusals (defined in tenantry.kube.errors)
"""

from __future__ import annotations

from typing import ClassVar


class TenantryError(Exception):
    """Root of all errors that tenantry raises on purpose."""

    reason: ClassVar[str] = "Error"
    """Stable token, the same in events, conditions, metrics and logs."""
    http_status: ClassVar[int] = 500


class RejectedError(TenantryError):
    """The request is understood and refused."""

    reason = "Rejected"
    http_status = 403


class InvalidError(RejectedError):
    """A value makes no sense."""

    reason = "Invalid"

    def __init__(self, field: str, value: object, allowed: str) -> None:
        """Name the *field* (dotted path), the offending *value* and what is *allowed*."""
        self.field = field
        self.value = value
        self.allowed = allowed
        super().__init__(f"{field}: {value!r} is invalid: {allowed}")


class ConfigurationError(TenantryError):
    """Settings, kubeconfig or files of this installation are wrong."""

    reason = "Misconfigured"


class UnavailableError(TenantryError):
    """Something needed does not answer; trying again may help."""

    reason = "Unavailable"
    http_status = 503
