"""Who is asking: credentials become identities here, and nowhere else.

What is trusted, and why:

* Nothing in a request is, but one credential that is verified: a token's signature by the keys of a
  configured issuer, any other token by the API server itself, a certificate by the client CA.
* The first kind of credential that is present decides.  If it is bad, the answer is 401, whatever else was sent.
* Names that issuers and certificates give never start with ``system:``, unless the settings say so.
* Acting as somebody else needs the settings' leave and the API server's, for each principal of it.
* Whatever cannot be decided is refused: 503 where waiting helps.  A decision is a value with a reason.
"""
