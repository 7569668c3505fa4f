"""Images: where they stand, which are refused, which pull policies they must choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tenantry.tenancy.request import Request
from tenantry.tenancy.rules.registries import check
from tenantry.tenancy.verdict import ALLOWED, Verdict
from tenantry.tenancy.views import ObjectContext

Ask = Callable[..., Request]
Make = Callable[..., ObjectContext]
Said = Callable[..., Verdict]

FORBIDDEN = "ForbiddenContainerRegistry"
HARBOR = {"exp": "^harbor/"}


def rule(action: str, *registries: Mapping[str, Any], targets: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"enforce": {"action": action, "workloads": {"targets": targets, "registries": registries}}}


def pod(*images: str, policy: str = "", **more: Any) -> dict[str, Any]:
    containers = [{"name": f"c{i}", "image": image, "imagePullPolicy": policy} for i, image in enumerate(images)]
    return {"spec": {"containers": containers, **more}}


def test_without_rules_all_images_pass(ask: Ask, context: Make) -> None:
    assert check(ask("Pod", pod("nginx")), context()) == ALLOWED


@pytest.mark.parametrize(
    ("rules", "image", "message"),
    [
        pytest.param([rule("deny", HARBOR)], "nginx", None, id="no-rule-matches"),
        pytest.param(
            [rule("deny", HARBOR)], "harbor/a", "is denied by namespace rule: exp: ^harbor/", id="a-deny-matches"
        ),
        pytest.param([rule("allow", HARBOR)], "harbor/a", None, id="an-allow-matches"),
        pytest.param(
            [rule("allow", HARBOR, {"exact": ["a", "b"], "exp": "c$", "negate": True})],
            "b",
            "is not allowed by namespace rule. Allowed registries: exp: ^harbor/; not exact: a, b; exp: c$",
            id="the-list-of-what-is-allowed-is-missed",
        ),
        pytest.param([rule("deny", HARBOR), rule("allow", {"exact": ["harbor/a"]})], "harbor/a", None, id="last-wins"),
        pytest.param(
            [rule("allow", {"exact": ["harbor/a"]}), rule("deny", HARBOR)],
            "harbor/a",
            "is denied by namespace rule: exp: ^harbor/",
            id="last-wins-the-other-way-round",
        ),
        pytest.param(
            [rule("", HARBOR)], "harbor/a", "is denied by namespace rule: exp: ^harbor/", id="deny-is-default"
        ),
        pytest.param(
            [rule("deny", {"exp": "arbo"})], "harbor/a", "is denied by namespace rule: exp: arbo", id="search"
        ),
    ],
)
def test_the_last_matching_block_decides(
    ask: Ask, context: Make, refused: Said, rules: list[Any], image: str, message: str | None
) -> None:
    expected = ALLOWED if message is None else refused(FORBIDDEN, f'registry "{image}" at containers[0] {message}')
    assert check(ask("Pod", pod(image)), context(*rules)) == expected


def test_an_audit_tells_and_does_not_decide(ask: Ask, context: Make, audited: Said, refused: Said) -> None:
    told = 'registry "harbor/a" at containers[0] matched audit registry rule: exp: ^harbor/'
    assert check(ask("Pod", pod("harbor/a")), context(rule("audit", HARBOR))) == audited(told)
    # A refused request gets its audits too.
    both = context(rule("deny", {"exact": ["harbor/a"]}), rule("audit", HARBOR))
    refusal = 'registry "harbor/a" at containers[0] is denied by namespace rule: exact: harbor/a'
    assert check(ask("Pod", pod("harbor/a")), both) == refused(FORBIDDEN, refusal, told)


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"initContainers": [{"image": "ok/a"}, {"image": "bad/a"}]}, "initContainers[1]"),
        ({"ephemeralContainers": [{"image": "bad/a"}]}, "ephemeralContainers[0]"),
        ({"volumes": [{"name": "v"}, {"name": "w", "image": {"reference": "bad/a"}}]}, "volumes[1](w)"),
    ],
)
def test_every_place_of_an_image_is_looked_at(
    ask: Ask, context: Make, refused: Said, spec: dict[str, Any], path: str
) -> None:
    verdict = check(ask("Pod", pod("ok/a", **spec)), context(rule("allow", {"exp": "^ok/"})))
    text = f'registry "bad/a" at {path} is not allowed by namespace rule. Allowed registries: exp: ^ok/'
    assert verdict == refused(FORBIDDEN, text)


@pytest.mark.parametrize(
    ("targets", "refuses"),
    [
        ((), True),
        (("pod",), True),
        (("pod/containers",), True),
        (("pod/volumes", "pod/containers"), True),
        (("pod/initcontainers", "pod/ephemeralcontainers", "pod/volumes"), False),
    ],
)
def test_targets_narrow_where_a_rule_looks(ask: Ask, context: Make, targets: tuple[str, ...], refuses: bool) -> None:  # noqa: FBT001
    verdict = check(ask("Pod", pod("bad/a")), context(rule("deny", {"exp": "^bad/"}, targets=targets)))
    assert (verdict.denial is not None) is refuses


def test_a_list_for_one_target_is_none_for_another(ask: Ask, context: Make) -> None:
    allow_init = rule("allow", HARBOR, targets=("pod/initcontainers",))
    assert check(ask("Pod", pod("nginx", initContainers=[{"image": "harbor/a"}])), context(allow_init)) == ALLOWED


def test_an_image_must_be_named_where_images_are_ruled(ask: Ask, context: Make, refused: Said) -> None:
    missing = 'registry "" at containers[0] is not allowed by namespace rule: an image reference is required'
    assert check(ask("Pod", pod("")), context(rule("deny", HARBOR))) == refused(FORBIDDEN, missing)
    assert check(ask("Pod", pod("")), context(rule("audit", HARBOR))) == ALLOWED


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("Never", None),
        (
            "IfNotPresent",
            "uses pullPolicy=IfNotPresent, which is not allowed by namespace rule (allowed: Never, Always)",
        ),
        ("", "must explicitly set pullPolicy by namespace rule (allowed: Never, Always)"),
    ],
)
def test_an_allowed_image_chooses_a_pull_policy_of_the_rule(
    ask: Ask, context: Make, refused: Said, policy: str, message: str | None
) -> None:
    rules = context(rule("allow", {**HARBOR, "policy": ["Never", "Always"]}))
    reason, path = "ForbiddenPullPolicy", 'registry "harbor/a" at containers[0]'
    expected = ALLOWED if message is None else refused(reason, f"{path} {message}")
    assert check(ask("Pod", pod("harbor/a", policy=policy)), rules) == expected


def test_the_pull_policy_of_an_image_volume_counts(ask: Ask, context: Make, refused: Said) -> None:
    volumes = [{"name": "v", "image": {"reference": "harbor/a", "pullPolicy": "Always"}}]
    verdict = check(ask("Pod", pod(volumes=volumes)), context(rule("allow", {**HARBOR, "policy": ["Never"]})))
    text = 'registry "harbor/a" at volumes[0](v) uses pullPolicy=Always, which is not allowed by namespace rule '
    assert verdict == refused("ForbiddenPullPolicy", text + "(allowed: Never)")


class TestUpdates:
    """What is stored was judged when it came; what changes is judged."""

    def test_a_pod_that_was_there_before_the_rule_can_lose_its_finalizer(self, ask: Ask, context: Make) -> None:
        old = {**pod("bad/a"), "metadata": {"finalizers": ["batch.kubernetes.io/job-tracking"]}}
        assert check(ask("Pod", pod("bad/a"), old=old), context(rule("allow", HARBOR))) == ALLOWED

    def test_a_changed_image_is_judged(self, ask: Ask, context: Make) -> None:
        verdict = check(ask("Pod", pod("harbor/a", "bad/a"), old=pod("harbor/a", "x")), context(rule("allow", HARBOR)))
        assert verdict.denial is not None

    def test_an_ephemeral_container_is_judged_through_its_subresource(
        self, ask: Ask, context: Make, refused: Said
    ) -> None:
        new = pod("old/a", ephemeralContainers=[{"name": "debug", "image": "bad/a"}])
        request = ask("Pod", new, old=pod("old/a"), subresource="ephemeralcontainers")
        text = 'registry "bad/a" at ephemeralContainers[0] is not allowed by namespace rule. '
        expected = refused(FORBIDDEN, text + "Allowed registries: exp: ^harbor/")
        assert check(request, context(rule("allow", HARBOR))) == expected

    def test_a_status_and_a_deletion_are_not_judged(self, ask: Ask, context: Make) -> None:
        rules = context(rule("allow", HARBOR))
        assert check(ask("Pod", pod("bad/a"), old=pod("x"), subresource="status"), rules) == ALLOWED
        assert check(ask("Pod", None, old=pod("bad/a")), rules) == ALLOWED
