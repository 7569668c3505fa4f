"""Everything in the settings can be written in the file, and comes back as it was."""

from __future__ import annotations

import json
import types
from dataclasses import fields, is_dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from tenantry.api.openapi import fields as api_fields
from tenantry.api.openapi import structs_in
from tenantry.foundation.codec import Model
from tenantry.gateway.config.conversion import camel, document_of
from tenantry.gateway.config.meaning import faults
from tenantry.gateway.config.model import GatewayConfiguration
from tenantry.gateway.config.problems import Path as FieldPath
from tenantry.gateway.config.problems import errors_only
from tenantry.gateway.config.reading import check_text
from tenantry.gateway.config.reference import configuration_page
from tenantry.gateway.config.schema import json_schema
from tenantry.gateway.settings import (
    AuditSettings,
    Certificate,
    CertificateIdentity,
    ClientImpersonation,
    ClusterSettings,
    ForwardedCertificates,
    GatewaySettings,
    IdentitySettings,
    Limits,
    Listening,
    Locks,
    Subject,
    VisibilitySettings,
)
from tenantry.install.text import yaml_text

ROOT = Path(__file__).parents[4]

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
texts = st.lists(words, max_size=3, unique=True).map(tuple)
names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,6}[a-z0-9])?", fullmatch=True)
files = names.map(lambda name: Path("/etc/gateway") / name)
networks = st.lists(
    st.one_of(
        st.builds(lambda n: IPv4Network((n << 8, 24)), st.integers(0, 2**24 - 1)),
        st.builds(lambda n: IPv6Network((n << 64, 64)), st.integers(0, 2**64 - 1)),
    ),
    max_size=3,
).map(tuple)
seconds = st.floats(10, 60)
subjects = st.lists(
    st.one_of(
        st.builds(Subject, kind=st.just("User"), name=names),
        st.builds(Subject, kind=st.just("Group"), name=names),
        st.builds(Subject, kind=st.just("ServiceAccount"), name=names.map("system:serviceaccount:a:{}".format)),
    ),
    max_size=3,
).map(tuple)
identities = st.builds(
    IdentitySettings,
    authenticators=st.permutations(["BearerToken", "TLSCertificate", "XForwardedClientCert"]).map(tuple),
    authentication_configuration=st.none() | files,
    token_review=st.sampled_from([True]),
    token_audiences=texts,
    fresh_seconds=seconds,
    review_seconds=seconds,
    stale_seconds=st.floats(60, 900),
    certificates=st.builds(CertificateIdentity, ca=st.none() | files, crl=st.none() | files),
    forwarded=st.builds(ForwardedCertificates, header=names, trusted_networks=networks.filter(bool)),
    impersonation=st.builds(ClientImpersonation, enabled=st.booleans(), trusted=subjects),
    group_pattern=st.sampled_from(["", "a.*", "^(b|c)$"]),
    dropped_groups=texts,
    allowed_system_names=names.map(lambda name: (f"system:{name}",)),
    own_token=st.sampled_from(["Never", "SelfReviews", "Always"]),
)
clusters = st.lists(
    st.builds(
        ClusterSettings,
        name=names,
        hosts=st.lists(names, min_size=1, max_size=2, unique=True).map(tuple),
        is_default=st.sampled_from([False]),
        kubeconfig=st.none() | files.map(str),
        context=st.none() | words,
        identity=identities,
        visibility=st.builds(VisibilitySettings, ignored_users=texts, role_bindings_need_label=st.booleans()),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
settings = st.builds(
    GatewaySettings,
    listening=st.builds(
        Listening,
        address=st.sampled_from(["10.0.0.1", "::", "127.0.0.1"]),
        port=st.integers(10_000, 65_535),
        certificates=st.builds(Certificate, certificate=files, key=files).map(lambda pair: (pair,)),
        proxy_protocol=st.booleans(),
        trusted_networks=networks,
    ),
    limits=st.builds(Limits, connections=st.integers(1, 1000)),
    clusters=st.just((ClusterSettings(),)) | clusters,
    audit=st.builds(AuditSettings, file=st.none() | files, keep_files=st.integers(1, 9)),
    locks=st.builds(Locks, users=st.frozensets(words), groups=st.frozensets(words)),
    drain_seconds=st.floats(0, 100),
    health_address=st.sampled_from([":1", "0", "127.0.0.1:2"]),
    log_level=st.sampled_from(["debug", "info"]),
)


@limits(deadline=None)
@given(settings)
def test_settings_written_and_read_are_the_same(value: GatewaySettings) -> None:
    wrong = [each for each in faults(value) if not each.is_warning]

    checked = check_text(yaml_text(document_of(value)), folder=Path("/elsewhere"), now=None)

    assert len(errors_only(checked.problems)) == len(wrong)
    if not wrong:
        assert checked.settings == value


@limits(deadline=None)
@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | words, st.lists))
def test_no_value_of_any_field_breaks_the_reader(value: Any) -> None:
    for name in json_schema()["properties"]:
        check_text(yaml.safe_dump({name: value}), folder=Path("/"), now=None)


def structs() -> list[type[Model]]:
    found: list[type[Model]] = []

    def visit(struct: type[Model]) -> None:
        found.append(struct)
        for member in api_fields(struct):
            for child in structs_in(member.type):
                visit(child)

    visit(GatewayConfiguration)
    return found


def paths_of_settings(kind: Any, path: FieldPath = ()) -> set[FieldPath]:
    if get_origin(kind) in {Union, types.UnionType, tuple, frozenset}:
        return set().union(*(paths_of_settings(each, path) for each in get_args(kind) if each is not ...))
    if not is_dataclass(kind):
        return {path}
    hints = get_type_hints(kind)
    return set().union(*(paths_of_settings(hints[each.name], (*path, camel(each.name))) for each in fields(kind)))


def paths_of_file(struct: type[Model], path: FieldPath = ()) -> set[FieldPath]:
    found: set[FieldPath] = set()
    for member in api_fields(struct):
        children = list(structs_in(member.type))
        below = (*path, member.name)
        found |= set().union(*(paths_of_file(child, below) for child in children)) if children else {below}
    return found


def test_all_that_is_a_setting_can_be_set_and_nothing_else() -> None:
    envelope: set[FieldPath] = {("apiVersion",), ("kind",)}

    assert paths_of_file(GatewayConfiguration) == paths_of_settings(GatewaySettings) | envelope


@pytest.mark.parametrize("struct", structs(), ids=lambda struct: struct.__name__)
def test_every_field_says_what_it_means(struct: type[Model]) -> None:
    assert [member.name for member in api_fields(struct) if not member.doc.endswith(".")] == []


def test_the_schema_is_closed_and_has_the_defaults() -> None:
    schema = json_schema()

    assert (schema["additionalProperties"], schema["required"]) == (False, ["apiVersion", "kind"])
    assert schema["properties"]["listening"]["properties"]["port"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 65535,
        "description": "TCP port.",
        "default": 9001,
    }
    assert json.loads(json.dumps(schema)) == schema


def test_the_page_of_fields_is_current() -> None:
    """`python tools/write_reference.py` writes it."""
    assert (ROOT / "docs/reference/gateway-configuration.md").read_text() == configuration_page()


def test_relative_files_are_looked_for_beside_the_configuration(tmp_path: Path) -> None:
    text = """\
apiVersion: gateway.tenantry.dev/v1alpha1
kind: GatewayConfiguration
listening: {certificates: [{certificate: tls/tls.crt, key: /k/tls.key}]}
clusters: [{name: a, kubeconfig: "a.config:/b.config", identity: {certificates: {ca: ca.crt}}}]
audit: {file: audit.log}
"""
    found = check_text(text, folder=tmp_path, now=None).settings

    assert found == GatewaySettings(
        listening=Listening(certificates=(Certificate(certificate=tmp_path / "tls/tls.crt", key=Path("/k/tls.key")),)),
        clusters=(
            ClusterSettings(
                name="a",
                kubeconfig=f"{tmp_path}/a.config:/b.config",
                identity=IdentitySettings(certificates=CertificateIdentity(ca=tmp_path / "ca.crt")),
            ),
        ),
        audit=AuditSettings(file=tmp_path / "audit.log"),
    )
