"""Flags of capsule-proxy that mean nothing here, and why: manifests that set them go on working."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_THROTTLING: Final = "requests of the gateway's own are few and not throttled"
_LOGGING: Final = "logs are JSON lines; --log-level says how much"

IGNORED: Final[Mapping[str, str]] = {
    "--oidc-username-claim": "the user's name is the API server's to say, or an AuthenticationConfiguration's",
    "--allowed-paths": "it had no effect in capsule-proxy either",
    "--rolebindings-resync-period": "changes are followed by watches, none is missed",
    "--client-connection-qps": _THROTTLING,
    "--client-connection-burst": _THROTTLING,
    "--webhook-port": "there are no webhooks in the gateway",
    "--zap-encoder": _LOGGING,
    "--zap-time-encoding": _LOGGING,
    "--zap-stacktrace-level": _LOGGING,
}
"""With a value."""

IGNORED_SWITCHES: Final[Mapping[str, str]] = {
    "--enable-reflector": "RoleBindings are always looked at; the label still opens lists over all namespaces",
    "--disable-caching": "answers come from caches that watches keep current; there is no other way",
    "--enable-pprof": "there is no profiling port",
    "--enable-leader-election": "every replica serves",
    "--zap-devel": _LOGGING,
}
"""True or false."""

GATE_NOTES: Final[Mapping[str, str]] = {
    "ProxyAllNamespaced": "lists over all namespaces are always there",
    "ProxyClusterScoped": "rules for cluster-scoped kinds and the older operations are both served, always",
}
"""Feature gates that change nothing."""
