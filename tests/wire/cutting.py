"""Octets as mail has them, cut anywhere."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

_MAIL = st.sampled_from(
    [
        b"\r\n",
        b"\r\n.",
        b"\r\n.\r",
        b".",
        b"..",
        b"\r",
        b"\n",
        b"\0",
        b"a",
        b"line",
        b"\r\n\r\n",
        b"\xff",
    ]
)


def mail_octets(max_size: int = 40) -> st.SearchStrategy[bytes]:
    """Any octets, but mostly dots and line ends where they hurt."""
    return st.lists(_MAIL | st.binary(max_size=3), max_size=max_size).map(b"".join)


def cuts() -> st.SearchStrategy[list[int]]:
    """Places to cut at; those beyond the end do nothing."""
    return st.lists(st.integers(0, 60), max_size=12) | st.just(list(range(200)))


def pieces(octets: bytes, at: list[int]) -> list[bytes]:
    """The octets, cut at these places."""
    places = [0, *sorted({place for place in at if place < len(octets)}), len(octets)]
    return [octets[a:b] for a, b in itertools.pairwise(places)]
