"""Self reviews as bytes: JSON and protobuf, in the type that the client sent and the one it accepts.

Field numbers: ``generated.proto`` of k8s.io/api/authorization/v1.
"""

from __future__ import annotations

from typing import Any, Final, Literal, TypeVar

from tenantry.access.reviews import (
    API_VERSION,
    AccessReviewSpec,
    AccessReviewStatus,
    NonResourceAttributes,
    ResourceAttributes,
    SelectorAttributes,
    SelectorRequirement,
)
from tenantry.access.self_reviews import ResourceRule
from tenantry.foundation.codec import DecodeError, Model, decode, encode, to_plain
from tenantry.gateway.verdicts.wire import (
    WireError,
    bytes_field,
    enveloped,
    every,
    last,
    number_field,
    opened,
    text,
    text_field,
    text_fields,
    texts,
)

T = TypeVar("T")
Format = Literal["json", "protobuf"]

CONTENT_TYPES: Final[dict[Format, str]] = {
    "json": "application/json",
    "protobuf": "application/vnd.kubernetes.protobuf",
}
ACCESS: Final = "SelfSubjectAccessReview"
RULES: Final = "SelfSubjectRulesReview"
_TEXTS: Final = {
    1: "namespace",
    2: "verb",
    3: "group",
    4: "version",
    5: "resource",
    6: "subresource",
    7: "name",
}


class BodyError(ValueError):
    """The body is no review of the kind that the path says."""


class RulesReviewSpec(Model):
    """SelfSubjectRulesReviewSpec."""

    namespace: str = ""


class RulesStatus(Model):
    """SubjectRulesReviewStatus."""

    resource_rules: tuple[ResourceRule, ...] | None = None
    non_resource_rules: tuple[dict[str, tuple[str, ...] | None], ...] | None = None
    """As they came: ``nonResourceURLs`` fits no rule of spelling."""
    incomplete: bool = False
    evaluation_error: str = ""


class _Access(Model):
    kind: str = ""
    spec: AccessReviewSpec = AccessReviewSpec()


class _Rules(Model):
    kind: str = ""
    spec: RulesReviewSpec = RulesReviewSpec()


def accepted(accept: str) -> Format | None:
    """Return the first type of *accept*, weights aside, that is written here; None for none."""
    for entry in accept.split(",") if accept.strip() else ["*/*"]:
        media, *parameters = (part.strip().lower() for part in entry.split(";"))
        if any(parameter.startswith("as=") for parameter in parameters) or "q=0" in parameters:
            continue  # A table of a review says nothing; clients name what else they take.
        if media == CONTENT_TYPES["protobuf"]:
            return "protobuf"
        if media in {"application/json", "application/*", "*/*"}:
            return "json"
    return None


def format_of(content_type: str) -> Format | None:
    """Return what a body of *content_type* is; None for what is not read here."""
    media = content_type.partition(";")[0].strip().lower()
    if media == CONTENT_TYPES["protobuf"]:
        return "protobuf"
    return "json" if media in {"", "application/json"} else None


def access_review(body: bytes, form: Format) -> AccessReviewSpec:
    """Return what a SelfSubjectAccessReview asks; BodyError where it is none."""
    if form == "json":
        review = _json(body, _Access)
        return _checked(review.kind, ACCESS, review.spec)
    try:
        kind, message = opened(body)
        spec = last(message, 2) or b""
        resource, other = last(spec, 1), last(spec, 2)
        return _checked(
            kind,
            ACCESS,
            AccessReviewSpec(
                resource_attributes=None if resource is None else _attributes(resource),
                non_resource_attributes=None
                if other is None
                else NonResourceAttributes(path=text(other, 1), verb=text(other, 2)),
            ),
        )
    except WireError as error:
        raise BodyError(str(error)) from error


def rules_review(body: bytes, form: Format) -> RulesReviewSpec:
    """Return what a SelfSubjectRulesReview asks; BodyError where it is none."""
    if form == "json":
        review = _json(body, _Rules)
        return _checked(review.kind, RULES, review.spec)
    try:
        kind, message = opened(body)
        return _checked(kind, RULES, RulesReviewSpec(namespace=text(last(message, 2) or b"", 1)))
    except WireError as error:
        raise BodyError(str(error)) from error


def access_answer(spec: AccessReviewSpec, status: AccessReviewStatus, form: Format) -> bytes:
    """Return an answered SelfSubjectAccessReview."""
    if form == "json":
        # "allowed" stands there even where it is false.
        answer = {"allowed": status.allowed, **to_plain(status)}
        return _document(ACCESS, {"spec": to_plain(spec), "status": answer})
    message = number_field(1, int(status.allowed))
    message += text_field(2, status.reason) + text_field(3, status.evaluation_error)
    if status.denied:
        message += number_field(4, 1)
    return enveloped(API_VERSION, ACCESS, bytes_field(1, b"") + bytes_field(2, _spec(spec)) + bytes_field(3, message))


def rules_answer(status: RulesStatus, form: Format) -> bytes:
    """Return an answered SelfSubjectRulesReview; its spec is empty, as the API server's is."""
    if form == "json":
        answer: dict[str, Any] = {
            "resourceRules": to_plain(status.resource_rules or ()),
            "nonResourceRules": to_plain(status.non_resource_rules or ()),
            "incomplete": status.incomplete,
        }
        if status.evaluation_error:
            answer["evaluationError"] = status.evaluation_error
        return _document(RULES, {"spec": {}, "status": answer})
    message = b"".join(bytes_field(1, _rule(rule)) for rule in status.resource_rules or ())
    for rule in status.non_resource_rules or ():
        urls = text_fields(2, rule.get("nonResourceURLs") or ())
        message += bytes_field(2, text_fields(1, rule.get("verbs") or ()) + urls)
    message += number_field(3, int(status.incomplete)) + text_field(4, status.evaluation_error)
    return enveloped(API_VERSION, RULES, bytes_field(1, b"") + bytes_field(2, b"") + bytes_field(3, message))


def _json(body: bytes, kind: type[T]) -> T:
    try:
        return decode(body, kind)
    except DecodeError as error:
        raise BodyError(f"the body is not what it should be: {error}") from error


def _checked(kind: str, expected: str, spec: T) -> T:
    if kind not in {"", expected}:
        raise BodyError(f"the body is a {kind[:64]}, the path is for a {expected}")
    return spec


def _attributes(message: bytes) -> ResourceAttributes:
    field_selector, label_selector = last(message, 8), last(message, 9)
    return ResourceAttributes(
        **{name: text(message, number) for number, name in _TEXTS.items()},
        field_selector=None if field_selector is None else _selector(field_selector),
        label_selector=None if label_selector is None else _selector(label_selector),
    )


def _selector(message: bytes) -> SelectorAttributes:
    requirements = tuple(
        SelectorRequirement(key=text(one, 1), operator=text(one, 2), values=texts(one, 3) or None)
        for one in every(message, 2)
    )
    return SelectorAttributes(raw_selector=text(message, 1), requirements=requirements or None)


def _spec(spec: AccessReviewSpec) -> bytes:
    message = b""
    if (asked := spec.resource_attributes) is not None:
        attributes = b"".join(text_field(number, getattr(asked, name)) for number, name in _TEXTS.items())
        for number, selector in ((8, asked.field_selector), (9, asked.label_selector)):
            if selector is not None:
                attributes += bytes_field(number, _selector_message(selector))
        message += bytes_field(1, attributes)
    if (other := spec.non_resource_attributes) is not None:
        message += bytes_field(2, text_field(1, other.path) + text_field(2, other.verb))
    return message


def _selector_message(selector: SelectorAttributes) -> bytes:
    message = text_field(1, selector.raw_selector)
    for one in selector.requirements or ():
        values = text_fields(3, one.values or ())
        message += bytes_field(2, text_field(1, one.key) + text_field(2, one.operator) + values)
    return message


def _rule(rule: ResourceRule) -> bytes:
    parts = (rule.verbs, rule.api_groups or (), rule.resources or (), rule.resource_names or ())
    return b"".join(text_fields(number, values) for number, values in enumerate(parts, start=1))


def _document(kind: str, content: dict[str, Any]) -> bytes:
    return encode({"kind": kind, "apiVersion": API_VERSION, "metadata": {}, **content}) + b"\n"
