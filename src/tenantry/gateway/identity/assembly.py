"""Puts an identity reviewer together from settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from tenantry.foundation.clock import Clock, SystemClock
from tenantry.gateway.access_reviews import AccessReviews
from tenantry.gateway.identity.authenticators import Authenticators
from tenantry.gateway.identity.client_authority import ClientAuthority
from tenantry.gateway.identity.configuration import Authentication, ConfiguredIssuer, read_authentication
from tenantry.gateway.identity.fetching import KeyServer
from tenantry.gateway.identity.keys import IssuerKeys
from tenantry.gateway.identity.observing import IdentityObserver, Unobserved
from tenantry.gateway.identity.oidc import OidcAuthenticator
from tenantry.gateway.identity.reviewer import IdentityReviewer
from tenantry.gateway.identity.token_review import TokenReviews
from tenantry.gateway.settings import IdentitySettings
from tenantry.kube.client import Client

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def identity_reviewer(
    settings: IdentitySettings,
    client: Client,
    *,
    access_reviews: AccessReviews | None = None,
    clock: Clock | None = None,
    observer: IdentityObserver | None = None,
    on_keys_changed: Callable[[], None] = lambda: None,
) -> AsyncIterator[IdentityReviewer]:
    """Yield a reviewer; whoever has it runs its :meth:`~IdentityReviewer.run` beside.

    Args:
        settings: One cluster's.
        client: Open, as the gateway's account: TokenReviews, SubjectAccessReviews, the client CA.
        access_reviews: Those of the cluster's other parts, which then share what is remembered.
        clock: The machine's where None.
        observer: For metrics.
        on_keys_changed: Called when keys were withdrawn: what the data plane remembers must go.

    Raises:
        ConfigurationError: The authentication configuration is not to be read, or wrong.
        ExpressionError: A pattern of the settings is none.
    """
    clock, observer = clock or SystemClock(), observer or Unobserved()
    path = settings.authentication_configuration
    configuration = read_authentication(path) if path is not None else Authentication()
    for warning in configuration.warnings:
        _log.warning("authentication_configuration", file=str(path), problem=warning)
    async with AsyncExitStack() as stack:

        async def authenticator(configured: ConfiguredIssuer) -> OidcAuthenticator:
            server = await stack.enter_async_context(KeyServer(configured.issuer))
            keys = IssuerKeys(
                configured.issuer.url,
                server.fetch,
                clock=clock,
                stale_seconds=settings.stale_seconds,
                observer=observer,
                on_withdrawn=on_keys_changed,
            )
            return OidcAuthenticator(configured, keys, clock, settings.token_lifetime_seconds)

        authenticators = Authenticators(
            settings,
            issuers=tuple([await authenticator(configured) for configured in configuration.issuers]),
            token_reviews=TokenReviews(client, settings, clock=clock, observer=observer)
            if settings.token_review
            else None,
            authority=ClientAuthority(client, ca=settings.certificates.ca, crl=settings.certificates.crl),
            clock=clock,
        )
        yield IdentityReviewer(
            settings,
            authenticators=authenticators,
            access_reviews=access_reviews or AccessReviews(client, clock, observer=observer),
            clock=clock,
            observer=observer,
        )
