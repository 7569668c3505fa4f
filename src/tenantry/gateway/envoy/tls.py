"""How clients' TLS is ended: certificates, and whose client certificates count."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tenantry.gateway.envoy import names
from tenantry.gateway.envoy.inputs import Inputs
from tenantry.gateway.envoy.shapes import Json, discovery, file_source, pem_source, resource, typed, watched
from tenantry.gateway.settings import CertificateIdentity, ClusterSettings, GatewaySettings
from tenantry.kube.tls import Pem

SECRET: Final = "extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 - a message's name


def secrets(settings: GatewaySettings, inputs: Inputs) -> dict[str, bytes]:
    """Return the files of serving certificates and client CAs."""
    files = {}
    for number, pair in enumerate(settings.listening.certificates):
        certificate, key = Pem(file=pair.certificate), Pem(file=pair.key)
        value = {"certificate_chain": pem_source(certificate), "private_key": pem_source(key), **watched(certificate)}
        files[names.certificate_file(number)] = discovery(
            [resource(SECRET, name=f"certificate-{number}", tls_certificate=value)]
        )
    for cluster in settings.clusters:
        ca = client_ca(cluster, inputs)
        if ca is not None:
            context = _validation(ca, cluster.identity.certificates)
            files[names.client_ca_file(cluster.name)] = discovery(
                [resource(SECRET, name="client-ca", validation_context=context)]
            )
    return files


def client_ca(cluster: ClusterSettings, inputs: Inputs) -> Pem | None:
    """Return who signs client certificates for *cluster*; None asks for none."""
    if "TLSCertificate" not in cluster.identity.authenticators:
        return None
    chosen = cluster.identity.certificates.ca
    return Pem(file=chosen) if chosen is not None else inputs.clusters[cluster.name].client_ca


def _validation(ca: Pem, policy: CertificateIdentity) -> Json:
    # A certificate that is not trusted must not end the handshake: its owner may come with a token,
    # or with neither, and then deserves a 401 that says why.
    context: Json = {"trusted_ca": pem_source(ca), "trust_chain_verification": "ACCEPT_UNTRUSTED", **watched(ca)}
    if policy.crl is not None:
        context["crl"] = {"filename": str(policy.crl)}
        context |= watched(Pem(file=policy.crl))
    return context


def transport(settings: GatewaySettings, cluster: ClusterSettings, inputs: Inputs, folder: Path) -> Json:
    """Return the filter chain's transport socket; empty for plain HTTP."""
    certificates = settings.listening.certificates
    if not certificates:
        return {}
    configs = [
        {"name": f"certificate-{number}", "sds_config": file_source(folder / names.certificate_file(number))}
        for number, _ in enumerate(certificates)
    ]
    context: Json = {
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2"},
        "tls_certificate_sds_secret_configs": configs,
    }
    fields: Json = {"common_tls_context": context}
    if client_ca(cluster, inputs) is not None:
        path = folder / names.client_ca_file(cluster.name)
        context["validation_context_sds_secret_config"] = {"name": "client-ca", "sds_config": file_source(path)}
        # Envoy does not validate a client certificate again when a session is resumed.
        fields |= {"disable_stateless_session_resumption": True, "disable_stateful_session_resumption": True}
    return {
        "transport_socket": typed("tls", "extensions.transport_sockets.tls.v3.DownstreamTlsContext", **fields),
        "transport_socket_connect_timeout": f"{settings.limits.header_seconds:g}s",
    }
