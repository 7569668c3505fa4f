"""Former editions of Tenants, for namespaces that were made under them and not looked at since."""

from __future__ import annotations

from tenantry.api.meta import ObjectMeta
from tenantry.api.tenant import Tenant


class Editions:
    """What each Tenant said before its latest edits, until the last of them is in force everywhere.

    Admission puts a tenant's metadata on a namespace at once.  Where the Tenant is edited
    before any status tells of that, only its former edition can tell what to take away.
    """

    def __init__(self) -> None:
        self._former: dict[str, list[tuple[Tenant, int]]] = {}

    def note(self, old: Tenant, new: Tenant) -> None:
        """Take note of a change of a Tenant, whatever it is."""
        name = new.metadata.name
        if old.metadata.uid != new.metadata.uid:
            self._former.pop(name, None)
        elif (old.metadata.generation, old.metadata.annotations) != (new.metadata.generation, new.metadata.annotations):
            self._former.setdefault(name, []).append((old, _version(new.metadata)))
        elif new.status.observed_generation == new.metadata.generation:
            self._former.pop(name, None)

    def at(self, tenant: Tenant, namespace: ObjectMeta) -> Tenant | None:
        """Return the former edition of *tenant* that held when *namespace* was written; None: the present one.

        Versions of all objects come from one count, so they tell what came first.
        """
        written = _version(namespace)
        former = self._former.get(tenant.metadata.name, ())
        return next((edition for edition, until in former if written < until), None)


def _version(metadata: ObjectMeta) -> int:
    return int(metadata.resource_version) if metadata.resource_version.isdigit() else 0
