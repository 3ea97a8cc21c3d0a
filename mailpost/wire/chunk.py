"""A chunk of a letter: BDAT's octets are counted, never searched (RFC 3030 §2)."""

from __future__ import annotations


class ChunkReader:
    """Takes so many octets; what comes after them is somebody else's.

    :param octets: the chunk's size, 0 or more.
    """

    __slots__ = ("_left", "rest")

    def __init__(self, octets: int) -> None:
        self._left = octets
        self.rest: bytes | None = None if octets else b""
        """What came after the chunk's last octet; None until that was seen."""

    def feed(self, octets: bytes) -> bytes:
        """The next piece of the chunk."""
        left = self._left
        if len(octets) < left:
            self._left = left - len(octets)
            return octets
        self._left = 0
        self.rest = octets[left:]
        return octets[:left]
