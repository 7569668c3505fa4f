"""What the API server stores under our CRDs decodes here, and nothing that was said gets lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tenantry.api.configuration import CapsuleConfiguration, CapsuleConfigurationSpec
from tenantry.api.crds import KINDS
from tenantry.api.meta import ObjectMeta
from tenantry.api.openapi import struct_schema
from tenantry.api.reference import structs_below
from tenantry.api.rule_status import RuleStatus
from tenantry.api.tenant import Tenant, TenantSpec
from tenantry.api.tenant_owner import TenantOwner
from tenantry.foundation.codec import DecodeError, Model, decode, encode, from_plain, to_plain
from tenantry.foundation.expressions import expression

JSON = dict[str, Any]

FULL_TENANT: JSON = yaml.safe_load((Path(__file__).parent / "data" / "full-tenant.yaml").read_text())
STRUCTS = list(dict.fromkeys(struct for kind in KINDS for struct in structs_below(kind.type)))
DATE = "2026-01-02T03:04:05Z"
SAMPLES = (DATE, "Y2E=", "a", "team-1", "Succeeded", "example.com/Ready", "10.0.0.0/8")


def test_the_example_has_every_field_of_the_spec() -> None:
    assert missing_fields(struct_schema(TenantSpec), FULL_TENANT["spec"]) == []


def test_a_full_tenant_comes_back_as_it_was() -> None:
    tenant = decode(json.dumps(FULL_TENANT), Tenant)

    assert to_plain(tenant)["spec"] == FULL_TENANT["spec"]
    assert decode(encode(tenant), Tenant) == tenant


@pytest.mark.parametrize("kind", [Tenant, CapsuleConfiguration, TenantOwner, RuleStatus])
def test_an_object_without_anything_has_all_defaults(kind: type[Model]) -> None:
    assert decode("{}", kind) == kind()


@pytest.mark.parametrize("struct", [CapsuleConfigurationSpec, TenantSpec])
def test_defaults_here_are_those_that_the_api_server_fills_in(struct: type[Model]) -> None:
    assert from_plain(filled(struct_schema(struct), {}), struct) == struct()


def test_null_is_nothing_where_kubernetes_writes_it() -> None:
    body = '{"metadata": {"name": "a", "creationTimestamp": null, "labels": null, "annotations": null}}'

    assert decode(body, Tenant) == Tenant(metadata=ObjectMeta(name="a"))


def test_a_value_of_the_wrong_type_is_named_by_its_path() -> None:
    with pytest.raises(DecodeError, match=r"\$\.spec\.owners\[0\]\.name"):
        decode('{"spec": {"owners": [{"kind": "User", "name": 1}]}}', Tenant)


def test_fields_that_nobody_declared_are_dropped() -> None:
    assert decode('{"spec": {"nope": 1}, "metadata": {"managedFields": [{}]}}', Tenant) == Tenant()


@pytest.mark.parametrize("struct", STRUCTS, ids=[struct.__name__ for struct in STRUCTS])
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_whatever_the_schema_admits_decodes_and_is_kept(struct: type[Model], data: st.DataObject) -> None:
    schema = struct_schema(struct)
    stored = filled(schema, data.draw(admitted(schema, depth=2)))

    value = from_plain(stored, struct)

    assert without_blanks(filled(schema, to_plain(value))) == without_blanks(stored)
    assert decode(encode(value), struct) == value


def filled(schema: JSON, value: Any) -> Any:
    """Return *value* with the schema's defaults, as the API server stores it."""
    if isinstance(value, list):
        return [filled(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {
        name: filled(member, value.get(name, member.get("default")))
        for name, member in schema.get("properties", {}).items()
        if name in value or "default" in member
    }
    others = schema.get("additionalProperties", {})
    return members | {name: filled(others, item) for name, item in value.items() if name not in members}


def without_blanks(value: Any) -> Any:
    """Return *value* without what Go's ``omitempty`` leaves out: nothing here tells it from absence."""
    if isinstance(value, list):
        return [without_blanks(item) for item in value]
    if not isinstance(value, dict):
        return value
    members = {name: without_blanks(item) for name, item in value.items()}
    return {name: item for name, item in members.items() if item}


def admitted(schema: JSON, *, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy of small values that *schema* admits; at depth 0 optional objects stay away."""
    if schema.get("x-kubernetes-int-or-string"):
        return st.one_of(st.integers(0, 9), st.sampled_from(["500m", "1.5Gi", "1e3"]))
    size = schema.get("minItems", 0)
    strategies: dict[str | None, Callable[[], st.SearchStrategy[Any]]] = {
        None: lambda: st.sampled_from([1, "a", [1, None], {"a": {"b": 0.5}}, True]),
        "object": lambda: objects(schema, depth=depth),
        "array": lambda: st.lists(admitted(schema["items"], depth=depth - 1), min_size=size, max_size=size + 1),
        "boolean": st.booleans,
        "integer": lambda: st.integers(schema.get("minimum", -5), schema.get("maximum", 70000)),
        "string": lambda: texts(schema),
    }
    return strategies[schema.get("type")]()


def objects(schema: JSON, *, depth: int) -> st.SearchStrategy[JSON]:
    if "properties" not in schema:
        values = admitted(schema.get("additionalProperties", {}), depth=depth - 1)
        return st.dictionaries(st.sampled_from(["a", "x/y"]), values, max_size=2)
    needed = schema.get("required", ())
    members = {
        name: admitted(member, depth=depth - 1)
        for name, member in schema["properties"].items()
        if depth > 0 or name in needed or member.get("type") not in {"object", "array"}
    }
    return st.fixed_dictionaries(
        {name: member for name, member in members.items() if name in needed},
        optional={name: member for name, member in members.items() if name not in needed},
    )


def texts(schema: JSON) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    samples = [text for text in SAMPLES if is_text_of(schema, text)]
    if "pattern" in schema or "format" in schema:
        return st.sampled_from(samples)
    return st.text(min_size=schema.get("minLength", 0), max_size=3)


def is_text_of(schema: JSON, text: str) -> bool:
    if "format" in schema:
        return text == {"date-time": DATE, "byte": "Y2E="}[schema["format"]]
    return expression(schema.get("pattern", "")).search(text) and len(text) <= schema.get("maxLength", 300)


def missing_fields(schema: JSON, value: Any, path: str = "") -> list[str]:
    """Return the paths of *schema* that *value* lacks; of a list, the first item is looked at."""
    if isinstance(value, list):
        return missing_fields(schema.get("items", {}), value[0], f"{path}[]")
    return list(_missing(schema, value, path))


def _missing(schema: JSON, value: Any, path: str) -> Iterator[str]:
    for name, member in schema.get("properties", {}).items():
        if name not in value:
            yield f"{path}.{name}"
        else:
            yield from missing_fields(member, value[name], f"{path}.{name}")
    values = schema.get("additionalProperties")
    if values:
        yield from missing_fields(values, next(iter(value.values())), f"{path}{{}}")
