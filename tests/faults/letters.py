"""Letters that say their own name: from the name follow their size and all of their octets."""

from __future__ import annotations

import random

from mailpost.store.delivery import ROW

SIZES = (200, 2_000, 4_000, 8_000)
BORDER = (ROW - 50, ROW + 50, 300_000)  # of a row and a file of its own; and surely a file


def body_of(name: str, size: int | None = None) -> bytes:
    """The letter of a name, with CRLF at each line's end.

    :param name: printable, and without spaces.
    :param size: about how many octets; None: mostly few, sometimes as many as a row holds, sometimes more.
    """
    dice = random.Random(name)
    if size is None:
        size = dice.choice([*SIZES * 5, *BORDER])
    head = f"Subject: {name}\r\n\r\n".encode()
    lines = [b"%s %032x\r\n" % (name.encode(), dice.getrandbits(128)) for _ in range(16)]
    page = b"".join(lines)
    pages, rest = divmod(max(0, size - len(head)), len(page) + 10)
    # No two pages are alike, so one that is in the place of another is seen.
    numbered = [b"%08x\r\n" % number + page for number in range(pages)]
    return b"".join([head, *numbered, *lines[: rest * len(lines) // len(page)]])


def name_in(body: bytes) -> str:
    """The name that a letter says, or ``?`` where it says none."""
    first, found, _ = body.partition(b"\r\n\r\n")
    if not found or not first.startswith(b"Subject: "):
        return "?"
    return first.removeprefix(b"Subject: ").decode(errors="replace")
