"""Live streams: every long-running request is held by a word of ours, and ends when that word is taken back.

The data plane tells this package of each watch, log, exec, attach, port-forward and proxy upgrade before it
goes upstream, over a call that stays open as long as the request (Envoy's ``ext_proc``, gRPC).  The bytes of
the request never come here.  An error on the call ends the request, so a lock, an expired credential, a
drain, and the death of this side all end streams.  Why so: ``docs/decisions/0026-ending-live-streams.md``.

The call is served by a process of its own (:mod:`.child`), kept by the gateway's (:mod:`.supervisor`).
"""
