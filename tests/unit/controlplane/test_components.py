"""Versions and the releases they name."""

from __future__ import annotations

import pytest

from tenantry.controlplane.components import PROGRAMS, Versions
from tenantry.foundation.errors import InvalidError


def test_each_program_comes_from_the_release_of_its_product() -> None:
    versions = Versions(kubernetes="1.35.2", etcd="3.6.4", kwok="0.7.0")
    assert {program: versions.release(program) for program in PROGRAMS} == {
        "etcd": "etcd-3.6.4",
        "kube-apiserver": "kubernetes-1.35.2",
        "kube-controller-manager": "kubernetes-1.35.2",
        "kube-scheduler": "kubernetes-1.35.2",
        "kubectl": "kubernetes-1.35.2",
        "kwok": "kwok-0.7.0",
    }


@pytest.mark.parametrize("version", ["", "1.36", "v1.36.3", "1.36.3/../../x", "1.36.3 ", "latest"])
def test_what_is_no_release_is_refused_before_a_path_is_made_of_it(version: str) -> None:
    with pytest.raises(InvalidError, match="kubernetes version"):
        Versions(kubernetes=version)


def test_a_release_candidate_is_a_release() -> None:
    assert Versions(kubernetes="1.37.0-rc.1").release("kubectl") == "kubernetes-1.37.0-rc.1"
