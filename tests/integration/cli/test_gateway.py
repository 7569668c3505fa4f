"""``tenantry gateway`` as a program: exit codes, and what goes where."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import trustme

EXAMPLES = Path(__file__).parents[3] / "examples" / "gateway"


def tenantry(*words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tenantry", "gateway", *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Has a serving certificate, and its key."""
    leaf = trustme.CA().issue_cert("kubernetes.example.com")
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    return tmp_path


def test_values_of_capsule_proxy_become_a_file_that_can_be_used(folder: Path) -> None:
    values = folder / "values.yaml"
    values.write_text((EXAMPLES / "capsule-proxy-values.yaml").read_text() + f"  SSLDirectory: {folder}\n")

    made = tenantry("from-values", str(values))
    file = folder / "gateway.yaml"
    file.write_text(made.stdout)
    checked = tenantry("check", str(file))

    assert (made.returncode, made.stderr) == (0, "")
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, f"{file} can be used\n", "")


def test_a_wrong_file_ends_with_1_in_every_form(folder: Path) -> None:
    file = folder / "gateway.yaml"
    file.write_text("kind: GatewayConfiguration\nlistening: {certificates: [{certificate: tls.crt, key: tls.crt}]}\n")

    as_text, as_json = tenantry("check", str(file)), tenantry("check", str(file), "-o", "json")
    started = tenantry("--config", str(file))

    assert [as_text.returncode, as_json.returncode, started.returncode] == [1, 1, 1]
    assert json.loads(as_json.stdout)["usable"] is False
    assert as_text.stdout.endswith("can not be used: 2 errors\n")
    assert started.stderr.startswith(f"error: {file} can't be used, 2 problems:\n")
    assert "Traceback" not in started.stderr


def test_a_missing_file_is_one_line() -> None:
    for words in (("check", "/nowhere.yaml"), ("run", "--config=/nowhere.yaml"), ("from-values", "/nowhere.yaml")):
        done = tenantry(*words)
        said = "error: /nowhere.yaml can't be read (No such file or directory): name a readable file\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_a_wrong_flag_ends_with_2() -> None:
    assert tenantry("--listening-port=x").returncode == 2
    assert tenantry("--what").returncode == 2
