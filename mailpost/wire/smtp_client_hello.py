"""How an SMTP client's session begins: greeting, EHLO, STARTTLS (RFC 3207), AUTH (RFC 4954).

::

    greeting --> EHLO --> [STARTTLS --> TLS --> EHLO] --> [AUTH] --> Ready
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailpost.wire.sasl_base64 import decode_base64, encode_base64
from mailpost.wire.sasl_client import ClientExchange, Distrust, begin, choose
from mailpost.wire.saslprep import Prohibited
from mailpost.wire.scram import fresh_nonce
from mailpost.wire.session import MASKED
from mailpost.wire.smtp_client_events import BeginTLS, Ended, Ready, Reason, TLSPolicy
from mailpost.wire.smtp_client_replies import ProtocolError
from mailpost.wire.smtp_client_session import ClientSession, done

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mailpost.wire.reply import Reply
    from mailpost.wire.sasl_client import Credentials

_NAME = re.compile(r"[A-Za-z0-9._:\[\]-]{1,255}")
_KEYWORD = re.compile("[A-Za-z0-9][A-Za-z0-9-]*")
_NO_EHLO = frozenset((500, 501, 502, 504, 550))  # RFC 5321 §3.2, and what servers say in fact
_MAX_COMMAND = 510  # §4.5.3.1.4, without its CRLF
_NO_BINDINGS: Mapping[str, bytes] = MappingProxyType({})


class HelloSession(ClientSession):
    """The part of a session that leads to :class:`Ready`.

    :param name: what we call ourselves: a domain or an address literal.
    :param lmtp: whether LMTP is spoken: LHLO, and a reply for each recipient at the letter's end.
    :param policy: what to do about STARTTLS.
    :param credentials: who logs in; None: nobody does.
    :param cleartext: whether a password may be said without TLS.
    :param bindings: the channel bindings of TLS that was begun before the first octet.
    :param nonce: makes SCRAM's nonces.
    :raises ValueError: the name cannot be written in a command.
    :ivar extensions: what was announced, by keyword in upper case, with its parameters.
    :ivar tls: whether TLS is spoken.
    """

    def __init__(
        self,
        name: str,
        *,
        lmtp: bool = False,
        policy: TLSPolicy = TLSPolicy.OFFERED,
        tls: bool = False,
        credentials: Credentials | None = None,
        cleartext: bool = False,
        bindings: Mapping[str, bytes] = _NO_BINDINGS,
        nonce: Callable[[], str] = fresh_nonce,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ValueError("our own name: a domain or an address literal")
        super().__init__()
        self._name = name.encode("ascii")
        self._lmtp = lmtp
        self._policy = policy
        self._credentials = credentials
        self._cleartext = cleartext
        self._bindings = bindings
        self._nonce = nonce
        self._handshake = False
        self._tls_refused = False
        self._exchange: ClientExchange | None = None
        self._held_back: bytes | None = None
        self.extensions: dict[str, str] = {}
        self.tls = tls

    # For the shell --------------------------------------------------------------------------------

    def receive(self, octets: bytes) -> None:
        """Take what came off the wire; nothing happens before :meth:`next_event`."""
        if self._handshake:
            self._end(Ended(Reason.PROTOCOL, detail="octets in the clear where TLS begins"))
        else:
            super().receive(octets)

    def tls_begun(self, bindings: Mapping[str, bytes] = _NO_BINDINGS) -> None:
        """Answer :class:`BeginTLS`: what is fed from now on came through TLS.

        :param bindings: the channel bindings of this TLS, by name: ``tls-exporter`` in TLS 1.3,
            ``tls-unique`` before.
        """
        if not self._handshake:
            raise RuntimeError("nobody has asked for TLS")
        self._handshake = False
        self.tls = True
        self._bindings = bindings
        self._hello()

    def _end(self, ended: Ended) -> None:
        self._handshake = False
        super()._end(ended)

    # Hello ----------------------------------------------------------------------------------------

    def _greeted(self, reply: Reply) -> None:
        if done(reply):
            self._hello()
        else:
            self._leave(Ended(Reason.REFUSED, reply))

    def _hello(self) -> None:
        self.extensions = {}
        self._command((b"LHLO " if self._lmtp else b"EHLO ") + self._name, self._extended)

    def _extended(self, reply: Reply) -> None:
        if done(reply):
            for line in reply.lines[1:]:
                keyword, _, parameters = line.partition(" ")
                if _KEYWORD.fullmatch(keyword):
                    self.extensions[keyword.upper()] = parameters
            self._go_on()
        elif reply.code in _NO_EHLO and not self._lmtp:
            self._command(b"HELO " + self._name, self._plain)
        else:
            self._leave(Ended(Reason.REFUSED, reply))

    def _plain(self, reply: Reply) -> None:
        if done(reply):
            self._go_on()
        else:
            self._leave(Ended(Reason.REFUSED, reply))

    def _go_on(self) -> None:
        """Take the next step towards a letter."""
        wanted = not self.tls and self._policy is not TLSPolicy.NEVER
        if wanted and "STARTTLS" in self.extensions and not self._tls_refused:
            self._command(b"STARTTLS", self._tls_answered)
        elif wanted and self._policy is TLSPolicy.REQUIRED:
            self._leave(Ended(Reason.NO_TLS))
        elif self._credentials is not None:
            self._log_in(self._credentials)
        else:
            self._events.append(Ready(MappingProxyType(self.extensions)))

    def _tls_answered(self, reply: Reply) -> None:
        if not done(reply):
            self._tls_refused = True
            if self._policy is TLSPolicy.REQUIRED:
                self._leave(Ended(Reason.NO_TLS, reply))
            else:
                self._go_on()
        elif self._spoken_unasked():
            raise ProtocolError("octets in the clear behind the answer to STARTTLS")
        else:
            self.extensions = {}
            self._handshake = True
            self._events.append(BeginTLS())

    # The login ------------------------------------------------------------------------------------

    def _log_in(self, credentials: Credentials) -> None:
        offered = self.extensions.get("AUTH", "").upper().split()
        secret = self.tls or self._cleartext
        mechanism = choose(offered, credentials, cleartext=secret, bindings=self._bindings)
        if mechanism is None:
            self._leave(Ended(Reason.NO_MECHANISM, detail=f"offered: {' '.join(offered)}"))
            return
        try:
            self._exchange = begin(
                mechanism,
                credentials,
                offered=offered,
                bindings=self._bindings,
                nonce=self._nonce,
            )
        except Prohibited as error:
            self._leave(Ended(Reason.LOGIN, detail=str(error)))
            return
        line = b"AUTH " + mechanism.encode("ascii")
        self._held_back = self._exchange.initial
        if self._held_back is not None:
            whole = line + b" " + (encode_base64(self._held_back) or b"=")
            if len(whole) <= _MAX_COMMAND:  # RFC 4954 §4: else it waits for an empty challenge
                line, self._held_back = whole, None
        self._command(line, self._challenged, shown=f"AUTH {mechanism} {MASKED}")

    def _challenged(self, reply: Reply) -> None:
        assert self._exchange is not None
        if reply.code == 334:  # noqa: PLR2004 - RFC 4954 §4
            try:
                response = encode_base64(self._respond(self._exchange, reply))
            except Distrust as distrust:
                ended = Ended(Reason.DISTRUST, detail=str(distrust))
                self._command(b"*", lambda _: self._leave(ended))
                return
            self._command(response, self._challenged, shown=MASKED)
        elif not done(reply):
            self._leave(Ended(Reason.LOGIN, reply))
        elif self._exchange.complete and self._held_back is None:
            self._credentials = None
            self._exchange = None
            self._go_on()
        else:
            self._leave(Ended(Reason.DISTRUST, reply))

    def _respond(self, exchange: ClientExchange, reply: Reply) -> bytes:
        challenge = decode_base64(reply.lines[0].encode("ascii"))
        if challenge is None or len(reply.lines) > 1:
            raise Distrust("a challenge that is no base64")
        if self._held_back is None:
            return exchange.respond(challenge)
        if challenge:
            raise Distrust("a challenge before the initial response")
        response, self._held_back = self._held_back, None
        return response
