"""What a CapsuleConfiguration may say (CN-1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tenantry.api.configuration import (
    CapsuleConfiguration,
    CapsuleConfigurationSpec,
    Impersonation,
    MutatingAdmission,
    NodeMetadata,
    ValidatingAdmission,
)
from tenantry.api.shared import ForbiddenList
from tenantry.foundation.expressions import expression_problem
from tenantry.tenancy.request import Operation, Request
from tenantry.tenancy.validation.subjects import user_problems
from tenantry.tenancy.verdict import ALLOWED, Denial, Verdict

INVALID: Final = "AdmissionFailed"


def check(request: Request) -> Verdict:
    """Judge a CREATE or UPDATE of a CapsuleConfiguration, whoever asks.

    Raises:
        DecodeError: An object is no CapsuleConfiguration.
    """
    if request.subresource or request.operation not in {Operation.CREATE, Operation.UPDATE}:
        return ALLOWED
    old, new = request.old(CapsuleConfiguration), request.new(CapsuleConfiguration)
    problems = () if old is not None and old.spec == new.spec else tuple(configuration_problems(new.spec))
    if problems:
        name = new.metadata.name
        return Verdict(denial=Denial(reason=INVALID, message=f"CapsuleConfiguration {name!r}: {'; '.join(problems)}"))
    return Verdict(warnings=tuple(_warnings(new.spec)))


def configuration_problems(spec: CapsuleConfigurationSpec) -> Iterator[str]:
    """Yield what is wrong with *spec*, each with the path of the field."""
    yield from _expression("spec.protectedNamespaceRegex", spec.protected_namespace_regex)
    nodes = spec.node_metadata or NodeMetadata()  # D-4: it may be absent.
    yield from _forbidden("spec.nodeMetadata.forbiddenLabels", nodes.forbidden_labels)
    yield from _forbidden("spec.nodeMetadata.forbiddenAnnotations", nodes.forbidden_annotations)
    if spec.admission is not None:
        yield from _client("spec.admission.mutating", spec.admission.mutating)
        yield from _client("spec.admission.validating", spec.admission.validating)
    yield from _impersonation(spec.impersonation or Impersonation())
    yield from user_problems("spec.users", spec.users)
    yield from user_problems("spec.administrators", spec.administrators)


def _forbidden(path: str, forbidden: ForbiddenList | None) -> Iterator[str]:
    if forbidden is not None:
        yield from _expression(f"{path}.regex", forbidden.denied_regex)


def _expression(path: str, pattern: str) -> Iterator[str]:
    problem = expression_problem(pattern)
    if problem is not None:
        yield f"{path}: {pattern!r} is not a valid regular expression: {problem}"


def _client(path: str, admission: MutatingAdmission | ValidatingAdmission | None) -> Iterator[str]:
    if admission is None:
        return
    client = admission.client
    if client.url and client.service is not None:
        yield f"{path}.client: url {client.url!r} and service {client.service.name!r} exclude each other: name one"
    elif not client.url and client.service is None and admission.webhooks:
        # Without entries of its own, ours are rendered, which find the server by themselves.
        yield f"{path}.client: names neither url nor service: name one"


def _impersonation(impersonation: Impersonation) -> Iterator[str]:
    path = "spec.impersonation.globalDefaultServiceAccount"
    account = impersonation.global_default_service_account
    namespace = impersonation.global_default_service_account_namespace
    if account and not namespace:
        yield f"{path}Namespace: must be set, as {path} is {account!r}"
    if namespace and not account:
        yield f"{path}: must be set, as {path}Namespace is {namespace!r}"


def _warnings(spec: CapsuleConfigurationSpec) -> Iterator[str]:
    if spec.user_names:
        yield "spec.userNames is deprecated: use spec.users with kind User instead"
    if spec.user_groups:
        yield "spec.userGroups is deprecated: use spec.users with kind Group instead"
