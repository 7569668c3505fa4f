"""Names of users, owners and RoleBinding subjects (TN-5, CN-1, CN-2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tenantry.api.shared import AdditionalRoleBinding, UserSpec
from tenantry.foundation.names import dns_label_problem, dns_subdomain_problem
from tenantry.tenancy.identity import account_name


def user_problem(path: str, user: UserSpec) -> str | None:
    """Return what is wrong with the name of a user, an owner or an administrator at *path*, or None."""
    if user.kind != "ServiceAccount":
        return None
    account = account_name(user.name)
    if account is None:
        return (
            f"{path}.name: {user.name!r} is no ServiceAccount: "
            "write system:serviceaccount:<namespace>:<name of the account>"
        )
    problem = dns_label_problem(account.namespace)
    if problem:
        return f"{path}.name: the namespace of {user.name!r} {problem}"
    problem = dns_subdomain_problem(account.name)
    return f"{path}.name: the account of {user.name!r} {problem}" if problem else None


def user_problems(path: str, users: Iterable[UserSpec]) -> Iterator[str]:
    """Yield what is wrong with each of *users*, the list at *path*."""
    for index, user in enumerate(users):
        problem = user_problem(f"{path}[{index}]", user)
        if problem is not None:
            yield problem


def binding_problems(path: str, bindings: Iterable[AdditionalRoleBinding]) -> Iterator[str]:
    """Yield what is wrong with the ServiceAccounts among the subjects of *bindings*, the list at *path*."""
    for index, binding in enumerate(bindings):
        for number, subject in enumerate(binding.subjects):
            if subject.kind != "ServiceAccount":
                continue
            problem = dns_subdomain_problem(subject.name)
            if problem:
                yield f"{path}[{index}].subjects[{number}].name: {subject.name!r} {problem}"
            problem = dns_label_problem(subject.namespace) if subject.namespace else None
            if problem:
                yield f"{path}[{index}].subjects[{number}].namespace: {subject.namespace!r} {problem}"
