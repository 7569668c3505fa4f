"""Templates put values in and never let a mistake pass as text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.foundation.templates import (
    TemplateError,
    fast_render,
    is_template,
    render,
    template_paths,
    template_problem,
)

CONTEXT = {
    "tenant": {
        "name": "oil",
        "metadata": {"name": "oil", "labels": {"cost-center": "42", "acme.io/env": "prod"}},
        "spec": {"data": {"size": 3, "ratio": 1.5, "on": True, "off": False, "none": None, "list": ["a"], "text": "x"}},
    },
    "namespace": {"metadata": {"name": "oil-dev"}},
}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("", ""),
        ("plain }} text {", "plain }} text {"),
        ("{{tenant.name}}", "oil"),
        ("{{ .tenant.metadata.name }}-x", "oil-x"),
        ("a{{namespace}}b{{ namespace }}c", "aoil-devboil-devc"),
        ("{{ .namespace.metadata.name }}", "oil-dev"),
        ("{{ tenant }}", "oil"),
        ("{{ .tenant.spec.data.off }}", "false"),
        ("{{ .tenant.metadata.labels.cost-center }}", "42"),
        ('{{ index .tenant.metadata.labels "acme.io/env" }}', "prod"),
        ('{{index tenant.metadata "labels"   "cost-center"}}', "42"),
        (
            "{{ .tenant.spec.data.size }} {{ .tenant.spec.data.ratio }} {{ .tenant.spec.data.on }}",
            "3 1.5 true",
        ),
    ],
)
def test_paths_are_replaced_by_what_they_lead_to(text: str, result: str) -> None:
    assert render(text, CONTEXT) == result


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{ .tenant.nope }}", "{{tenant.nope}} has no value: there is no 'nope'"),
        (
            '{{ index .tenant.metadata.labels "a.b/c" }}',
            "{{tenant.metadata.labels.a.b/c}} has no value: there is no 'a.b/c'",
        ),
        ("{{ nope }}", "{{nope}} has no value: there is no 'nope'"),
        ("{{ .tenant.name.first }}", "{{tenant.name.first}} has no value: there is no 'first'"),
        ("{{ .tenant.spec.data.none }}", "{{tenant.spec.data.none}} has no value that can be printed"),
        ("{{ .tenant.spec.data.list }}", "{{tenant.spec.data.list}} has no value that can be printed"),
        ("{{ .tenant.spec.data }}", "{{tenant.spec.data}} has no value that can be printed"),
    ],
)
def test_a_value_that_is_missing_or_has_no_text_is_an_error(text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        render(text, CONTEXT)

    assert str(caught.value) == message
    assert template_problem(text) is None, "the syntax is right"


@pytest.mark.parametrize(
    "text",
    [
        "{{",
        "{{ tenant.name",
        "a {{ tenant.name }} {{ c",
        "{{}}",
        "{{ . }}",
        '{{ "x" }}',
        "{{- tenant.name -}}",
        "{{ if .tenant }}x{{ end }}",
        "{{ .tenant | upper }}",
        "{{ $x }}",
        "{{ tenant..name }}",
        "{{ tenant.name. }}",
        "{{ {{ tenant.name }} }}",
        "{{/* comment */}}",
    ],
)
def test_every_other_action_is_refused(text: str) -> None:
    problem = template_problem(text)

    assert problem is not None
    with pytest.raises(TemplateError) as caught:
        render(text, CONTEXT)
    assert str(caught.value) == problem
    with pytest.raises(TemplateError):
        fast_render(text, {"tenant.name": "oil"})


def test_fast_templates_know_whole_paths_only() -> None:
    values = {"tenant.name": "oil", "namespace": "oil-dev"}

    assert fast_render("x-{{tenant.name}}-{{ namespace }}", values) == "x-oil-oil-dev"
    assert fast_render("no action", values) == "no action"
    with pytest.raises(TemplateError, match=r"\{\{tenant\}\} is unknown: there are namespace, tenant\.name"):
        fast_render("{{tenant}}", values)


def test_paths_can_be_asked_for_before_there_are_values() -> None:
    assert template_paths('{{ .a.b }} {{c}} {{ index .d "e.f" }}') == (("a", "b"), ("c",), ("d", "e.f"))
    assert template_paths("none") == ()
    assert is_template("{{ a }}")
    assert not is_template("{ a }")


@given(st.text().filter(lambda text: "{{" not in text), st.text())
def test_values_go_in_as_they_are(literal: str, value: str) -> None:
    """What a value contains is never an action itself."""
    prefix = literal.rstrip("{")

    assert fast_render(prefix + "{{ namespace }}" + literal, {"namespace": value}) == prefix + value + literal
