"""Clients that act as others, and names that nobody may bring along: invariants 5 to 8."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

import pytest
from door import Asked, Door, Header
from recording_upstream import Arrived, response

PODS: Final = "/api/v1/namespaces/default/pods"
SAR: Final = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
POD_NAME: Final = "authentication.kubernetes.io/pod-name"
REVIEWED: Final = ("alice", "a, b", "pod-1", "77")
WANTED: Final[tuple[Header, ...]] = (
    ("Impersonate-User", "alice"),
    ("Impersonate-Group", "devs"),
    ("impersonate-group", "a, b"),
    ("Impersonate-Uid", "77"),
    (f"Impersonate-Extra-{POD_NAME.replace('/', '%2F')}", "pod-1"),
)


def allowing(name: Callable[[str], bool]) -> Callable[[Arrived], bytes | None]:
    """Return the answer to access reviews, by the name of what is asked about."""

    def answer(arrived: Arrived) -> bytes | None:
        if arrived.path != SAR or "resourceAttributes" not in arrived.json["spec"]:
            return None
        asked = arrived.json["spec"]["resourceAttributes"]
        if asked["verb"] != "impersonate":
            return None
        return response(201, {"kind": "SubjectAccessReview", "status": {"allowed": name(asked.get("name", ""))}})

    return answer


def reviews_of(arrived: list[Arrived], user: str) -> list[dict[str, Any]]:
    """Return what was asked about *user*, sorted."""
    specs = [each.json["spec"] for each in arrived if each.path == SAR]
    return sorted((spec for spec in specs if spec["user"] == user), key=json.dumps)


def attributes(resource: str, name: str, *, group: str = "", **more: str) -> dict[str, str]:
    given = {"verb": "impersonate", "group": group, "version": "v1", "resource": resource, "name": name, **more}
    return {key: value for key, value in given.items() if value}


def of_authentication(resource: str, name: str, **more: str) -> dict[str, str]:
    return attributes(resource, name, group="authentication.k8s.io", **more)


@pytest.mark.parametrize("target", [PODS, "/api/v1/namespaces", "/version"])
async def test_invariant_05_acting_as_others_is_off_by_default(door: Door, target: str) -> None:
    """Even the cluster's administrator is told so, by name, and nothing is forwarded without the header."""
    asked = await door.ask(
        target, ("Impersonate-User", "alice"), token=door.issuer.token("rosa", groups=["admins"]), host="other.test"
    )

    assert asked.refusal == (403, "Forbidden")
    assert asked.json["message"] == "acting as somebody else is turned off in this gateway"


async def test_invariant_05_each_principal_is_reviewed_once_as_the_real_caller(
    door: Door, unique: Callable[[str], str]
) -> None:
    """One review a principal, and what arrives is byte for byte what was reviewed."""
    caller = unique("caller")
    with door.upstream.answering(allowing(lambda _: True)), door.upstream.recording() as arrived:
        asked = await door.ask(PODS, *WANTED, token=door.issuer.token(caller, groups=["ops", "o p"]))

    specs = reviews_of(arrived, caller)
    about = sorted((spec["resourceAttributes"] for spec in specs), key=json.dumps)
    assert about == sorted(
        [
            attributes("users", "alice"),
            attributes("groups", "devs"),
            attributes("groups", "a, b"),
            of_authentication("uids", "77"),
            of_authentication("userextras", "pod-1", subresource=POD_NAME),
        ],
        key=json.dumps,
    )
    assert asked.headers == sorted(
        [
            ("impersonate-user", "alice"),
            ("impersonate-group", "devs"),
            ("impersonate-group", "a, b"),
            ("impersonate-uid", "77"),
            ("impersonate-extra-authentication.kubernetes.io%2fpod-name", "pod-1"),
            ("impersonate-extra-tenantry.dev%2foriginal-user", caller),
            ("x-forwarded-proto", "https"),
        ]
    )


async def test_invariant_06_reviews_have_the_group_that_the_api_server_adds(
    door: Door, unique: Callable[[str], str]
) -> None:
    """A grant to system:authenticated counts for the real caller; a ServiceAccount has its own groups too."""
    caller = unique("caller")
    with door.upstream.answering(allowing(lambda _: True)), door.upstream.recording() as arrived:
        await door.ask(PODS, ("Impersonate-User", "alice"), token=door.issuer.token(caller, groups=["ops"]))

    assert [sorted(spec["groups"]) for spec in reviews_of(arrived, caller)] == [["ops", "system:authenticated"]]


@pytest.mark.parametrize("denied", REVIEWED)
async def test_invariant_05_one_denial_is_enough(door: Door, unique: Callable[[str], str], denied: str) -> None:
    with door.upstream.answering(allowing(lambda name: name != denied)):
        asked = await door.ask(PODS, *WANTED, token=door.issuer.token(unique("caller")))

    assert asked.refusal == (403, "Forbidden")
    assert repr(denied) in asked.json["message"]


async def test_invariant_05_an_account_is_reviewed_as_one(door: Door, unique: Callable[[str], str]) -> None:
    """As the API server does it: serviceaccounts, with the groups that it has by itself."""
    caller = unique("caller")
    account = "system:serviceaccount:team:robot"
    with door.upstream.answering(allowing(lambda _: True)), door.upstream.recording() as arrived:
        asked = await door.ask(PODS, ("Impersonate-User", account), token=door.issuer.token(caller))

    about = [spec["resourceAttributes"] for spec in reviews_of(arrived, caller)]
    assert about == [attributes("serviceaccounts", "robot", namespace="team")]
    assert asked.arrived[0].values("impersonate-user") == [account]
    assert asked.arrived[0].values("impersonate-group") == [
        "system:serviceaccounts",
        "system:serviceaccounts:team",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        (("Impersonate-Group", "devs"),),
        (("Impersonate-Uid", "7"),),
        (("Impersonate-User", ""),),
        (("Impersonate-User", "alice"), ("Impersonate-User", "bob")),
        (("Impersonate-User", "alice"), ("Impersonate-Group", "")),
        (("Impersonate-User", "alice"), ("Impersonate-Scopes", "x")),
        (("Impersonate-User", "alice"), ("Impersonate-Group", "x" * 513)),
        (("Impersonate-User", "alice"), ("Impersonate-Group", "a\x85b")),
        (("Impersonate-User", "alice"), ("Impersonate-Uid", "1"), ("Impersonate-Uid", "2")),
        (("Impersonate-User", "alice"), ("Impersonate-Extra-B%41d!", "x")),
    ],
)
async def test_invariant_05_what_makes_no_sense_is_refused(door: Door, headers: tuple[Header, ...]) -> None:
    """Before anything is reviewed: nothing is guessed, and no header is left out."""
    asked = await door.ask(PODS, *headers, token=door.issuer.token("rosa"))

    assert asked.refusal in {(400, "BadRequest"), (403, "Forbidden")}


SYSTEM_NAMES: Final = (
    "system:masters",
    "system:nodes",
    "system:kube-controller-manager",
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
    "system:anything",
)


@pytest.mark.parametrize("name", SYSTEM_NAMES)
async def test_invariant_07_no_issuer_gives_a_name_of_the_clusters_own(door: Door, name: str) -> None:
    for claims in ({"groups": ["devs", name]}, {"sub": name}):
        asked = await door.ask(PODS, token=door.issuer.token(**claims))
        assert asked.refusal == (403, "Forbidden")


async def test_invariant_07_no_issuer_gives_the_name_of_an_account_or_a_node(door: Door) -> None:
    for user in ("system:serviceaccount:kube-system:default", "system:node:one", "system:admin"):
        assert (await door.ask(PODS, token=door.issuer.token(user))).refusal == (403, "Forbidden")


@pytest.mark.parametrize("group", SYSTEM_NAMES)
async def test_invariant_07_no_certificate_gives_one(door: Door, group: str) -> None:
    """The administrator's own certificate of system:masters is no way through the gateway."""
    asked = await door.ask(PODS, tls=door.certificate("root", [group]))

    assert asked.refusal == (403, "Forbidden")


@pytest.mark.parametrize("name", SYSTEM_NAMES)
async def test_invariant_07_nobody_acts_as_one(door: Door, name: str) -> None:
    """Not even where the API server says that the caller may."""
    with door.upstream.answering(allowing(lambda _: True)):
        for headers in (
            (("Impersonate-User", "alice"), ("Impersonate-Group", name)),
            (("Impersonate-User", name),),
        ):
            asked = await door.ask(PODS, *headers, token=door.issuer.token("rosa"))
            assert asked.refusal == (403, "Forbidden")


@pytest.mark.parametrize("group", ["tenantry:gateway:nodes:delete", "tenantry:gateway:"])
async def test_invariant_07_nobody_brings_the_gateways_own_groups(door: Door, group: str) -> None:
    """They open writes on visible objects for one request at a time."""
    assert (await door.ask(PODS, token=door.issuer.token(groups=[group]))).refusal == (403, "Forbidden")
    assert (await door.ask(PODS, tls=door.certificate("eve", [group]))).refusal == (403, "Forbidden")
    with door.upstream.answering(allowing(lambda _: True)):
        headers = (("Impersonate-User", "alice"), ("Impersonate-Group", group))
        asked = await door.ask(PODS, *headers, token=door.issuer.token("rosa"))
    assert asked.refusal == (403, "Forbidden")


@pytest.mark.parametrize(
    "key",
    [
        "tenantry.dev/original-user",
        "tenantry.dev/anything",
        "scopes",
        "scopes.authorization.openshift.io",
        "authentication.kubernetes.io/Pod-Name!",
        "a b",
        "ünï",
    ],
)
async def test_invariant_08_extras_are_of_known_keys(door: Door, key: str) -> None:
    encoded = "".join(f"%{byte:02x}" for byte in key.encode())
    with door.upstream.answering(allowing(lambda _: True)):
        asked = await door.ask(
            PODS,
            ("Impersonate-User", "alice"),
            (f"Impersonate-Extra-{encoded}", "x"),
            token=door.issuer.token("rosa"),
        )

    assert asked.refusal in {(400, "BadRequest"), (403, "Forbidden")}


async def test_invariant_08_extras_of_other_systems_stay_behind(door: Door, unique: Callable[[str], str]) -> None:
    """What a token review says beyond the known keys is not passed on (GHSA-mjcp-rj3c-36fr)."""
    user = {
        "username": unique("reviewed"),
        "groups": ["devs", "system:authenticated"],
        "uid": "u-1",
        "extra": {POD_NAME: ["pod-1"], "github.com/token": ["s3cret"], "tenantry.dev/original-user": ["root"]},
    }
    review = response(201, {"kind": "TokenReview", "status": {"authenticated": True, "user": user}})
    with door.upstream.answering(lambda each: review if each.path.endswith("/tokenreviews") else None):
        asked = await door.ask(PODS, token=unique("token"))

    assert asked.headers == [
        ("impersonate-extra-authentication.kubernetes.io%2fpod-name", "pod-1"),
        ("impersonate-group", "devs"),
        ("impersonate-uid", "u-1"),
        ("impersonate-user", user["username"]),
        ("x-forwarded-proto", "https"),
    ]


async def test_invariant_08_the_real_caller_is_in_the_api_servers_hands(
    door: Door, unique: Callable[[str], str]
) -> None:
    """R-025, and in our own record: who acted, and as whom."""
    caller = unique("caller")
    with door.upstream.answering(allowing(lambda _: True)):
        asked: Asked = await door.ask(PODS, ("Impersonate-User", "alice"), token=door.issuer.token(caller))

    extras = {unquote(name): value for name, value in asked.headers if name.startswith("impersonate-extra-")}
    assert extras == {"impersonate-extra-tenantry.dev/original-user": caller}
    record = await door.record(asked)
    assert (record["user"]["name"], record["user"]["realName"]) == ("alice", caller)
