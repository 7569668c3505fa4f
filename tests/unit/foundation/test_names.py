"""Names, label keys and values are judged as the API server judges them."""

from __future__ import annotations

import pytest

from tenantry.foundation import names

LOWER = "must consist of lower case letters, digits or '-', and start and end with a letter or digit"
PREFIX = "prefix part must consist of lower case letters, digits, '-' or '.', and start and end with a letter or digit"
QUALIFIED = "name part must consist of letters, digits, '-', '_' or '.', and start and end with a letter or digit"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("team-a", None),
        ("0", None),
        ("a" * 63, None),
        ("a" * 64, "must be no more than 63 characters"),
        ("", LOWER),
        ("Team", LOWER),
        ("-a", LOWER),
        ("a-", LOWER),
        ("a.b", LOWER),
        ("a\n", LOWER),
    ],
)
def test_dns_labels(text: str, problem: str | None) -> None:
    assert names.dns_label_problem(text) == problem
    assert names.is_dns_label(text) is (problem is None)


@pytest.mark.parametrize(
    ("text", "valid"),
    [("a.b-c.0", True), ("a" * 253, True), ("a" * 254, False), ("a..b", False), ("a.-b", False), ("", False)],
)
def test_dns_subdomains(text: str, *, valid: bool) -> None:
    assert names.is_dns_subdomain(text) is valid


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("app", None),
        ("App_1.x", None),
        ("example.com/app", None),
        ("a" * 253 + "/" + "b" * 63, None),
        ("b" * 64, "name part must be no more than 63 characters"),
        ("", "name part must not be empty"),
        ("example.com/", "name part must not be empty"),
        ("-a", QUALIFIED),
        ("a b", QUALIFIED),
        (
            "/a",
            PREFIX,
        ),
        (
            "a/b/c",
            PREFIX,
        ),
    ],
)
def test_label_keys(text: str, problem: str | None) -> None:
    assert names.label_key_problem(text) == problem
    assert names.is_label_key(text) is (problem is None)


@pytest.mark.parametrize(
    ("text", "valid"),
    [("", True), ("a", True), ("A_b.c-d", True), ("a" * 64, False), ("a/b", False), ("_a", False), ("é", False)],
)
def test_label_values(text: str, *, valid: bool) -> None:
    assert names.is_label_value(text) is valid


def test_annotation_keys_may_have_a_prefix_in_capitals() -> None:
    assert names.is_annotation_key("Example.com/App")
    assert not names.is_label_key("Example.com/App")
    assert not names.is_annotation_key("example.com/")


@pytest.mark.parametrize(
    ("text", "valid"), [("system:node", True), ("", False), (".", False), ("..", False), ("a/b", False), ("%", False)]
)
def test_names_of_rbac_objects(text: str, *, valid: bool) -> None:
    assert names.is_path_segment(text) is valid
