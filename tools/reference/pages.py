"""All generated pages, by file name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from reference.audit import audit_page
from reference.commands import commands_page
from reference.conditions import conditions_page
from reference.metrics import metrics_page
from reference.reasons import reasons_page
from reference.settings import settings_page
from reference.webhooks import webhooks_page
from tenantry.api.reference import fields_page
from tenantry.gateway.config.reference import configuration_page

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "reference"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "audit.md": audit_page,
    "commands.md": commands_page,
    "conditions.md": conditions_page,
    "fields.md": fields_page,
    "gateway-configuration.md": configuration_page,
    "metrics.md": metrics_page,
    "reasons.md": reasons_page,
    "settings.md": settings_page,
    "webhooks.md": webhooks_page,
}
"""What makes the text of each page."""
