"""Downloads official releases, and believes nothing whose checksum does not agree."""

from __future__ import annotations

import hashlib
import http.client
import platform
import re
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

from tenantry.controlplane.binaries.progress import Heartbeat, Progress
from tenantry.controlplane.components import Component, Versions
from tenantry.foundation.codec import DecodeError, Model, decode

TIMEOUT_SECONDS: Final = 5.0
_ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class DownloadError(Exception):
    """This way does not work, or not here; there may be another."""

    def __init__(self, url: str, why: str) -> None:
        """Name the *url* and *why* it is of no use."""
        self.host = urlsplit(url).netloc
        super().__init__(f"{self.host}: {why}")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a release is, and where it says what its SHA-256 is."""

    url: str
    checksum_url: str
    member: str | None = None
    """Path of the program in the archive; None where the file is the program."""


class _Asset(Model, frozen=True):
    name: str
    digest: str | None = None


class _Release(Model, frozen=True):
    assets: tuple[_Asset, ...] = ()


def source(program: str, versions: Versions, system: str, machine: str) -> Source | None:
    """Return where the official release of *program* is; None where there is none for this machine."""
    architecture = _ARCHITECTURES.get(machine.lower())
    if architecture is None or system.lower() not in {"linux", "darwin"}:
        return None
    target = f"{system.lower()}-{architecture}"
    version = versions.of(program)
    if program == Component.ETCD:
        if system.lower() != "linux":
            return None  # Darwin's archives are zip files; a build does as well.
        base = f"https://github.com/etcd-io/etcd/releases/download/v{version}"
        name = f"etcd-v{version}-{target}"
        return Source(f"{base}/{name}.tar.gz", f"{base}/SHA256SUMS", f"{name}/etcd")
    if program == Component.KWOK:
        repository = "kubernetes-sigs/kwok/releases"
        return Source(
            f"https://github.com/{repository}/download/v{version}/kwok-{target}",
            f"https://api.github.com/repos/{repository}/tags/v{version}",
        )
    if system.lower() != "linux":
        return None  # Servers are released for Linux only.
    url = f"https://dl.k8s.io/v{version}/bin/{system.lower()}/{architecture}/{program}"
    return Source(url, f"{url}.sha256")


def download(program: str, versions: Versions, target: Path, *, say: Progress, unreachable: dict[str, str]) -> None:
    """Write *program* to *target*; hosts in *unreachable* are not tried again.

    Raises:
        DownloadError: It cannot be had here, or its checksum does not agree; *target* is then not there.
    """
    found = source(program, versions, platform.system(), platform.machine())
    if found is None:
        raise DownloadError("https://none", f"no release for {platform.system()} {platform.machine()}")
    for url in (found.checksum_url, found.url):
        if urlsplit(url).netloc in unreachable:
            raise DownloadError(url, "was not reachable")
    fetch(found, target, f"downloading {program} {versions.of(program)} from {urlsplit(found.url).netloc}", say)


def fetch(found: Source, target: Path, what: str, say: Progress) -> None:
    """Write the program of *found* to *target* once its checksum agrees.

    Raises:
        DownloadError: It does not answer, or the checksum is another.
    """
    with _opened(found.checksum_url) as answer:
        wanted = checksum(answer.read(1 << 22).decode(errors="replace"), found.url.rsplit("/", 1)[1])
    if wanted is None:
        raise DownloadError(found.checksum_url, "names no checksum for it")
    raw = target.with_name(target.name + ".download")
    try:
        with Heartbeat(say, what), _opened(found.url) as answer, raw.open("wb") as file:
            got = _copied(answer, file)
        if got != wanted:
            raise DownloadError(found.url, f"the checksum is {got}, not {wanted}: it is not used")
        if found.member is None:
            raw.replace(target)
        else:
            _extract(found, raw, target)
    finally:
        raw.unlink(missing_ok=True)


def checksum(text: str, name: str) -> str | None:
    """Return the SHA-256 that *text* gives for the file *name*: one digest, a list, or GitHub's release JSON."""
    if text.lstrip().startswith("{"):
        try:
            assets = decode(text, _Release).assets
        except DecodeError:
            return None
        digests = [asset.digest for asset in assets if asset.name == name and asset.digest]
        return digests[0].removeprefix("sha256:") if digests and digests[0].startswith("sha256:") else None
    lines = [line.split() for line in text.splitlines() if line.strip()]
    for words in lines:
        if re.fullmatch(r"[0-9a-f]{64}", words[0]) and (words[1:] == [name] or (len(words) == 1 and len(lines) == 1)):
            return words[0]
    return None


def _copied(answer: IO[bytes], file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := answer.read(1 << 18):
        digest.update(chunk)
        file.write(chunk)
    return digest.hexdigest()


def _extract(found: Source, archive: Path, target: Path) -> None:
    assert found.member is not None
    try:
        with tarfile.open(archive) as tar, target.open("wb") as file:
            content = tar.extractfile(found.member)
            assert content is not None, "a program is a regular file"
            _copied(content, file)
    except (KeyError, tarfile.TarError) as error:
        raise DownloadError(found.url, f"the archive has no {found.member}") from error


@contextmanager
def _opened(url: str) -> Iterator[IO[bytes]]:
    try:
        # The scheme is in the table above; proxies are those of the environment.
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            yield answer
    except urllib.error.HTTPError as error:
        raise DownloadError(url, f"answered {error.code}") from error
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(url, f"is not reachable ({reason})") from error
