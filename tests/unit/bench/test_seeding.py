"""Copies of a tenant are tenants of their own: other names, other uids, the same shape."""

from __future__ import annotations

import json

from bench.seeding import _copies, _digest

UID, OTHER = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"


def test_a_copy_differs_in_names_and_uids_alone() -> None:
    role = _digest(0, "admin")
    model = [
        ("/registry/tenants/seed-00000", json.dumps({"metadata": {"name": "seed-00000", "uid": UID}})),
        (
            f"/registry/rolebindings/seed-00000-1/capsule:managed:{role}",
            json.dumps({"metadata": {"uid": OTHER, "ownerReferences": [{"uid": UID}]}, "user": "landlord-00000"}),
        ),
    ]

    copies = [(key, json.loads(text)) for key, text in _copies(model, [7])]

    tenant = copies[0][1]["metadata"]["uid"]
    binding = copies[1][1]["metadata"]["uid"]
    assert copies == [
        ("/registry/tenants/seed-00007", {"metadata": {"name": "seed-00007", "uid": tenant}}),
        (
            f"/registry/rolebindings/seed-00007-1/capsule:managed:{_digest(7, 'admin')}",
            {"metadata": {"uid": binding, "ownerReferences": [{"uid": tenant}]}, "user": "landlord-00007"},
        ),
    ]
    assert len({UID, OTHER, tenant, binding}) == 4
