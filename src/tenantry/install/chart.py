"""The files of the Helm chart that are generated, so that chart and manifests cannot disagree on them."""

from __future__ import annotations

import json

from tenantry.access.guards import ORIGINAL_USER
from tenantry.admission import permissions as admission
from tenantry.api.crds import crd_manifests
from tenantry.gateway.config.chart_values import OPTION_FLAGS, OPTIONS_WITHOUT_FLAG
from tenantry.gateway.settings import IdentitySettings
from tenantry.install import gateway_rights
from tenantry.install.monitoring import alert_rules, dashboard
from tenantry.install.text import yaml_stream, yaml_text
from tenantry.operator import permissions as operator


def chart_files() -> dict[str, str]:
    """Return the content of each file, by its path in the chart."""
    files = {f"crds/{crd['spec']['names']['plural']}.yaml": yaml_text(crd) for crd in crd_manifests()}
    for component, module in (("operator", operator), ("admission", admission)):
        files[f"files/{component}-cluster-rules.yaml"] = yaml_text(list(module.CLUSTER_RULES))
        files[f"files/{component}-namespace-rules.yaml"] = yaml_text(list(module.NAMESPACE_RULES))
    return {
        **files,
        "files/gateway-cluster-rules.yaml": yaml_text(list(gateway_rights.CLUSTER_RULES)),
        "files/gateway-lease-rules.yaml": yaml_text(list(gateway_rights.LEASE_RULES)),
        "files/gateway-client-ca-rules.yaml": yaml_text(list(gateway_rights.CLIENT_CA_RULES)),
        "files/gateway-writers.yaml": yaml_stream(gateway_rights.writers()),
        # Under keys: a list at the top is nothing that a chart can read.
        "files/gateway-facts.yaml": yaml_text(
            {
                "optionFlags": dict(OPTION_FLAGS),
                "optionsWithoutFlag": sorted(OPTIONS_WITHOUT_FLAG),
                "ownExtra": ORIGINAL_USER,
                "forwardedExtra": list(IdentitySettings().forwarded_extra),
            }
        ),
        "files/tenantry.rules.yaml": yaml_text(alert_rules()),
        "files/tenantry.json": json.dumps(dashboard(), indent=2),
    }
