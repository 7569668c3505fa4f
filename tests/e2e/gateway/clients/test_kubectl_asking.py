"""What kubectl is told about oneself: ``auth can-i``, ``auth whoami``, ``--as``; and ``top`` and ``describe node``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from metrics_api import MetricsApi
from teams import Team, made, manifest

from tenantry.testing.gateway import Gateway
from tenantry.testing.world import World


@pytest_asyncio.fixture(loop_scope="session")
async def team(world: World, gateway: Gateway) -> AsyncIterator[Team]:
    """A team with one namespace."""
    yield await made(world, gateway)


async def test_single_questions_are_answered_as_requests_are(team: Team) -> None:
    """Invariant 31: yes for the lists that the gateway answers, RBAC's own answer for everything else."""
    answers = {
        "list namespaces": "yes",
        "watch namespaces": "yes",
        f"get namespaces/{team.namespace}": "yes",
        "delete namespaces": "no",
        "list pods -A": "yes",
        "watch pods -A": "yes",
        "delete pods -A": "no",
        "create pods -A": "no",
        "list deployments.apps -A": "yes",
        "list tenants.capsule.clastix.io": "yes",
        "delete tenants.capsule.clastix.io": "no",
        "list nodes": "yes",
        "patch nodes": "no",
        f"create pods -n {team.namespace}": "yes",
        f"create pods --subresource=exec -n {team.namespace}": "yes",
        "create pods -n default": "no",
        "* * -A": "no",
    }
    said = {each: (await team.kubectl("auth", "can-i", *each.split(), check=False)).stdout.strip() for each in answers}

    assert said == answers


async def test_the_list_of_rights_names_the_lists_that_are_answered(team: Team) -> None:
    """8.5: the API server's own rules, and the namespaces' list beside them."""
    listed = (await team.kubectl("auth", "can-i", "--list", "-n", team.namespace)).stdout
    direct = await team.gateway.platform.kubectl(
        "auth", "can-i", "--list", "-n", team.namespace, user=team.gateway.platform.user(team.owner)
    )
    told, whole = _rights(listed), _rights(direct.stdout)

    assert {key: verbs - told.get(key, set()) for key, verbs in whole.items()} == {key: set() for key in whole}
    assert "list" in {verb for key, verbs in told.items() if key.startswith("namespaces ") for verb in verbs}


async def test_whoami_is_the_user(team: Team) -> None:
    """The API server knows the user by the own name and groups, and nothing of the gateway."""
    said = json.loads((await team.kubectl("auth", "whoami", "-o", "json")).stdout)["status"]["userInfo"]

    assert (said["username"], said["groups"]) == (team.owner, ["projectcapsule.dev", "system:authenticated"])
    assert "capsule-proxy" not in json.dumps(said)


async def test_acting_as_somebody_is_being_somebody(team: Team, gateway: Gateway, world: World) -> None:
    """R-021: with the right to, ``--as`` sees what the other one sees, and is known to be oneself behind it."""
    helper = world.unique("helper")
    await _may_impersonate(world, helper, team.owner)
    kubeconfig = gateway.user(helper, ("support",))
    acting = ("--as", team.owner, "--as-group", "projectcapsule.dev")

    async def seen() -> bool:
        listed = await gateway.kubectl("get", "namespaces", "-o", "name", *acting, user=kubeconfig, check=False)
        return listed.stdout == f"namespace/{team.namespace}\n"

    await world.eventually(seen)
    known = json.loads(
        (await gateway.kubectl("auth", "whoami", "-o", "json", *acting, "--as-uid=42", user=kubeconfig)).stdout
    )["status"]["userInfo"]
    pods = await gateway.kubectl("get", "configmaps", "-A", "-o", "name", *acting, user=kubeconfig)

    assert (known["username"], known["uid"]) == (team.owner, "42")
    assert known["groups"] == ["projectcapsule.dev", "system:authenticated"]
    assert known["extra"]["tenantry.dev/original-user"] == [helper]
    assert pods.stdout == "configmap/kube-root-ca.crt\n"
    await _forget(world, helper)


@pytest.mark.parametrize(
    ("acting", "refused"),
    [
        (("--as", "somebody-else"), "users"),
        (("--as", "OWNER", "--as-group", "others"), "groups"),
        (("--as", "OWNER", "--as-uid", "43"), "uids"),
        (("--as", "OWNER", "--as-user-extra", "scopes=all"), "the extra 'scopes' is not forwarded"),
        (("--as", "system:serviceaccount:kube-system:namespace-controller"), "serviceaccounts"),
        (("--as", "OWNER", "--as-group", "system:masters"), "system:masters"),
    ],
    ids=["user", "group", "uid", "extra", "service account", "masters"],
)
async def test_each_part_of_acting_needs_its_right(
    team: Team, gateway: Gateway, world: World, acting: tuple[str, ...], refused: str
) -> None:
    """Invariants 5 and 7: one review a user, group, uid and extra; a name of the cluster's own never."""
    helper = world.unique("helper")
    await _may_impersonate(world, helper, team.owner)
    words = [team.owner if word == "OWNER" else word for word in acting]
    # Not a list by name: refused discovery, which kubectl needs for one, loses the reason in kubectl.
    listed = ("get", "--raw", "/api/v1/namespaces")
    answer = await gateway.kubectl(*listed, *words, user=gateway.user(helper, ("support",)), check=False)
    await _forget(world, helper)

    assert (answer.code, answer.stdout) == (1, "")
    assert answer.stderr.startswith("Error from server (Forbidden):")
    assert refused in answer.stderr


async def test_top_shows_own_pods_and_visible_nodes(
    team: Team, gateway: Gateway, world: World, metrics_api: MetricsApi
) -> None:
    """8.3.3: figures of an aggregated API, read live, then filtered by the nodes and namespaces that are visible."""
    other = await made(world, gateway)
    metrics_api.nodes = ["node-1", "node-2"]
    metrics_api.pods = [(team.namespace, "shop"), (other.namespace, "theirs"), ("kube-system", "dns")]
    nothing = await team.kubectl("top", "node", check=False)
    hidden = await team.kubectl("top", "node", "node-1", check=False)
    await _open_nodes(world, team)

    async def nodes() -> bool:
        shown = (await team.kubectl("top", "node")).stdout.splitlines()
        return [line.split()[0] for line in shown if "250m" in line] == ["node-1", "node-2"]

    async def pods() -> list[list[str]]:
        return [line.split() for line in (await team.kubectl("top", "pod", "-A", "--no-headers")).stdout.splitlines()]

    await world.eventually(nodes)
    one = await team.kubectl("top", "node", "node-2", "--no-headers")
    # The right to see them comes with the aggregated role, after a while.
    everywhere = await world.eventually(pods)
    foreign = await team.kubectl("top", "pod", "-n", other.namespace, check=False)

    assert nothing.stderr == "error: metrics not available yet\n"
    assert hidden.stderr == 'Error from server (NotFound): nodes.metrics.k8s.io "node-1" not found\n'
    assert one.stdout.split()[:2] == ["node-2", "250m"]
    assert everywhere == [[team.namespace, "shop", "250m", "64Mi"]]
    assert "Error from server (Forbidden)" in foreign.stderr


async def test_describe_shows_a_visible_node(team: Team, world: World) -> None:
    """``describe node`` needs the node, its lease, its events, and the user's own pods on it."""
    node = world.unique("node")
    await team.gateway.platform.kubectl("apply", "-f", "-", stdin=json.dumps(_node(node)))
    hidden = await team.kubectl("describe", "node", node, check=False)
    await _open_nodes(world, team)

    async def described() -> str:
        return (await team.kubectl("describe", "node", node)).stdout

    text = await world.eventually(described)
    await team.gateway.platform.kubectl("delete", "node", node)
    await team.gateway.platform.kubectl("delete", "lease", node, "-n", "kube-node-lease", "--ignore-not-found")

    assert hidden.stderr == f'Error from server (NotFound): nodes "{node}" not found\n'
    assert f"Name:               {node}\n" in text
    assert "HolderIdentity:  the-kubelet" in text
    assert "Non-terminated Pods:          (0 in total)" in text


def _rights(listed: str) -> dict[str, set[str]]:
    """Return the verbs of each row; the API server tells them in any order."""
    found: dict[str, set[str]] = {}
    for line in listed.splitlines()[1:]:
        what, _, verbs = line.rpartition("[")
        found.setdefault(" ".join(what.split()), set()).update(verbs.strip("] ").split())
    return found


async def _may_impersonate(world: World, who: str, whom: str) -> None:
    rules = [
        {"apiGroups": [""], "resources": ["users"], "resourceNames": [whom], "verbs": ["impersonate"]},
        {"apiGroups": [""], "resources": ["groups"], "resourceNames": ["projectcapsule.dev"], "verbs": ["impersonate"]},
        {
            "apiGroups": ["authentication.k8s.io"],
            "resources": ["uids"],
            "resourceNames": ["42"],
            "verbs": ["impersonate"],
        },
    ]
    group = "rbac.authorization.k8s.io"
    role = manifest("ClusterRole", who, version=f"{group}/v1", rules=rules)
    binding = manifest(
        "ClusterRoleBinding",
        who,
        version=f"{group}/v1",
        roleRef={"apiGroup": group, "kind": "ClusterRole", "name": who},
        subjects=[{"apiGroup": group, "kind": "User", "name": who}],
    )
    for each in (role, binding):
        await world.platform.kubectl("apply", "-f", "-", stdin=json.dumps(each))


async def _forget(world: World, who: str) -> None:
    await world.platform.kubectl("delete", "clusterrole,clusterrolebinding", who)


async def _open_nodes(world: World, team: Team) -> None:
    setting = manifest(
        "ProxySetting",
        "nodes",
        version="capsule.clastix.io/v1beta1",
        spec={
            "subjects": [
                {
                    "kind": "User",
                    "name": team.owner,
                    "proxySettings": [{"kind": "Nodes", "operations": ["List"]}],
                }
            ]
        },
    )
    await world.platform.kubectl("apply", "-n", team.namespace, "-f", "-", stdin=json.dumps(setting))


def _node(name: str) -> dict[str, Any]:
    lease = manifest("Lease", name, version="coordination.k8s.io/v1", spec={"holderIdentity": "the-kubelet"})
    lease["metadata"]["namespace"] = "kube-node-lease"
    node = manifest("Node", name)
    node["metadata"]["labels"] = {"kubernetes.io/hostname": name, "type": "none"}
    return {"apiVersion": "v1", "kind": "List", "items": [node, lease]}
