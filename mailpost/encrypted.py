"""TLS between a transport and a connection: from the first octet, or from STARTTLS on.

To the transport it is the protocol, to the connection it is transport and outlet both. What the connection
says is encrypted and sent at once, by the outlet that would be the connection's own in the clear: on the
socket itself while the kernel takes it, and held back while the peer does not read. Twisted's own layer
keeps what is written until the reactor comes round again, twice.

It is above :mod:`mailpost.outlet`, which it sends by, and :mod:`mailpost.tls`, which knows how to encrypt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from zope.interface import implementer

from mailpost.limits import MAX_THROWN_AWAY
from mailpost.outlet import Outlet, Speaker, outlet_for
from mailpost.proxied import proxy_header
from mailpost.tls.stream import MOST, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from OpenSSL import SSL
    from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
    from twisted.python.failure import Failure

    from mailpost.tls import ServerTLS
    from mailpost.wire.proxy import Header


@implementer(ITransport)
class Encrypted(Protocol):
    """One connection's TLS, on the server's side.

    :param tls: whose certificates are shown, and whose patience counts for the handshake.
    :param inner: what is spoken under it.
    """

    transport: Any
    _stream: Stream
    _outlet: Outlet

    def __init__(self, tls: ServerTLS, inner: IProtocol) -> None:
        self._tls = tls
        self._inner = inner
        self._speaker: Speaker | None = None
        self._unsaid: list[bytes] = []  # said before the handshake was over
        self._closing: bool | None = None  # orderly or not, as soon as it is over
        self._ended = False  # nothing more is taken, nothing more is said
        self._paused = False  # by the connection
        self._choked = False  # the peer has us answer and does not take the answers
        self._thrown_away = 0  # octets that came after the end

    # For the transport ----------------------------------------------------------------------------

    def makeConnection(self, transport: ITransport) -> None:
        """TLS from the first octet (RFC 8314 §3)."""
        self.begin(transport)
        self._inner.makeConnection(self)

    def begin(self, transport: Any) -> None:
        """TLS from now on: what was spoken before was in the clear (RFC 3207, RFC 2595 §4)."""
        self.transport = transport
        self.connected = 1
        self._outlet = outlet_for(transport, self)
        self._stream = Stream(self._tls.connection())
        self._tls.handshakes.touch(self)

    def dataReceived(self, data: bytes) -> None:
        """Decrypt what came, and give it on in one piece; what comes after the end is thrown away.

        But not for ever: who sends that much hears nothing, as in the clear.
        """
        if self._ended:
            self._thrown_away += len(data)
            if self._thrown_away > MAX_THROWN_AWAY:
                self.abortConnection()
            return
        stream = self._stream
        shaken = stream.shaken
        said = stream.receive(data)
        if stream.shaken is not shaken:
            self._shaken()
        else:
            self._answer()
        if said and not self._ended:
            self._inner.dataReceived(said)
        if stream.over and not self._ended:
            self._end(b"", orderly=True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The transport has gone."""
        self.connected = 0
        self._ended = True
        self._tls.handshakes.forget(self)
        inner = self._inner
        # What leads round in a circle: OpenSSL's memory is not to wait for the garbage collector.
        self._speaker = None
        del self._inner, self._outlet
        inner.connectionLost(reason)

    # The connection's transport -------------------------------------------------------------------

    def getHandle(self) -> SSL.Connection:
        """OpenSSL's side, which knows what was agreed upon."""
        return self._stream.connection

    @property
    def proxied(self) -> Header | None:
        """What the proxy in front said, before TLS began."""
        return proxy_header(self.transport)

    def getPeer(self) -> IAddress:
        """The peer's address."""
        return self.transport.getPeer()  # type: ignore[no-any-return]

    def getHost(self) -> IAddress:
        """The office's own address."""
        return self.transport.getHost()  # type: ignore[no-any-return]

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False
        if not self._choked:
            self.transport.resumeProducing()

    def write(self, data: bytes) -> None:
        """As :meth:`send`."""
        self.send(data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """As :meth:`send`, of all of them."""
        self.send(b"".join(iovec))

    def loseConnection(self) -> None:
        """As :meth:`close`, in order."""
        self.close(b"", orderly=True)

    def abortConnection(self) -> None:
        """Be gone, without close_notify: what was said may not have come whole."""
        self._ended = True
        self.transport.abortConnection()

    # The connection's outlet ----------------------------------------------------------------------

    def outlet(self, speaker: Speaker) -> Outlet:
        """The way out of whoever speaks under this TLS; as :func:`~mailpost.outlet.outlet_for`."""
        self._speaker = speaker
        return self

    @property
    def full(self) -> bool:
        """Nothing more should be sent before ``Speaker.drained`` came; first, hands are shaken."""
        return not self._stream.shaken or self._outlet.full

    def send(self, octets: bytes | memoryview) -> None:
        """Send, in order; what cannot be sent at once is copied."""
        if self._ended or self._closing is not None:
            return
        if not self._stream.shaken:
            self._unsaid.append(bytes(octets))
        elif len(octets) <= MOST:
            self._outlet.send(self._stream.send(octets))
        else:
            for start in range(0, len(octets), MOST):
                self._outlet.send(self._stream.send(octets[start : start + MOST]))

    def detach(self) -> None:
        """Tell nobody any more when there is room again."""
        self._speaker = None

    def close(self, last: bytes, *, orderly: bool) -> None:
        """Close with close_notify; what was sent will still go out.

        Its answer is not waited for (RFC 8446 §6.1): whoever has read it has read everything.
        """
        self.detach()
        if self._ended or self._closing is not None:
            return
        if self._stream.shaken:
            self._end(last, orderly=orderly)
        elif last or self._unsaid:
            self._unsaid.append(last)
            self._closing = orderly
        else:
            self.abortConnection()

    def stopProducing(self) -> None:
        """The connection has gone, and hears of it by itself."""

    # Both -----------------------------------------------------------------------------------------

    def _shaken(self) -> None:
        """Hands are shaken: say what waited for it, along with what TLS has to say."""
        self._tls.handshakes.forget(self)
        unsaid, self._unsaid = b"".join(self._unsaid), []
        if self._closing is not None:
            self._end(unsaid, orderly=self._closing)
            return
        if unsaid:
            self.send(unsaid)
        else:
            self._answer()
        if not self._outlet.full and self._speaker is not None:
            self._speaker.drained()

    def _answer(self) -> None:
        """Send what TLS itself has to say; a peer that does not take it is not asked for more."""
        answer = self._stream.output()
        if answer:
            self._outlet.send(answer)
            if self._outlet.full and not self._choked:
                self._choked = True
                self.transport.pauseProducing()

    def _end(self, last: bytes, *, orderly: bool) -> None:
        self._ended = True
        self._stream.close(last)
        if self._choked:  # what still comes is thrown away, and the peer's end is to be heard
            self._choked = False
            self.transport.resumeProducing()
        self._outlet.close(self._stream.output(), orderly=orderly)

    def drained(self) -> None:
        """The transport takes more again."""
        if self._choked:
            self._choked = False
            if not self._paused:
                self.transport.resumeProducing()
        if self._speaker is not None:
            self._speaker.drained()


class EncryptedFactory(Factory):
    """Wraps the factory of whatever is spoken under TLS from the first octet.

    :param tls: whose certificates are shown.
    :param inner: gets ``buildProtocol`` as the port calls it.
    """

    noisy = False

    def __init__(self, tls: ServerTLS, inner: IProtocolFactory) -> None:
        self.inner = inner
        self._tls = tls

    def doStart(self) -> None:
        """A port listens."""
        self.inner.doStart()
        super().doStart()  # type: ignore[no-untyped-call]

    def doStop(self) -> None:
        """A port listens no longer."""
        self.inner.doStop()
        super().doStop()  # type: ignore[no-untyped-call]

    def buildProtocol(  # type: ignore[override]  # where the room is not open there is nothing to encrypt
        self, addr: IAddress
    ) -> Encrypted | None:
        """Somebody connects."""
        inner = self.inner.buildProtocol(addr)
        return None if inner is None else Encrypted(self._tls, inner)
