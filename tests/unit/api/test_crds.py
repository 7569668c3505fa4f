"""The generated CRDs have exactly Capsule's fields: data/crd-fields.txt lists them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tenantry.api.crds import KINDS, crd_manifests
from tenantry.api.docstrings import struct_doc
from tenantry.api.openapi import fields
from tenantry.api.reference import structs_below

JSON = dict[str, Any]

SECTIONS = {
    section.split(" ", 1)[0]: section.strip().split("\n")
    for section in (Path(__file__).parent / "data" / "crd-fields.txt").read_text().split("## ")[1:]
}
OPAQUE = {"resourceQuotas.items", "limitRanges.items", "networkPolicies.items"}
"""Specs of built-in kinds, which the list does not open either; as little as conditions."""
LIMITS = ("enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "format")


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_field_is_as_listed_and_no_field_is_added(kind: str) -> None:
    heading, *expected = SECTIONS[kind]

    assert list(listed(kind)) == sorted(expected)
    assert headline(manifest_of(kind)) == heading


def test_there_is_a_crd_for_each_listed_kind_and_no_other() -> None:
    assert sorted(kind.name for kind in KINDS) == sorted(SECTIONS)


def test_the_envelope_of_a_manifest_is_complete() -> None:
    manifest = manifest_of("TenantOwner")
    manifest["spec"]["versions"][0].pop("schema")

    assert manifest == {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "tenantowners.capsule.clastix.io"},
        "spec": {
            "group": "capsule.clastix.io",
            "names": {
                "kind": "TenantOwner",
                "listKind": "TenantOwnerList",
                "plural": "tenantowners",
                "singular": "tenantowner",
                "shortNames": ["to"],
            },
            "scope": "Cluster",
            "versions": [
                {
                    "name": "v1beta2",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [
                        {
                            "name": "Ready",
                            "type": "string",
                            "jsonPath": '.status.conditions[?(@.type=="Ready")].status',
                            "description": "Whether the object is reconciled",
                        },
                        {
                            "name": "Age",
                            "type": "date",
                            "jsonPath": ".metadata.creationTimestamp",
                            "description": "Age",
                        },
                    ],
                }
            ],
        },
    }


def test_tenants_print_the_columns_that_users_know() -> None:
    columns = manifest_of("Tenant")["spec"]["versions"][0]["additionalPrinterColumns"]

    assert [(column["name"], column["type"], column["jsonPath"]) for column in columns] == [
        ("State", "string", ".status.state"),
        ("Namespace quota", "integer", ".spec.namespaceOptions.quota"),
        ("Namespace count", "integer", ".status.size"),
        ("Node selector", "string", ".spec.nodeSelector"),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        ("Status", "string", '.status.conditions[?(@.type=="Ready")].message'),
        ("Age", "date", ".metadata.creationTimestamp"),
    ]


def test_conditions_are_those_of_kubernetes() -> None:
    condition = tenant_schema("status", "conditions")["items"]
    for member in condition["properties"].values():
        member.pop("description")

    assert condition == {
        "type": "object",
        "description": "metav1.Condition: one aspect of the object's state.",
        "properties": {
            "type": {
                "type": "string",
                "maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
                r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
            },
            "status": {"type": "string", "enum": ["True", "False", "Unknown"]},
            "reason": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1024,
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
            },
            "message": {"type": "string", "maxLength": 32768},
            "lastTransitionTime": {"type": "string", "format": "date-time"},
            "observedGeneration": {"type": "integer", "minimum": 0, "format": "int64"},
        },
        "required": ["type", "status", "reason", "message", "lastTransitionTime"],
    }


def test_free_form_values_are_kept_whole() -> None:
    keep = {"x-kubernetes-preserve-unknown-fields": True}

    assert {**keep, "description": "Data of any shape, for templates."} == tenant_schema("spec", "data")
    for holder in ("resourceQuotas", "limitRanges", "networkPolicies"):
        items = tenant_schema("spec", holder)["properties"]["items"]
        assert items["items"] == {"type": "object", **keep}


def test_server_side_apply_merges_as_with_kubernetes_own_types() -> None:
    rule = tenant_schema("spec", "rules")["items"]["properties"]
    subject = tenant_schema("spec", "additionalRoleBindings")["items"]["properties"]["subjects"]["items"]

    assert rule["namespaceSelector"]["x-kubernetes-map-type"] == "atomic"
    assert subject["x-kubernetes-map-type"] == "atomic"
    assert rule["quota"]["x-kubernetes-list-type"] == "map"
    assert rule["quota"]["x-kubernetes-list-map-keys"] == ["name"]


def test_every_type_and_field_says_what_it_means() -> None:
    structs = [struct for kind in KINDS for struct in (kind.type, *structs_below(kind.type))]
    silent = [
        f"{struct.__name__}.{member.name}"
        for struct in structs
        for member in fields(struct)
        if not member.doc and member.name not in {"apiVersion", "kind", "metadata"}
    ]

    assert silent == []
    assert [struct.__name__ for struct in structs if not struct_doc(struct)] == []


def manifest_of(kind: str) -> JSON:
    return next(manifest for manifest in crd_manifests() if manifest["spec"]["names"]["kind"] == kind)


def parts_of(kind: str) -> JSON:
    schema = manifest_of(kind)["spec"]["versions"][0]["schema"]
    parts: JSON = schema["openAPIV3Schema"]["properties"]
    return parts


def tenant_schema(part: str, member: str) -> JSON:
    schema: JSON = parts_of("Tenant")[part]["properties"][member]
    return schema


def headline(manifest: JSON) -> str:
    spec = manifest["spec"]
    (version,) = spec["versions"]
    names = spec["names"]
    columns = [column["name"] for column in version["additionalPrinterColumns"]]
    return (
        f"{names['kind']} {version['name']} {spec['scope']} short {names.get('shortNames')} "
        f"plural {names['plural']} sub {list(version['subresources'])} cols {columns}"
    )


def listed(kind: str) -> list[str]:
    parts = parts_of(kind)
    return sorted(line for part in ("spec", "status") for line in lines(part, parts[part], required=False))


def lines(path: str, schema: JSON, *, required: bool) -> Iterator[str]:
    """Yield *schema* and what is under it in the notation of the list."""
    items, values = schema.get("items", {}), schema.get("additionalProperties", {})
    notes = ([f"default={schema['default']!r}"] if "default" in schema else []) + [
        f"{limit}={schema[limit]!r}" for limit in LIMITS if limit in schema
    ]
    notes += [f"item {limit}={items[limit]!r}" for limit in LIMITS if limit in items and items["type"] == "string"]
    yield " | ".join([path, type_of(schema) + (" REQ" if required else ""), *(["; ".join(notes)] if notes else [])])
    if type_of(schema) not in {"object", "array"} or path.endswith(".conditions"):
        return
    if path.removeprefix("spec.") in OPAQUE:
        return
    for holder, mark in ((schema, "."), (items, "[]."), (values, "{}.")):
        for name, member in holder.get("properties", {}).items():
            yield from lines(f"{path}{mark}{name}", member, required=name in holder.get("required", ()))


def type_of(schema: JSON) -> str:
    if schema.get("x-kubernetes-int-or-string"):
        return "int|str"
    if "type" not in schema:
        return "any"
    if schema["type"] == "array":
        item = type_of(schema["items"])
        return f"[]{item}" if item in {"string", "LabelSelector"} else "array"
    if "additionalProperties" in schema:
        value = type_of(schema["additionalProperties"])
        return {"string": "map→string", "int|str": "map→qty"}.get(value, "object")
    is_selector = set(schema.get("properties", ())) == {"matchLabels", "matchExpressions"}
    return "LabelSelector" if is_selector else str(schema["type"])
