"""The server's side of one TLS connection, in memory: what came goes in, what is to be sent comes out.

Between OpenSSL and :mod:`mailpost.encrypted`, which knows the transport. A handshake, every command and every
reply come through here. So OpenSSL is called without pyOpenSSL's methods in between, which make a buffer and
raise an exception where a look at a number does; and what comes in one piece off the wire is given on in one
piece, however many records it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from OpenSSL._util import ffi as _ffi
from OpenSSL._util import lib as _openssl

if TYPE_CHECKING:
    from OpenSSL import SSL

MOST = 512 * 1024
"""Octets that may be sent at a time."""

_RECORD = 16 * 1024
"""What one record holds at most (RFC 8446 §5.1). OpenSSL's memory keeps the size that it once had, so it is
given no more than that at a time."""

_PLAIN_ROOM = 8 * _RECORD
_ENOUGH = 5 * _RECORD  # the next piece may have a record that is here in part, and one more
_CIPHER_ROOM = MOST + 8 * _RECORD  # each record has its frame, and tickets may wait before them

# One for all connections, since nothing stays in them: the reactor has one thread.
_new = _ffi.new_allocator(should_clear_after_alloc=False)
_PLAIN = _new("char[]", _PLAIN_ROOM)
_CIPHER = _new("char[]", _CIPHER_ROOM)


class Stream:
    """What one connection says, both ways.

    After :meth:`receive` and :meth:`close` there may be something in :meth:`output`: a handshake's answer, an
    alert, the answer to a KeyUpdate.

    :param connection: OpenSSL's side, in its accept state, on memory.
    :ivar shaken: the handshake is done. Nothing can be sent before.
    :ivar over: the peer has closed, or what came was no TLS: nothing that comes counts any more.
    """

    __slots__ = ("_broken", "_from_ssl", "_into_ssl", "_ssl", "connection", "over", "shaken")

    def __init__(self, connection: SSL.Connection) -> None:
        self.connection = connection
        self._ssl = connection._ssl  # noqa: SLF001
        self._into_ssl = connection._into_ssl  # noqa: SLF001
        self._from_ssl = connection._from_ssl  # noqa: SLF001
        self.shaken = False
        self.over = False
        self._broken = False

    def receive(self, octets: bytes) -> bytes:
        """Take what came off the wire; what the peer says by it, as far as its records are whole."""
        said: list[bytes] = []
        filled = 0
        incoming = _ffi.from_buffer(octets)
        for start in range(0, len(octets), _RECORD):
            if self.over:
                break
            piece = min(_RECORD, len(octets) - start)
            _openssl.BIO_write(self._into_ssl, incoming + start, piece)
            _openssl.ERR_clear_error()  # what others have left there would be taken for ours
            if not (self.shaken or self._shake_hands()):
                continue
            while (got := _openssl.SSL_read(self._ssl, _PLAIN + filled, _PLAIN_ROOM - filled)) > 0:
                filled += got
            self._look(got)
            if filled > _ENOUGH:
                said.append(_ffi.buffer(_PLAIN, filled)[:])
                filled = 0
        if filled:
            said.append(_ffi.buffer(_PLAIN, filled)[:])
        return said[0] if len(said) == 1 else b"".join(said)

    def send(self, octets: bytes | memoryview) -> memoryview:
        """Encrypt what is to be said; what is to be sent for it, and for whatever came before.

        :param octets: no more than :data:`MOST`.
        :returns: is to be used at once: whatever is sent next, on any connection, takes its place.
        """
        filled = 0
        outgoing = _ffi.from_buffer(octets)
        _openssl.ERR_clear_error()
        for start in range(0, len(octets), _RECORD):
            piece = min(_RECORD, len(octets) - start)
            if _openssl.SSL_write(self._ssl, outgoing + start, piece) <= 0:
                self._break()
                break
            filled += _openssl.BIO_read(self._from_ssl, _CIPHER + filled, _CIPHER_ROOM - filled)
        return memoryview(_ffi.buffer(_CIPHER, filled))

    def output(self) -> bytes:
        """What TLS itself has to send, perhaps ``b""``."""
        sent = b""
        while (got := _openssl.BIO_read(self._from_ssl, _CIPHER, _CIPHER_ROOM)) > 0:
            sent += _ffi.buffer(_CIPHER, got)[:]
        return sent

    def close(self, last: bytes) -> None:
        """Say the last words, and that nothing more will come: close_notify (RFC 8446 §6.1)."""
        if not self.shaken or self._broken:
            return
        _openssl.ERR_clear_error()
        if last and _openssl.SSL_write(self._ssl, last, len(last)) <= 0:
            self._break()
            return
        _openssl.SSL_shutdown(self._ssl)
        _openssl.ERR_clear_error()

    def _shake_hands(self) -> bool:
        result = _openssl.SSL_do_handshake(self._ssl)
        if result == 1:
            self.shaken = True
        else:
            self._look(result)
        return self.shaken

    def _look(self, result: int) -> None:
        """See why OpenSSL stopped: most often it only needs more."""
        error = _openssl.SSL_get_error(self._ssl, result)
        if error == _openssl.SSL_ERROR_WANT_READ:
            return
        self.over = True
        if error != _openssl.SSL_ERROR_ZERO_RETURN:
            self._break()

    def _break(self) -> None:
        self.over = self._broken = True
        _openssl.ERR_clear_error()
