"""What somebody offers to be let in, in the sense of ``twisted.cred``: one kind for each way of logging in.

::

    a name and a password    Login          IUsernamePassword, IUsernameHashedPassword
    APOP's digest            DigestLogin    IUsernameHashedPassword
    a bearer token           TokenLogin     IBearerToken
    a proof by SCRAM         ProvenLogin    IProof
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from twisted.cred.credentials import ICredentials, IUsernameHashedPassword, IUsernamePassword
from zope.interface import Attribute, implementer

if TYPE_CHECKING:
    from mailpost.wire.scram_keys import ScramKeys


class IPeerCredentials(IUsernamePassword):
    """A name and a password, and who offers them."""

    peer: str = Attribute("""The peer's IP address; ``""`` where there is none.""")


class IBearerToken(ICredentials):
    """A bearer token (RFC 6750) in place of a password."""

    username: bytes = Attribute(
        """Who they say they are, perhaps with the domain; ``b""``: the token shall tell."""
    )
    token: str = Attribute("""The token.""")
    peer: str = Attribute("""The peer's IP address; ``""`` where there is none.""")


class IProof(ICredentials):
    """The proof that a password is known, which was found right for these keys (RFC 5802)."""

    username: bytes = Attribute("""Who they say they are.""")
    keys: ScramKeys = Attribute("""The keys of the password that is known.""")


@implementer(ICredentials)
class Offered:
    """What all of them have.

    :ivar peer: the peer's IP address, for fairness between peers; ``""`` where there is none.
    :ivar account: who it turned out to be, for the log: the office's checkers tell; before, what was typed.
    """

    __slots__ = ("account", "peer", "username")

    def __init__(self, username: bytes, peer: str = "") -> None:
        self.username = username
        self.account = username.decode(errors="replace")
        self.peer = peer

    def __repr__(self) -> str:
        """Tell who, but never the secret."""
        return f"<{type(self).__name__} {self.username!r} from {self.peer!r}>"


@implementer(IPeerCredentials, IUsernameHashedPassword)
class Login(Offered):
    """A name and a password; serves checkers that read it as well as those that only have it compared."""

    __slots__ = ("password",)

    def __init__(self, username: bytes, password: bytes, peer: str = "") -> None:
        super().__init__(username, peer)
        self.password = password

    def checkPassword(self, password: bytes | str) -> bool:
        """Compare with the right password; some of Twisted's own checkers hold it as text."""
        right = password.encode() if isinstance(password, str) else password
        return hmac.compare_digest(right, self.password)


@implementer(IBearerToken)
class TokenLogin(Offered):
    """A token, and perhaps a name."""

    __slots__ = ("token",)

    def __init__(self, username: bytes, token: str, peer: str = "") -> None:
        super().__init__(username, peer)
        self.token = token


@implementer(IUsernameHashedPassword)
class DigestLogin(Offered):
    """A name, and the MD5 of a challenge and a secret (APOP, RFC 1939 §7)."""

    __slots__ = ("_challenge", "_digest")

    def __init__(self, username: bytes, challenge: str, digest: str, peer: str = "") -> None:
        super().__init__(username, peer)
        self._challenge = challenge.encode()
        self._digest = digest

    def checkPassword(self, password: bytes | str) -> bool:
        """Whether the secret is this one."""
        secret = password.encode() if isinstance(password, str) else password
        made = hashlib.md5(self._challenge + secret, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(made, self._digest)


@implementer(IProof)
class ProvenLogin(Offered):
    """A name, and the keys of a password that is known."""

    __slots__ = ("keys",)

    def __init__(self, username: bytes, keys: ScramKeys, peer: str = "") -> None:
        super().__init__(username, peer)
        self.keys = keys
