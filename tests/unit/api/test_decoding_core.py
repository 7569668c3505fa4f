"""Built-in kinds decode as the API server stores them."""

from __future__ import annotations

from tenantry.api.core import CustomResourceDefinition, CustomResourceDefinitionStatus
from tenantry.foundation.codec import decode


def test_a_definition_that_nobody_looked_at_yet_decodes() -> None:
    """The status of a fresh CRD has null lists."""
    fresh = decode(b'{"status": {"conditions": null, "storedVersions": null}}', CustomResourceDefinition)
    assert fresh.status == CustomResourceDefinitionStatus(stored_versions=None, conditions=None)
