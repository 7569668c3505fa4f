"""Several mutations become one patch, which changes nothing when it is asked for again."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tenantry.admission.patching import merged_patch
from tenantry.foundation.codec import Raw, encode
from tenantry.foundation.patches import PatchOperation
from tenantry.tenancy.request import Operation, Request, Requester
from tenantry.tenancy.verdict import UNCHANGED, Mutation

KEYS = st.sampled_from(["a", "b/c", "~d", "e"])
MAPS = st.dictionaries(KEYS, st.sampled_from(["1", "2"]), max_size=3)


def request(metadata: dict[str, Any]) -> Request:
    return Request(
        operation=Operation.CREATE,
        kind="ConfigMap",
        resource="configmaps",
        requester=Requester(username="alice"),
        object=Raw(encode({"metadata": metadata})),
    )


def applied(metadata: dict[str, Any], patch: tuple[PatchOperation, ...]) -> dict[str, Any]:
    """Apply operations on members of metadata, as the API server would."""
    done = {key: dict(value) for key, value in metadata.items()}
    for operation in patch:
        _, _, parent, *rest = operation.path.split("/")
        if not rest:
            done[parent] = dict(operation.value)
            continue
        key = rest[0].replace("~1", "/").replace("~0", "~")
        if operation.op == "remove":
            del done[parent][key]
        else:
            assert (operation.op == "replace") == (key in done[parent])
            done[parent][key] = operation.value
    return done


def test_the_later_mutation_wins_and_other_operations_follow() -> None:
    other = PatchOperation(op="add", path="/spec/priority", value=1)

    patch = merged_patch(
        request({"labels": {"keep": "1", "drop": "1", "same": "1"}}),
        [
            Mutation(labels={"new": "1", "same": "2"}, remove_labels=frozenset({"drop"}), operations=(other,)),
            UNCHANGED,
            Mutation(labels={"new": "2", "same": "1"}, annotations={"note": "x"}),
        ],
    )

    assert patch == (
        PatchOperation(op="remove", path="/metadata/labels/drop"),
        PatchOperation(op="add", path="/metadata/labels/new", value="2"),
        PatchOperation(op="add", path="/metadata/annotations", value={"note": "x"}),
        other,
    )


def test_nothing_to_change_is_no_patch() -> None:
    assert merged_patch(request({"labels": {"a": "1"}}), [UNCHANGED, Mutation(labels={"a": "1"})]) == ()


@given(
    st.fixed_dictionaries({}, optional={"labels": MAPS, "annotations": MAPS}),
    st.lists(st.builds(Mutation, labels=MAPS, annotations=MAPS, remove_labels=st.frozensets(KEYS)), max_size=4),
)
def test_a_patch_applied_leaves_nothing_to_do(metadata: dict[str, Any], mutations: list[Mutation]) -> None:
    patch = merged_patch(request(metadata), mutations)

    assert merged_patch(request(applied(metadata, patch)), mutations) == ()
