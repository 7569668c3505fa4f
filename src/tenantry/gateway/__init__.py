"""The door before Kubernetes: why its account, which may act as anybody, acts as nobody but whoever asks.

The gateway's account holds ``impersonate`` on all users and groups.  Whoever makes a request go up with its
credential and a name of their choice owns the cluster; whoever makes one go up with no name at all is the gateway.
Everything here serves one sentence: *what reaches the API server with our credential names exactly the user whom a
credential proved, or is one of few reads that the gateway makes for itself*.  Numbers are those of the invariants in
``docs/security.md``; each has tests of its number in ``tests/e2e/gateway/security``, where a recording front of the
API server shows, header by header, what arrives.

Who asks (21 to 23, 9, 27)
    Python alone decides, with one path for every kind of credential: :mod:`tenantry.gateway.identity`.  The first
    kind that is present decides; if it is bad the answer is 401, and no other is tried.  The data plane remembers
    the verdict under the exact text of the credential, never beyond its expiry, and asks once for a hundred
    requests.  A review must say yes by every sign: authenticated, no error, a name, our audience.  A token of a
    configured issuer is never shown to anybody for a second opinion.  A forwarded certificate counts with a chain
    to the cluster's CA and from configured networks.  (``test_tokens.py``)

Whose name goes up (1 to 8)
    Everything in a request that claims an identity goes, the client's ``Connection`` with it, before ours is
    written, so that nothing a client nominates as hop-by-hop can take ours away: on plain requests, on upgrades,
    and at a second proxy behind us.  Envoy refuses names with underscores and blanks before that.  A principal is
    one header, as it is, or the request is refused: empty, with control characters, with blanks at its ends, too
    long.  Names that begin with ``system:`` come from the API server only, never from an issuer, a certificate or
    ``--as``; groups that begin with ``tenantry:gateway:`` and extras below ``tenantry.dev/`` from the gateway only.
    Acting as others is off unless configured, and then is refused or reviewed name by name as the real caller:
    what was reviewed is, byte for byte, what goes up.  (``test_identity_headers.py``, ``test_impersonation.py``)

Three doors (3, 15)
    The script may fail, and Envoy lets a request go on after a script's error.  So a guard behind it lets nothing
    through without the script's last mark and a user; and a third door stands in the upstream cluster itself, right
    before the credential is added: no user to act as, no credential.  A route without a word of the script leads
    nowhere.  A refusal is an answer, and the end.  (``tests/integration/gateway/envoy/test_traps.py``,
    ``test_records.py``; decision 25 tells what Envoy was seen to do)

What the gateway does for itself (10)
    It reads what says who sees what: namespaces, tenants, bindings, rules, classes, leases of visible nodes; it asks
    about tokens and about rights; it writes the status of the proxy's own two kinds.  Those are GET, list and watch
    of paths that can be counted, two kinds of review, and one patch: ``test_own_account.py`` counts them over a
    whole session of users.  It has no right to read Secrets, nor what tenants run; what it fetches there for a user
    it fetches as that user.  The one write that goes further, on a visible cluster-scoped object, goes up as the
    user with one group more, after a look at that very object (8.4).

What is shown (11 to 14, 31, 32)
    List, get and watch ask one predicate, :class:`tenantry.access.sight.Sight`.  Selectors narrow what it leaves;
    parameters that two readers could read in two ways are refused, not merged; a page's token is sealed to its
    user, query and visible set.  A request is what :mod:`tenantry.access.requests` reads, which is what the API
    server reads: the script's reading of it is shown to be the same by a common table.  Where doubt remains, the
    request goes up as the user: that can show less, never more.  What is hidden looks as what does not exist, byte
    for byte; and what a self review promises is what happens.  (``test_filters.py``, ``test_self_reviews.py``,
    ``test_records.py``)

What two parsers could read in two ways (16 to 18, 20)
    Paths, queries and framing are judged and forwarded as the same bytes, or refused: nothing is normalised.  Only
    ``websocket`` and ``SPDY/3.1`` are upgraded to; a refused upgrade's connection is never used again; a stream
    ends with the credential it came with, and with a lock.  (``test_framing.py``, ``test_upgrades.py``)

What is written down (28), and what changes while it runs (27, 30)
    Tokens, cookies, subprotocols, query values that are secrets, and bodies reach neither log nor audit record; a
    record names identities by a digest.  A configuration that is wrong changes nothing, locks narrow before
    anything widens, and our own token is read again when its file is replaced.  (``test_records.py``,
    ``test_reload.py``, ``test_own_account.py``)

What this rests on: Envoy's parsers; a Unix socket of mode 0600 in a folder of mode 0700, with a secret that each start
makes anew, between data plane and Python; and the API server, which is the judge of everything that goes up.
"""
