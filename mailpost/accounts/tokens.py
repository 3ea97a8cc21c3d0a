"""Bearer tokens: whose a token is (RFC 6750; SASL's OAUTHBEARER and XOAUTH2).

::

    TokenOffered --> the Portal, a checker for IBearerToken --> the account

Any checker of ``twisted.cred`` that takes :class:`~.credentials.IBearerToken` will do: where a Portal has
one, the mechanisms are offered. The office's own asks whoever has issued the token. What it learned is
believed for a while, never beyond the token's end; of a token only a keyed digest is remembered, in this
process alone.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from zope.interface import implementer

from mailpost.accounts.credentials import IBearerToken, TokenLogin
from mailpost.accounts.introspection import (
    Introspection,
    account_of,
    end_of,
    introspect,
    treq_client,
)
from mailpost.accounts.names import login_name
from mailpost.accounts.turnstile import TooBusy
from mailpost.config import ConfigError
from mailpost.limits import neighbourhood
from mailpost.outcome import TemporaryFailure
from mailpost.wire.sasl import TokenTerms

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from twisted.internet.interfaces import IReactorTime

    from mailpost.accounts.introspection import HTTP
    from mailpost.config import OAuth

_log = Logger()


def make_checker(
    oauth: OAuth, domains: Container[str], reactor: IReactorTime
) -> IntrospectionChecker:
    """Make the checker that the configuration describes.

    :raises ConfigError: what it needs is not there.
    """
    try:
        secret = oauth.client_secret.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"oauth.client_secret: {oauth.client_secret}: {error}") from None
    terms = Introspection(
        oauth.endpoint,
        oauth.client_id,
        secret,
        oauth.scope,
        oauth.discovery,
        oauth.claim,
        believed=oauth.believed,
    )
    try:
        http = treq_client(reactor, terms.timeout)
    except ImportError:
        raise ConfigError("the table [oauth] needs treq: pip install 'mailpost[oauth]'") from None
    return IntrospectionChecker(terms, domains, http, reactor)


@implementer(ICredentialsChecker)
class IntrospectionChecker:
    """Asks the issuer (RFC 7662); an avatar's id is the account's name (there may be no such account).

    :param domains: the office's domains, with which a user's name may end.
    :param http: such as :func:`~mailpost.accounts.introspection.treq_client` makes.
    :param clock: runs the timeouts.
    :param now: the time in seconds since 1970, as a token's end is counted.
    """

    credentialInterfaces = (IBearerToken,)

    def __init__(
        self,
        terms: Introspection,
        domains: Container[str],
        http: HTTP,
        clock: IReactorTime,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._terms = terms
        self._domains = domains
        self._http = http
        self._clock = clock
        self._now = now
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, tuple[str, float]] = OrderedDict()
        self._asked: Counter[str] = Counter()

    @property
    def told(self) -> TokenTerms:
        """What a client hears whose token was refused."""
        return TokenTerms(self._terms.scope, self._terms.discovery)

    def requestAvatarId(self, credentials: TokenLogin) -> Any:  # a Deferred of octets
        """Find out whose token this is. Cancelled, it asks no further.

        Fails with UnauthorizedLogin: the token is nobody's, not for this office, or another's than the
        name that was given; with TemporaryFailure: that could not be found out.
        """
        return Deferred.fromCoroutine(self._whose(credentials))

    async def _whose(self, credentials: TokenLogin) -> bytes:
        account = await self._account(credentials.token, credentials.peer)
        name = credentials.username
        if name and login_name(name, self._domains) != account:
            raise UnauthorizedLogin("the token is another's")
        credentials.account = account
        return account.encode()

    async def _account(self, token: str, peer: str) -> str:
        digest = hmac.digest(self._key, token.encode(), "sha256")
        account = self._remembered(digest)
        if account is None:
            claims = await self._ask(token, peer)
            account = account_of(claims, self._terms, self._domains, self._now())
            self._remember(digest, account, claims)
        return account

    async def _ask(self, token: str, peer: str) -> Mapping[str, Any]:
        """Ask, while neither this peer nor all of them together ask too much."""
        source = neighbourhood(peer)
        if self._asked.total() >= self._terms.asked:
            raise TooBusy("too many tokens are being asked about")
        if self._asked[source] >= self._terms.asked_by_peer:
            raise TooBusy("its address has too many tokens asked about")
        self._asked[source] += 1
        try:
            asking = Deferred.fromCoroutine(introspect(self._http, self._terms, token))
            return await asking.addTimeout(self._terms.timeout, self._clock)
        except CancelledError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            _log.warn("a token could not be asked about: {reason}", reason=reason)
            raise TemporaryFailure("a token could not be asked about") from error
        finally:
            self._asked[source] -= 1
            if not self._asked[source]:
                del self._asked[source]

    # What is remembered: only what was right ------------------------------------------------------

    def _remembered(self, digest: bytes) -> str | None:
        account, end = self._known.get(digest, (None, 0.0))
        if account is not None and end <= self._now():
            del self._known[digest]
            return None
        return account

    def _remember(self, digest: bytes, account: str, claims: Mapping[str, Any]) -> None:
        latest = self._now() + self._terms.believed
        self._known[digest] = account, min(end_of(claims, latest), latest)
        if len(self._known) > self._terms.remembered:
            self._known.popitem(last=False)
