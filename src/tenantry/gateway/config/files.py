"""Whether the files that settings name can be read, and hold what they should."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from tenantry.foundation.errors import ConfigurationError
from tenantry.gateway.config.issuers import issuer_faults
from tenantry.gateway.config.problems import Fault
from tenantry.gateway.config.problems import Path as FieldPath
from tenantry.gateway.config.text import is_ip
from tenantry.gateway.settings import Certificate, ClusterSettings, GatewaySettings
from tenantry.kube.config import load_config

SOON: Final = timedelta(days=2)
"""The operator renews what it made three days before the end."""
_FILE_BYTES: Final = 4 * 1024 * 1024


def file_faults(settings: GatewaySettings, now: datetime) -> Iterator[Fault]:
    """Yield what is wrong with the files of *settings* at *now*."""
    served: set[str] | None = set()
    for index, pair in enumerate(settings.listening.certificates):
        chain, found = _serving(pair, ("listening", "certificates", index), now)
        yield from found
        served = None if served is None or not chain else served | _names(chain[0])
    for index, cluster in enumerate(settings.clusters):
        path = ("clusters", index)
        yield from _cluster_files(cluster, path, now)
        if settings.listening.certificates and served is not None:
            yield from _uncovered_hosts(cluster, path, served)
    audit = settings.audit.file
    if audit is not None and not (audit.parent.is_dir() and os.access(audit.parent, os.W_OK)):
        what = f"the folder {audit.parent} is not there, or nothing can be written to it"
        yield Fault(path=("audit", "file"), what=what, fix="make the folder, or mount a volume there")


def _serving(pair: Certificate, path: FieldPath, now: datetime) -> tuple[Sequence[x509.Certificate], list[Fault]]:
    chain, found = _certificates(pair.certificate, (*path, "certificate"), now)
    where = (*path, "key")
    data, fault = _content(pair.key, where)
    if fault is not None:
        return chain, [*found, fault]
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError:
        return chain, [*found, Fault(path=where, what=f"{pair.key} is encrypted", fix="write it without a password")]
    except Exception as error:  # noqa: BLE001  # the library names no bound to what it raises
        what = f"{pair.key} holds no private key ({_first_line(error)})"
        return chain, [*found, Fault(path=where, what=what, fix="write a PEM file with one private key")]
    if chain and _public(key.public_key()) != _public(chain[0].public_key()):
        what = f"{pair.key} is not the key of {pair.certificate}"
        fix = "name the pair that was made together; the server's certificate is the first in its file"
        found.append(Fault(path=where, what=what, fix=fix))
    return chain, found


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _cluster_files(cluster: ClusterSettings, path: FieldPath, now: datetime) -> Iterator[Fault]:
    if cluster.kubeconfig is not None:
        try:
            load_config(kubeconfig=cluster.kubeconfig, context=cluster.context)
        except (ConfigurationError, OSError) as error:
            where = (*path, "context" if cluster.context and "context" in str(error) else "kubeconfig")
            yield Fault(path=where, what=_first_line(error), fix="name a kubeconfig that kubectl can use")
    identity = (*path, "identity")
    certificates = cluster.identity.certificates
    if certificates.ca is not None:
        yield from _certificates(certificates.ca, (*identity, "certificates", "ca"), now)[1]
    if certificates.crl is not None:
        yield from _revocations(certificates.crl, (*identity, "certificates", "crl"), now)
    issuers = cluster.identity.authentication_configuration
    if issuers is not None:
        where = (*identity, "authenticationConfiguration")
        data, fault = _content(issuers, where)
        yield from [fault] if fault is not None else issuer_faults(issuers, data, where)


def _content(file: Path, path: FieldPath) -> tuple[bytes, Fault | None]:
    """Return what is in *file*, or the fault that it can't be read."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_FILE_BYTES + 1)
    except OSError as error:
        what = f"{file} can't be read ({error.strerror or error})"
        return b"", Fault(path=path, what=what, fix="name a file that is there, and readable by this user")
    if len(data) > _FILE_BYTES:
        return b"", Fault(path=path, what=f"{file} is larger than {_FILE_BYTES} bytes", fix="name the right file")
    return data, None


def _certificates(file: Path, path: FieldPath, now: datetime) -> tuple[Sequence[x509.Certificate], list[Fault]]:
    data, fault = _content(file, path)
    if fault is not None:
        return (), [fault]
    try:
        chain = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        what = f"{file} holds no certificate ({_first_line(error)})"
        return (), [Fault(path=path, what=what, fix="write a PEM file: -----BEGIN CERTIFICATE----- and so on")]
    return chain, [each for each in (_age(file, one, path, now) for one in chain) if each is not None]


def _age(file: Path, certificate: x509.Certificate, path: FieldPath, now: datetime) -> Fault | None:
    starts, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    subject = certificate.subject.rfc4514_string() or "without a subject"
    which = f"the certificate {subject} in {file}"
    if now > ends:
        what = f"{which} expired on {ends:%Y-%m-%d %H:%M} UTC"
        return Fault(path=path, what=what, fix="renew it; clients refuse it", is_warning=True)
    if now < starts:
        what = f"{which} is not valid before {starts:%Y-%m-%d %H:%M} UTC"
        return Fault(path=path, what=what, fix="look at this machine's clock", is_warning=True)
    if ends - now < SOON:
        what = f"{which} expires on {ends:%Y-%m-%d %H:%M} UTC"
        return Fault(path=path, what=what, fix="renew it", is_warning=True)
    return None


def _revocations(file: Path, path: FieldPath, now: datetime) -> Iterator[Fault]:
    data, fault = _content(file, path)
    if fault is not None:
        yield fault
        return
    try:
        revocations = x509.load_pem_x509_crl(data)
    except ValueError as error:
        what = f"{file} holds no revocation list ({_first_line(error)})"
        yield Fault(path=path, what=what, fix="write a PEM file: -----BEGIN X509 CRL----- and so on")
        return
    following = revocations.next_update_utc
    if following is not None and following < now:
        what = f"{file} is out of date since {following:%Y-%m-%d %H:%M} UTC"
        yield Fault(path=path, what=what, fix="fetch the current list", is_warning=True)


def _names(certificate: x509.Certificate) -> set[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return set()
    names = extension.get_values_for_type(x509.DNSName)
    return {*map(str.lower, names), *map(str, extension.get_values_for_type(x509.IPAddress))}


def _uncovered_hosts(cluster: ClusterSettings, path: FieldPath, served: set[str]) -> Iterator[Fault]:
    for index, host in enumerate(cluster.hosts):
        wildcard = "" if is_ip(host) else "*." + host.partition(".")[2]
        if host not in served and wildcard not in served:
            what = f"no certificate of listening.certificates is for {host}"
            fix = "add the name to a certificate; clients refuse others"
            yield Fault(path=(*path, "hosts", index), what=what, fix=fix, is_warning=True)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
