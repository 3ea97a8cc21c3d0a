"""Writing a parcel while it arrives: octets gather in the reactor's thread and go to another in portions.

Nothing here blocks. At most one portion is being written and one gathers, so a letter of any size holds
some 1 MiB; whoever writes is told to wait where the disk is behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.python.failure import Failure

    from mailpost.store.parcels import ParcelFile

PORTION = 512 * 1024
"""Octets that go to the thread together.

For each, whatever its size, the thread and the reactor's wait for the interpreter in turn several times.
"""


class ParcelStream:
    """A parcel on its way to the disk."""

    __slots__ = (
        "_chunks",
        "_error",
        "_file",
        "_in_thread",
        "_octets",
        "_resting",
        "_waiter",
        "_writing",
        "name",
    )

    log = Logger()

    def __init__(self, file: ParcelFile, in_thread: Callable[..., Deferred[Any]]) -> None:
        self.name = file.name
        self._file = file
        self._in_thread = in_thread
        self._chunks: list[bytes] = []
        self._octets = 0
        self._writing = False
        self._waiter: Deferred[None] | None = None
        self._resting: list[Deferred[None]] = []
        self._error: Exception | None = None

    def write(self, chunk: bytes) -> Deferred[None] | None:
        """Take octets; a Deferred where the disk is behind. An error is told by :meth:`keep`."""
        if self._error is not None:
            return None
        self._chunks.append(chunk)
        self._octets += len(chunk)
        if self._octets < PORTION:
            return None
        if not self._writing:
            self._hand_over()
            return None
        if self._waiter is None:
            self._waiter = Deferred()
        return self._waiter

    def stop(self, error: Exception) -> None:
        """Write no further: :meth:`keep` will raise this."""
        self._error = self._error or error
        self._chunks = []
        self._octets = 0

    async def keep(self) -> bytes:
        """Write the rest and make the parcel durable; its digest.

        :raises OSError: it could not be written.
        """
        await self._rest()
        if self._error is not None:
            raise self._error
        chunks, self._chunks = self._chunks, []

        def finish() -> bytes:
            self._file.write(chunks)
            return self._file.keep()

        digest: bytes = await self._in_thread(finish)
        return digest

    def discard(self) -> None:
        """Remove what was written, as soon as nothing is being written."""
        self._chunks = []
        self._octets = 0

        async def remove() -> None:
            await self._rest()
            await self._in_thread(self._file.discard)

        Deferred.fromCoroutine(remove()).addErrback(
            lambda failure: self.log.failure("a parcel could not be removed", failure)
        )

    def _rest(self) -> Deferred[None]:
        resting: Deferred[None] = Deferred()
        if self._writing:
            self._resting.append(resting)
        else:
            resting.callback(None)
        return resting

    def _hand_over(self) -> None:
        chunks, self._chunks, self._octets = self._chunks, [], 0
        self._writing = True
        self._in_thread(self._file.write, chunks).addCallbacks(self._written, self._failed)

    def _written(self, _: None) -> None:
        self._writing = False
        if self._octets >= PORTION and not self._resting:
            self._hand_over()
        self._go_on()

    def _failed(self, failure: Failure) -> None:
        self._writing = False
        error = failure.value
        self._error = error if isinstance(error, Exception) else OSError(str(error))
        self._chunks = []
        self._go_on()

    def _go_on(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.callback(None)
        if not self._writing:
            resting, self._resting = self._resting, []
            for deferred in resting:
                deferred.callback(None)
