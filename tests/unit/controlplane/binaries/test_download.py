"""Downloads, from a server of our own."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tenantry.controlplane.binaries.download import DownloadError, Source, checksum, fetch, source
from tenantry.controlplane.components import PROGRAMS, Versions

PROGRAM = b"#!/bin/sh\necho hello\n" * 50000
DIGEST = hashlib.sha256(PROGRAM).hexdigest()
VERSIONS = Versions(kubernetes="1.36.3", etcd="3.6.5", kwok="0.8.0")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = tmp_path / "site"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()
        thread.join()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "program"


def test_a_program_whose_checksum_agrees_is_written(site: tuple[str, Path], target: Path) -> None:
    url, folder = site
    (folder / "program").write_bytes(PROGRAM)
    (folder / "program.sha256").write_text(DIGEST)
    said: list[str] = []
    fetch(Source(f"{url}/program", f"{url}/program.sha256"), target, "downloading program", said.append)
    assert target.read_bytes() == PROGRAM
    assert list(target.parent.iterdir()) == [target]
    assert said == ["downloading program ..."]


def test_a_program_is_taken_out_of_its_archive(site: tuple[str, Path], target: Path) -> None:
    url, folder = site
    with tarfile.open(folder / "etcd.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("etcd-v1/etcd")
        member.size = len(PROGRAM)
        tar.addfile(member, io.BytesIO(PROGRAM))
    digest = hashlib.sha256((folder / "etcd.tar.gz").read_bytes()).hexdigest()
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  other.tar.gz\n{digest}  etcd.tar.gz\n")
    fetch(Source(f"{url}/etcd.tar.gz", f"{url}/SHA256SUMS", "etcd-v1/etcd"), target, "w", lambda _: None)
    assert target.read_bytes() == PROGRAM


@pytest.mark.parametrize(
    ("published", "why"),
    [
        ("0" * 64, "it is not used"),
        ("<html>not here</html>", "names no checksum for it"),
        (None, "answered 404"),
    ],
)
def test_nothing_is_kept_of_a_download_that_cannot_be_trusted(
    site: tuple[str, Path], target: Path, published: str | None, why: str
) -> None:
    url, folder = site
    (folder / "program").write_bytes(PROGRAM)
    if published is not None:
        (folder / "program.sha256").write_text(published)
    with pytest.raises(DownloadError, match=why):
        fetch(Source(f"{url}/program", f"{url}/program.sha256"), target, "w", lambda _: None)
    assert list(target.parent.iterdir()) == []


def test_a_host_that_does_not_answer_is_named(target: Path) -> None:
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1:9: is not reachable"):
        fetch(Source("http://127.0.0.1:9/p", "http://127.0.0.1:9/p.sha256"), target, "w", lambda _: None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (DIGEST, DIGEST),
        (f"{DIGEST}\n", DIGEST),
        (f"{DIGEST}  program\n{'0' * 64}  other\n", DIGEST),
        (f"{'0' * 64}  other\n", None),
        (f"{DIGEST}\n{DIGEST}\n", None),
        (f'{{"assets": [{{"name": "x"}}, {{"name": "program", "digest": "sha256:{DIGEST}"}}]}}', DIGEST),
        (f'{{"assets": [{{"name": "program", "digest": "md5:{DIGEST}"}}]}}', None),
        ("{", None),
        ("", None),
    ],
)
def test_checksums_are_read_in_each_form_they_are_published_in(text: str, found: str | None) -> None:
    assert checksum(text, "program") == found


def test_releases_are_the_official_ones() -> None:
    urls = {program: found.url for program in PROGRAMS if (found := source(program, VERSIONS, "Linux", "x86_64"))}
    kubernetes = "https://dl.k8s.io/v1.36.3/bin/linux/amd64"
    assert urls == {
        "etcd": "https://github.com/etcd-io/etcd/releases/download/v3.6.5/etcd-v3.6.5-linux-amd64.tar.gz",
        "kube-apiserver": f"{kubernetes}/kube-apiserver",
        "kube-controller-manager": f"{kubernetes}/kube-controller-manager",
        "kube-scheduler": f"{kubernetes}/kube-scheduler",
        "kubectl": f"{kubernetes}/kubectl",
        "kwok": "https://github.com/kubernetes-sigs/kwok/releases/download/v0.8.0/kwok-linux-amd64",
    }


def test_machines_without_a_release_have_none() -> None:
    assert source("kube-apiserver", VERSIONS, "Linux", "riscv64") is None
    assert source("kube-apiserver", VERSIONS, "Darwin", "arm64") is None
