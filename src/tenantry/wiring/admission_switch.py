"""The break-glass commands, with a client of their own."""

from __future__ import annotations

from tenantry.admission.switch import arm, disarm
from tenantry.kube.client import Client
from tenantry.kube.config import load_config


async def disarm_admission(namespace: str, *, kubeconfig: str | None, context: str | None) -> list[str]:
    """Take the webhooks off; return what was done, a line each."""
    async with Client(load_config(kubeconfig=kubeconfig, context=context)) as client:
        return await disarm(client, namespace)


async def arm_admission(namespace: str, *, kubeconfig: str | None, context: str | None) -> list[str]:
    """Let the webhooks come back; return what was done, a line each."""
    async with Client(load_config(kubeconfig=kubeconfig, context=context)) as client:
        return await arm(client, namespace)
