"""Posting: a letter is entered in the maildrops of its recipients.

All letters of a turn are posted together, by a handful of statements. Each maildrop's numbers are given under
its own row, several maildrops in their order, so that they become visible in their order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mailpost.outcome import Delivered, Outcome, Refused, TryLater
from mailpost.store import sql
from mailpost.store.errors import DiskFull
from mailpost.store.writer import Operation
from mailpost.wire import reply

if TYPE_CHECKING:
    from collections.abc import Sequence

    import apsw

    from mailpost.envelope import Copy

DELIVERED = Delivered()
NO_SUCH_USER = Refused(reply.NO_SUCH_USER, "its maildrop has been removed")
MAILDROP_GONE = TryLater(reply.STORE_FAILED, "a recipient's maildrop has been removed")


class Post(Operation["Sequence[Outcome]"]):
    """Keep a letter and its copies.

    :ivar body: the letter's octets; None where ``parcel`` names the file that has them.
    :ivar extra: octets that collection adds: 2 where the final CRLF is missing.
    """

    __slots__ = (
        "arrived",
        "atomic",
        "body",
        "copies",
        "digest",
        "extra",
        "flags",
        "octets",
        "parcel",
        "reverse_path",
        "trace",
    )

    def __init__(  # noqa: PLR0913 - a letter's row
        self,
        *,
        trace: str,
        reverse_path: str | None,
        octets: int,
        flags: int,
        extra: int,
        arrived: int,
        digest: bytes,
        body: bytes | None,
        parcel: str | None,
        copies: Sequence[Copy],
        atomic: bool,
    ) -> None:
        self.trace = trace
        self.reverse_path = reverse_path
        self.octets = octets
        self.flags = flags
        self.extra = extra
        self.arrived = arrived
        self.digest = digest
        self.body = body
        self.parcel = parcel
        self.copies = copies
        self.atomic = atomic

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Post]) -> Sequence[Sequence[Outcome]]:
        """Give numbers, then write letters, bodies, entries and maildrops, each kind at once."""
        nexts = _nexts(db, operations)
        letter = int(db.execute(sql.LAST_LETTER).get)
        letters: list[Sequence[object]] = []
        bodies: list[Sequence[object]] = []
        entries: list[Sequence[object]] = []
        gained: dict[int, list[int]] = {}
        answers: list[Sequence[Outcome]] = []
        for post in operations:
            outcomes, known = post._decide(nexts)
            answers.append(outcomes)
            if not known:
                continue
            letter += 1
            letters.append(
                (
                    letter,
                    post.trace,
                    post.reverse_path,
                    post.octets,
                    post.flags,
                    len(known),
                    post.parcel,
                    post.digest,
                )
            )
            if post.body is not None:
                bodies.append((letter, post.body))
            for copy in known:
                maildrop = copy.maildrop
                number = nexts[maildrop]
                nexts[maildrop] = number + 1
                octets = len(copy.postmark) + post.octets + post.extra
                sums = gained.setdefault(maildrop, [0, 0])
                sums[0] += 1
                sums[1] += octets
                entries.append((maildrop, number, letter, octets, post.arrived, copy.postmark))
        execute = db.execute
        sql.each(execute, sql.ADD_LETTER, letters)
        sql.each(execute, sql.ADD_BODY, bodies)
        sql.each(execute, sql.ADD_ENTRY, entries)
        sql.each(execute, sql.ADVANCE, [(drop, *gained[drop]) for drop in sorted(gained)])
        return answers

    def refused(self, error: Exception) -> Sequence[Outcome]:
        """Nothing was kept: the sender shall come again."""
        said = reply.DISK_FULL if isinstance(error, DiskFull) else reply.STORE_FAILED
        return [TryLater(said, str(error))] * len(self.copies)

    def _decide(self, nexts: dict[int, int]) -> tuple[Sequence[Outcome], Sequence[Copy]]:
        known = [copy for copy in self.copies if copy.maildrop in nexts]
        if len(known) == len(self.copies):
            return [DELIVERED] * len(known), known
        if self.atomic:
            return [MAILDROP_GONE] * len(self.copies), ()
        return [
            DELIVERED if copy.maildrop in nexts else NO_SUCH_USER for copy in self.copies
        ], known


def _nexts(db: apsw.Connection, operations: Sequence[Post]) -> dict[int, int]:
    drops = sorted({copy.maildrop for post in operations for copy in post.copies})
    nexts: dict[int, int] = {}
    for start, end in sql.portions(len(drops)):
        found = db.execute(sql.times(sql.NEXT_NUMBERS, end - start), drops[start:end]).get
        nexts.update((int(drop), number) for drop, number in json.loads(found).items())
    return nexts
