"""The gateway's reasons: why it refused a request, in answers, audit records and metrics."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from reference.markdown import code, table
from reference.tokens import SOURCE, calls
from tenantry.access import refusals
from tenantry.access.refusals import Reason, http_status
from tenantry.gateway.verdicts.refusing import NOT_VISIBLE

MEANINGS: Final[Mapping[str, str]] = {
    "BadParameter": "A parameter of a list or watch that the API server would refuse, too.",
    "ContinueRefused": "A `continue` that the gateway did not give to this user for this list.",
    "Defect": "A bug of the gateway: its log has the rest.",
    "Doubled": "A header that says whose stream it is came twice.",
    "Draining": "The gateway is stopping: another replica answers.",
    "Expired": "The credential ended. Of a list or watch: the client has to list again.",
    "Expires": "The end of a credential is no number.",
    "HostMalformed": "The host is none, or there are two.",
    "Identity": "The data plane handed over no identity.",
    "IdentityUnavailable": "Who asks can't be found out: a part of the gateway does not answer.",
    "KindNotReadable": "A rule shows a kind that the gateway's account may not read (503): a platform operator grants "
    "it by `tenantry gateway rights | kubectl apply -f -`.",
    "Locked": "An administrator locked the user or one of the groups.",
    "Malformed": "The body, or a message of the data plane, can't be read.",
    "Method": "No method of the Kubernetes API.",
    "MethodUnknown": "No method of the Kubernetes API.",
    "NoUser": "A stream that does not say whose it is.",
    "NotAcceptable": "The client takes no format that can be filtered.",
    "NotFound": "Not there, or not visible: nobody may tell the two apart.",
    "NotKnownYet": "What the user sees is not known yet: again in a moment.",
    "NotSynced": "The gateway's caches are not filled yet.",
    "NotVisible": "Not visible to this user.",
    "NotWatchable": "A kind that can't be watched.",
    "OwnAccount": "The gateway's own account is refused by the API server, or gives no credential.",
    "OwnCredential": "The API server refused the gateway's own account.",
    "Path": "A path that no Kubernetes client writes.",
    "PathMalformed": "A path that no Kubernetes client writes: double slashes, dots, escapes.",
    "PathUnknown": "Nothing of the Kubernetes API is there.",
    "Query": "A query that can't be read.",
    "RepeatedParameter": "A parameter that is there more than once.",
    "ReviewRefused": "The API server refused the caller's review of its own rights.",
    "ScriptFailed": "A bug in the data plane's script: nothing was forwarded.",
    "Secret": "Something else than the data plane spoke to a part behind it.",
    "TimedOut": "The gateway could not decide in time.",
    "TooLarge": "A credential, with its headers, that is too large.",
    "TooManyKinds": "More kinds are read than the gateway keeps at a time.",
    "TwoUsers": "A stream that is made as two users.",
    "Unavailable": "The API server's answer was none that helps: see the log.",
    "UnknownKind": "A kind that the API server does not serve.",
    "UnknownPath": "Nothing of the Kubernetes API is there.",
    "Unrecorded": "Audit records of streams can't be handed over: nothing begins unrecorded.",
    "UnsupportedMediaType": "The body is in a format that can't be read.",
    "UpstreamUnreachable": "The API server does not answer.",
    "UrlTooLong": "A longer URL than `limits.urlBytes`.",
    "VerdictUnavailable": "What the user may see can't be found out: the gateway or the API server does not answer.",
    "VersionTooLarge": "A resourceVersion that the gateway has not seen yet.",
    "ViewChanged": "What the user may see has changed: the client lists again.",
}
"""What each token means that is no :class:`Reason`; a token without meaning, and a meaning without token, fail."""

PLAIN: Final[Mapping[str, str]] = {
    "CLIENT_CA_UNAVAILABLE": "The CA of client certificates is not known yet.",
    "EMAIL_NOT_VERIFIED": "The issuer says that the user's address is not verified.",
    "EXPIRED": "The credential has ended: log in again.",
    "IMPERSONATION_DISABLED": "Acting as somebody else is turned off in the gateway's configuration.",
}
"""Of members whose name says it all in the code."""

_ARGUMENTS: Final[Mapping[str, tuple[str, int | None]]] = {
    "RefusedRequestError": ("token", 0),
    "_refused": ("token", 3),
    "_unavailable": ("token", 1),
    "expired": ("why", None),
    "refusal": ("token", None),
    "refused": ("why", None),
    "unavailable": ("why", None),
}
"""Which argument of each function is a token."""

_LUA: Final = re.compile(r'"([A-Z]\w+)"\)$|^  ([A-Z]\w+) = \{ \d', re.MULTILINE)
_STREAMS: Final = (
    ("Aborted", "The process that held it died: it was ended with all others."),
    ("Closed", "The client or the API server ended it; the record of the request says which."),
    ("Draining", "The gateway stopped, and the time to end by itself was over."),
    ("Expired", "The credential that it was opened with ended."),
    ("Locked", "Its user, or one of the groups, was locked out."),
)
_HEAD: Final = """
## The gateway's refusals
The reason is in the audit record and in the label `reason` of `tenantry_gateway_refusals` and of
`tenantry_gateway_identifications_total`. The client gets the HTTP status and a sentence.

Who is asking, and as whom:

"""
_OTHERS: Final = """
What is asked for, and what is in the way:

"""
_ENDS: Final = """
Why a watch, a log or a session ended, in the record with stage `Ended` and in `tenantry_gateway_streams_ended_total`:

"""


class MeaninglessReasonError(Exception):
    """A token has no meaning on the page, or a meaning no token."""


def gateway_reasons() -> str:
    """Return the part of the page.

    Raises:
        MeaninglessReasonError: ``MEANINGS`` and the code differ.
    """
    found = {*_of_calls(), *_of_the_script(), NOT_VISIBLE}
    if found != MEANINGS.keys():
        raise MeaninglessReasonError(f"MEANINGS of {__name__} and the code differ in {found ^ MEANINGS.keys()}")
    said = {**PLAIN, **dict(_said())}
    identity = [(code(each), str(http_status(each)), said[each.name]) for each in sorted(Reason)]
    others = [(code(token), MEANINGS[token]) for token in sorted(found - {str(each) for each in Reason})]
    ends = [(code(token), text) for token, text in _STREAMS]
    return (
        _HEAD
        + table(("reason", "status", "what is wrong"), identity)
        + _OTHERS
        + table(("reason", "what is wrong"), others)
        + _ENDS
        + table(("reason", "what happened"), ends)
    )


def _of_calls() -> Iterator[str]:
    for call in calls(("gateway", "access"), frozenset(_ARGUMENTS)):
        yield from call.argument(*_ARGUMENTS[call.name])


def _of_the_script() -> Iterator[str]:
    for path in sorted((SOURCE / "gateway" / "envoy" / "lua").glob("*.lua")):
        for match in _LUA.finditer(path.read_text()):
            yield match[1] or match[2]


def _said() -> Iterator[tuple[str, str]]:
    """Yield each reason's name with the sentence below it."""
    assert refusals.__file__
    (enum,) = (
        node
        for node in ast.parse(Path(refusals.__file__).read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == Reason.__name__
    )
    for member, text in zip(enum.body, enum.body[1:], strict=False):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            name = member.targets[0]
            assert isinstance(name, ast.Name)
            yield name.id, " ".join(str(text.value.value).replace("``", "`").split())
