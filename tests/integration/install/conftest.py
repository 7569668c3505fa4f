"""Helm: the one on PATH, or one built once a machine from its Go module."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tenantry.controlplane.binaries.gobuild import OTHER_PLACES
from tenantry.controlplane.binaries.search import cache_folder
from tenantry.controlplane.components import DEFAULT_KUBERNETES_VERSION
from tenantry.controlplane.files import exclusive

HELM_VERSION = "3.21.4"
CHART = Path(__file__).parents[3] / "deploy" / "chart" / "tenantry"
Objects = dict[tuple[str, str], dict[str, Any]]
Render = Callable[..., Objects]


@pytest.fixture(scope="session")
def helm() -> Path:
    """The program; where it is missing it is built, which takes a few minutes once."""
    on_path = shutil.which("helm")
    if on_path and _major(Path(on_path)) == HELM_VERSION.partition(".")[0]:
        return Path(on_path)
    target = cache_folder().parent / "tools" / f"helm-{HELM_VERSION}" / "helm"
    target.parent.mkdir(parents=True, exist_ok=True)
    with exclusive(target.parent / "lock"):
        if not os.access(target, os.X_OK):
            _build(target)
    return target


def _major(program: Path) -> str | None:
    said = subprocess.run([program, "version", "--short"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.", said)
    return match[1] if match else None


def _build(target: Path) -> None:
    go = next(filter(None, map(shutil.which, ("go", *OTHER_PLACES))), None)
    assert go is not None, "the chart is tested with Helm, and there is neither Helm 3 nor Go to build it with"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        subprocess.run(
            [go, "install", "-ldflags", "-s -w", f"helm.sh/helm/v3/cmd/helm@v{HELM_VERSION}"],
            check=True,
            cwd=folder,
            env={**os.environ, "GOBIN": folder, "GOWORK": "off"},
        )
        Path(folder, "helm").replace(target)


@pytest.fixture(scope="session")
def render(helm: Path) -> Render:
    """Return what ``helm template`` makes of values, by kind and name."""

    def rendered(values: dict[str, Any] | None = None, *flags: str, namespace: str = "capsule-system") -> Objects:
        command: list[str | Path] = [
            helm,
            "template",
            "tenantry",
            CHART,
            "--namespace",
            namespace,
            "--values",
            "-",
            *flags,
        ]
        command += ["--kube-version", DEFAULT_KUBERNETES_VERSION]
        done = subprocess.run(command, input=json.dumps(values or {}), capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr)
        return by_name([each for each in yaml.safe_load_all(done.stdout) if each])

    return rendered


@pytest.fixture(scope="session")
def chart() -> Path:
    """The chart's folder."""
    return CHART


def by_name(objects: list[dict[str, Any]]) -> Objects:
    found = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(found) == len(objects)
    return found
