"""Whether kube-apiserver's AuthenticationConfiguration, which the configuration names, may be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.config.problems import Fault
from tenantry.gateway.config.problems import Path as FieldPath

_FIX = "write it as kube-apiserver reads it (apiserver.config.k8s.io)"


def issuer_faults(file: Path, data: bytes, path: FieldPath) -> Iterator[Fault]:
    """Yield what is wrong with the content *data* of *file*, which the field at *path* names."""
    # Imported here: CEL's runtime takes memory that an installation without issuers need not pay.
    from tenantry.gateway.identity.configuration import parse_authentication  # noqa: PLC0415

    try:
        text = data.decode()
    except UnicodeDecodeError:
        yield Fault(path=path, what=f"{file} is no UTF-8 text", fix=_FIX)
        return
    try:
        found = parse_authentication(text, source=str(file))
    except ConfigurationError as error:
        yield from (Fault(path=path, what=each, fix=_FIX) for each in _separate(str(error), str(file)))
    else:
        for each in found.warnings:
            yield Fault(path=path, what=f"{file}: {each}", fix="take it away, or leave it", is_warning=True)


def _separate(message: str, source: str) -> list[str]:
    """Return the problems in *message*: a line each, or one of several lines."""
    lines = message.splitlines()
    return lines if all(line.startswith(source) for line in lines) else [" ".join(message.split())]
