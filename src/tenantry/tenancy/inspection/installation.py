"""Is the product installed, and does it run?  Checks of ``tenantry doctor``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from tenantry.api.crds import crd_manifests
from tenantry.api.labels import CAPSULE_LEASE
from tenantry.tenancy.desired import acknowledgement
from tenantry.tenancy.desired.leadership import is_foreign
from tenantry.tenancy.inspection.findings import Certificate, Facts, Finding, Webhooks, Workload, fine, note, problem
from tenantry.tenancy.inspection.summary import ready_condition

OLD_VERSION: Final = "v1beta1"
EXPIRES_SOON: Final = timedelta(days=2)
"""The operator renews three days before the end: what comes closer was not renewed."""
_CAPSULE_IMAGE: Final = re.compile(r"projectcapsule/capsule([:@]|$)")
"""Not its proxy, which may run beside this."""
_CAPSULE_NAME: Final = "capsule-controller-manager"
_APPLY_CRDS: Final = "tenantry crds | kubectl apply --server-side -f -"


def server(facts: Facts) -> Iterator[Finding]:
    """The API server answers."""
    yield fine("API server", f"Kubernetes {facts.server_version} answers")


def crds(facts: Facts) -> Iterator[Finding]:
    """The kinds are there, served and stored in the version that the product works with (13.20)."""
    if facts.crds is None:
        return
    bad = False
    for manifest in crd_manifests():
        name = manifest["metadata"]["name"]
        wanted = [each["name"] for each in manifest["spec"]["versions"]]
        stored = facts.crds.get(name)
        if stored is None:
            bad = True
            yield problem("CRDs", f"{name} is missing", f"{_APPLY_CRDS}")
            continue
        served = {each.get("name") for each in (stored.spec or {}).get("versions", ()) if each.get("served")}
        if not served.issuperset(wanted):
            bad = True
            yield problem("CRDs", f"{name} does not serve {', '.join(wanted)}", _APPLY_CRDS)
        if OLD_VERSION not in wanted and OLD_VERSION in (stored.status.stored_versions or ()):
            bad = True
            yield problem(
                "CRDs",
                f"objects of {name} may still be stored as {OLD_VERSION}, which is not served any more",
                f"write each object once (kubectl get {name.partition('.')[0]} -o yaml | kubectl replace -f -), then "
                f"take {OLD_VERSION} out of status.storedVersions; docs/migration-from-capsule.md has the commands",
            )
    if not bad:
        yield fine("CRDs", f"all {len(crd_manifests())} are there and served")


def capsule(facts: Facts) -> Iterator[Finding]:
    """Capsule itself does not run beside this: the two would fight over every object."""
    for kind, act, workloads_of_kind in (
        ("deployment", "scale --replicas=0", facts.deployments),
        ("daemonset", "delete", facts.daemon_sets),
    ):
        for each in workloads_of_kind or ():
            if each.spec.replicas and _is_capsule(each):
                namespace, name = each.metadata.namespace, each.metadata.name
                yield problem(
                    "Capsule",
                    f"Capsule still runs, as {kind} {namespace}/{name}: the two write the same objects",
                    f"kubectl -n {namespace} {act} {kind} {name}; keep its CRDs, they hold your tenants",
                )


def _is_capsule(workload: Workload) -> bool:
    return workload.metadata.name.endswith(_CAPSULE_NAME) or any(map(_CAPSULE_IMAGE.search, workload.images))


def workloads(facts: Facts) -> Iterator[Finding]:
    """The Deployments have their replicas."""
    for each in facts.deployments or ():
        name = each.metadata.name
        is_ours = each.metadata.namespace == facts.namespace and name in {"tenantry-operator", "tenantry-admission"}
        if is_ours and each.status.ready_replicas < each.spec.replicas:
            yield problem(
                "Deployments",
                f"{name} has {each.status.ready_replicas} of {each.spec.replicas} replicas ready",
                f"kubectl -n {facts.namespace} describe pods; kubectl -n {facts.namespace} logs deployment/{name}",
            )


def configuration(facts: Facts) -> Iterator[Finding]:
    """The CapsuleConfiguration exists, is ready, and names users."""
    subject = "Configuration"
    found = facts.configuration
    if found is None:
        if "configuration" not in facts.unread:
            yield problem(
                subject,
                f"there is no CapsuleConfiguration {facts.configuration_name!r}",
                "the operator makes it at its start: see whether the operator runs; "
                "or name yours with --configuration-name",
            )
        return
    ready = ready_condition(found.status.conditions)
    if ready is None or ready.status != "True":
        why = f": {ready.message}" if ready is not None and ready.message else ""
        yield problem(subject, f"{facts.configuration_name} is not Ready{why}", "see whether the operator runs")
    if not (found.status.users or found.spec.users or found.spec.user_groups or found.spec.user_names):
        yield problem(
            subject,
            f"{facts.configuration_name} names no users: nobody's requests are judged, nobody may make namespaces",
            "set spec.users, for example to the Group projectcapsule.dev",
        )
    if ready is not None and ready.status == "True":
        yield fine(subject, f"{facts.configuration_name} is Ready, {len(found.status.users)} users and groups")


def operator_lease(facts: Facts) -> Iterator[Finding]:
    """An operator leads."""
    if facts.leases is None:
        return
    lease = next((each for each in facts.leases if each.metadata.name == CAPSULE_LEASE), None)
    step = f"kubectl -n {facts.namespace} logs deployment/tenantry-operator"
    if lease is None or not lease.spec.holder_identity:
        yield problem("Operator", "no operator leads: namespaces and statuses are not kept up to date", step)
    elif not acknowledgement.is_live(lease, facts.now):
        yield problem(
            "Operator",
            f"the operator {lease.spec.holder_identity} renewed its lease last at {lease.spec.renew_time}: it is gone",
            step,
        )
    elif is_foreign(lease.spec.holder_identity):
        yield problem(
            "Operator",
            f"the lease is held by {lease.spec.holder_identity}, which is no tenantry operator: ours waits",
            "stop Capsule's controller: the two must never run together",
        )
    else:
        yield fine("Operator", f"{lease.spec.holder_identity} leads")


def admission_workers(facts: Facts) -> Iterator[Finding]:
    """Admission answers, and knows the Tenants as they are now."""
    if facts.leases is None:
        return
    kept = [
        each
        for each in facts.leases
        if (each.metadata.labels or {}).get(acknowledgement.LABEL) == acknowledgement.LABEL_VALUE
    ]
    live = [each for each in kept if acknowledgement.is_live(each, facts.now)]
    if not live:
        yield problem(
            "Admission",
            "no admission worker is alive: writes in tenant namespaces are refused while the webhooks stand",
            f"kubectl -n {facts.namespace} logs deployment/tenantry-admission; "
            "if work must go on without it: tenantry admission disarm",
        )
        return
    behind = [
        each.metadata.name
        for each in live
        if not acknowledgement.acknowledged([each], facts.now, acknowledgement.TENANTS, facts.tenants_version)
    ]
    for name in behind:
        yield problem(
            "Admission",
            f"worker {name} has not seen the latest Tenants: its watch may be cut",
            f"kubectl -n {facts.namespace} logs deployment/tenantry-admission; restart that replica if it lasts",
        )
    if not behind:
        noun = "worker is" if len(live) == 1 else "workers are"
        yield fine("Admission", f"{len(live)} {noun} alive and up to date")


def armed(facts: Facts) -> Iterator[Finding]:
    """Nobody left admission disarmed."""
    if facts.disarmed:
        yield problem(
            "Webhooks",
            "admission is disarmed: nothing is judged in tenant namespaces",
            "tenantry admission arm, once the reason is gone",
        )


def registered(facts: Facts) -> Iterator[Finding]:
    """The webhook configurations stand, call every entry, and trust the certificate."""
    if facts.disarmed:
        return
    bad = False
    for each in facts.webhooks:
        for finding in _webhooks(each, facts.certificate):
            bad = True
            yield finding
    if facts.webhooks and not bad:
        yield fine("Webhooks", "both configurations stand as they should")


def _webhooks(webhooks: Webhooks, certificate: Certificate | None) -> Iterator[Finding]:
    which = f"{webhooks.kind} {webhooks.name}"
    if webhooks.stored is None:
        yield problem(
            "Webhooks",
            f"there is no {which}: admission is not asked",
            "the operator registers it once an admission worker is ready and has a certificate: see its log, and the "
            "condition AdmissionRegistered of the CapsuleConfiguration",
        )
        return
    stored = {each.get("name", ""): each.get("failurePolicy", "Fail") for each in webhooks.stored.webhooks or ()}
    missing = sorted(webhooks.expected.keys() - stored.keys())
    if missing:
        yield problem("Webhooks", f"{which} lacks the entries {', '.join(missing)}", "see whether the operator runs")
    weak = sorted(
        name for name, policy in webhooks.expected.items() if policy == "Fail" and stored.get(name) == "Ignore"
    )
    if weak:
        yield problem(
            "Webhooks",
            f"{which} lets requests pass unjudged while admission is down: {', '.join(weak)} has failurePolicy Ignore",
            "see whether the operator runs: it puts that back",
        )
    published = certificate.authorities if certificate is not None else frozenset()
    if published and not webhooks.has_own_bundle and not all(published <= bundle for bundle in webhooks.bundles):
        yield problem(
            "Webhooks",
            f"{which} does not trust the CA that is published: the API server cannot call admission",
            "see whether the operator runs: it writes the caBundle",
        )


def certificate(facts: Facts) -> Iterator[Finding]:
    """The serving certificate is there, signed by the published CA, and not about to end."""
    found = facts.certificate
    if found is None:
        return
    where = f"Secret {facts.namespace}/{found.secret}"
    enabled = facts.configuration is not None and facts.configuration.spec.enable_tls_reconciler
    step = (
        "see whether the operator runs: it makes and renews the certificate"
        if enabled
        else "spec.enableTLSReconciler is off: whoever keeps that Secret (cert-manager, you) has to write it"
    )
    if found.expires is None:
        yield problem("Certificate", f"{where} holds no certificate", step)
    elif found.expires <= facts.now:
        yield problem("Certificate", f"the certificate in {where} ended at {found.expires:%Y-%m-%d %H:%M} UTC", step)
    elif not found.is_trusted:
        yield problem("Certificate", f"the certificate in {where} is not signed by the CA in it", step)
    elif found.expires - facts.now < EXPIRES_SOON:
        yield problem("Certificate", f"the certificate in {where} ends at {found.expires:%Y-%m-%d %H:%M} UTC", step)
    else:
        yield fine("Certificate", f"valid until {found.expires:%Y-%m-%d}")


def endpoints(facts: Facts) -> Iterator[Finding]:
    """The Service of admission has somebody behind it."""
    if facts.is_outside:
        yield note(
            "Service", "the webhooks call a URL outside the cluster: whether it answers cannot be seen from here"
        )
    elif facts.endpoints == 0:
        yield problem(
            "Service",
            "the Service of admission has no ready endpoint: the API server reaches nobody",
            f"kubectl -n {facts.namespace} get pods -l app.kubernetes.io/component=admission",
        )
    elif facts.endpoints is not None:
        yield fine("Service", f"{facts.endpoints} ready endpoints")


def metrics(facts: Facts) -> Iterator[Finding]:
    """Prometheus would get an answer."""
    for component, answers in sorted((facts.metrics or {}).items()):
        if not answers:
            yield note(
                "Metrics",
                f"the metrics of {component} do not answer: alerts on them are blind",
                f"kubectl -n {facts.namespace} get endpointslices -l app.kubernetes.io/component={component}",
            )
