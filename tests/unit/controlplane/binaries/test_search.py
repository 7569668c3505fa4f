"""Where programs are looked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tenantry.controlplane.binaries.search import cached, find_programs, reported_version
from tenantry.controlplane.components import PROGRAMS, Versions
from tenantry.controlplane.errors import BinaryError

VERSIONS = Versions(kubernetes="1.36.3", etcd="3.6.5", kwok="0.8.0")
REPORTS = {"etcd": "etcd Version: {}", "kwok": "kwok version v{} go1", "kubectl": "Client Version: v{}\nK: v1"}


def write_program(path: Path, version: str, body: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    report = REPORTS.get(path.name, "Kubernetes v{}").format(version)
    line = body or f'echo "{report}"'
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine where nothing is installed but the shell."""
    monkeypatch.delenv("TENANTRY_CONTROLPLANE_BIN", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path / "cache" / "tenantry" / "controlplane"


@pytest.fixture
def filled(cache: Path) -> dict[str, Path]:
    return {program: write_program(cached(program, VERSIONS, cache), VERSIONS.of(program)) for program in PROGRAMS}


def never(line: str) -> None:
    raise AssertionError(line)


def test_the_cache_serves_what_is_nowhere_else(filled: dict[str, Path]) -> None:
    assert find_programs(VERSIONS, never) == filled


def test_the_named_folder_wins_whatever_its_version(
    filled: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_program(tmp_path / "own" / "kube-apiserver", "1.30.0")
    monkeypatch.setenv("TENANTRY_CONTROLPLANE_BIN", str(own.parent))
    assert find_programs(VERSIONS, never) == {**filled, "kube-apiserver": own}


@pytest.mark.parametrize("program", PROGRAMS)
def test_path_serves_programs_of_the_very_version(program: str, filled: dict[str, Path], tmp_path: Path) -> None:
    own = write_program(tmp_path / "path" / program, VERSIONS.of(program))
    assert find_programs(VERSIONS, never) == {**filled, program: own}


@pytest.mark.parametrize("program", PROGRAMS)
def test_path_is_passed_over_for_another_version(program: str, filled: dict[str, Path], tmp_path: Path) -> None:
    write_program(tmp_path / "path" / program, "1.30.0")
    assert find_programs(VERSIONS, never) == filled


def test_a_program_that_says_no_version_has_none(tmp_path: Path) -> None:
    assert reported_version(write_program(tmp_path / "kubectl", "", "exit 1")) is None
    assert reported_version(tmp_path / "kwok") is None


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every download fails at once, as on a machine behind a firewall."""
    for variable in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")


@pytest.fixture
def go(tmp_path: Path) -> Callable[[str], None]:
    """Put a Go toolchain on PATH that answers `go env`, and runs the given shell code for anything else."""

    def install(body: str) -> None:
        env = 'if [ "$1" = env ]; then [ "$2" = GOVERSION ] && echo go1.26.8 || echo local; exit 0; fi'
        write_program(tmp_path / "path" / "go", "", f"{env}\n{body}")

    return install


@pytest.mark.usefixtures("no_network")
def test_what_was_built_before_a_failure_stays(cache: Path, go: Callable[[str], None]) -> None:
    go('case "$*" in *kube-scheduler) echo "no such module" >&2; exit 1;; esac\necho "$*" > "$3"')
    said: list[str] = []
    with pytest.raises(BinaryError, match="building kube-scheduler failed: go build ended with 1\n    no such module"):
        find_programs(VERSIONS, said.append)
    kept = {str(path.relative_to(cache)) for path in cache.glob("*-*/*")}
    assert kept == {
        "etcd-3.6.5/etcd",
        "kubernetes-1.36.3/kube-apiserver",
        "kubernetes-1.36.3/kube-controller-manager",
    }
    assert said[0].startswith("the control plane needs etcd, kube-apiserver,")
    assert said[1].startswith("no download (github.com: is not reachable")


@pytest.mark.usefixtures("no_network")
def test_only_what_is_missing_is_built(filled: dict[str, Path], go: Callable[[str], None]) -> None:
    go('case "$*" in *cmd/kubectl) echo "$*" > "$3";; *) exit 1;; esac')
    filled["kubectl"].unlink()
    assert find_programs(VERSIONS, lambda _: None) == filled
    assert filled["kubectl"].read_text().endswith("k8s.io/kubernetes/cmd/kubectl\n")


@pytest.mark.usefixtures("no_network")
def test_without_network_and_go_the_next_step_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenantry.controlplane.binaries.gobuild.OTHER_PLACES", ())
    with pytest.raises(BinaryError, match=r"install Go 1\.26 or later .*TENANTRY_CONTROLPLANE_BIN"):
        find_programs(VERSIONS, lambda _: None)
