"""The files of the Helm chart that are generated, so that chart and manifests cannot disagree on them."""

from __future__ import annotations

import json

from tenantry.admission import permissions as admission
from tenantry.api.crds import crd_manifests
from tenantry.install.monitoring import alert_rules, dashboard
from tenantry.install.text import yaml_text
from tenantry.operator import permissions as operator


def chart_files() -> dict[str, str]:
    """Return the content of each file, by its path in the chart."""
    files = {f"crds/{crd['spec']['names']['plural']}.yaml": yaml_text(crd) for crd in crd_manifests()}
    for component, module in (("operator", operator), ("admission", admission)):
        files[f"files/{component}-cluster-rules.yaml"] = yaml_text(list(module.CLUSTER_RULES))
        files[f"files/{component}-namespace-rules.yaml"] = yaml_text(list(module.NAMESPACE_RULES))
    return {
        **files,
        "files/tenantry.rules.yaml": yaml_text(alert_rules()),
        "files/tenantry.json": json.dumps(dashboard(), indent=2),
    }
