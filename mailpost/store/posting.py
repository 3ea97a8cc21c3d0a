"""Posting: a letter is entered in the maildrops of its recipients.

All letters of a turn are posted by one statement: every step of a statement lets another thread of
Python run, and taking the turn back from a busy reactor costs more than SQLite's own work.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw

from mailpost.outcome import Delivered, Outcome, Refused, TryLater
from mailpost.store import sql
from mailpost.store.errors import DiskFull, InDoubt
from mailpost.store.sqlite import execute_large
from mailpost.store.writer import Anew, Operation
from mailpost.wire import reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mailpost.envelope import Copy
    from mailpost.store.plain import Plain

DELIVERED = Delivered()
MAILDROP_FULL = TryLater(reply.MAILDROP_FULL, "its quota is used up")
NO_SUCH_USER = Refused(reply.NO_SUCH_USER, "its maildrop has been removed")
MAILDROP_GONE = TryLater(reply.STORE_FAILED, "a recipient's maildrop has been removed")
NOTHING_TO_REPORT = TryLater(reply.STORE_FAILED, "the letter it is about was not kept")

KEEPS_TURN = 2047  # octets that hashlib digests without letting another thread run
SMALL = 16 * 1024  # up to here it is cheaper to keep the turn
FURTHER_COPY = (None,) * 8
ANYWAY = None  # as the quota: however full the maildrop is


class Post(Operation["Sequence[Outcome]"]):
    """Keep a letter and its copies.

    :ivar body: the letter's octets; None where ``parcel`` names the file that has them.
    :ivar extra: octets that collection adds: 2 where the final CRLF is missing.
    :ivar digest: SHA-256 of the octets; of a body it is taken here.
    :ivar plain: what the body is for a peer without UTF8, where that was asked; else None.
    :ivar quota: octets that a maildrop may hold which has no quota of its own; 0: any number.
    :ivar report: the report on the letter, entered with it or not at all.
    :ivar rows: how many entries there are at most, its report's too; and so many outcomes.
    :ivar in_doubt: it was refused, and might be found in the store after a crash all the same.
    :ivar checked: a maildrop was missing, or full: see which.
    """

    __slots__ = (
        "arrived",
        "atomic",
        "body",
        "checked",
        "copies",
        "digest",
        "extra",
        "flags",
        "in_doubt",
        "octets",
        "parcel",
        "plain",
        "quota",
        "report",
        "reverse_path",
        "rows",
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
        body: bytes | None,
        copies: Sequence[Copy],
        atomic: bool,
        report: Post | None = None,
        quota: int = 0,
    ) -> None:
        self.trace = trace
        self.reverse_path = reverse_path
        self.octets = octets
        self.flags = flags
        self.extra = extra
        self.arrived = arrived
        self.body = body
        self.copies = copies
        self.atomic = atomic
        self.report = report
        self.quota = quota
        self.rows: int = len(copies) if report is None else len(copies) + report.rows
        self.digest = b""
        self.parcel: str | None = None
        self.plain: Plain | None = None
        self.checked = False
        self.in_doubt = False

    @classmethod
    def alone(cls, operations: Sequence[Post]) -> bool:
        """Whether they are one statement, and so a transaction by themselves.

        Where a maildrop is missing or full fewer rows are left, and they may be more than one.
        """
        if operations[0].checked:
            return False
        return sum([post.rows for post in operations]) in sql.SIZES

    @classmethod
    def apply(cls, db: apsw.Connection, operations: Sequence[Post]) -> Sequence[Sequence[Outcome]]:
        """Enter them all.

        :raises Anew: a maildrop is missing, or full; each by itself will tell which.
        """
        values: list[object] = []
        answers = [post.enter(db, values) for post in operations]
        try:
            sql.each(partial(execute_large, db), sql.POST, values)
        except apsw.ConstraintError as error:
            for post in operations:
                if post.checked:
                    raise
                post.checked = True
            raise Anew from error
        return answers

    def enter(self, db: apsw.Connection, values: list[object]) -> Sequence[Outcome]:
        """Add the values of each copy's row; what becomes of each copy if all goes well."""
        copies = self.copies
        outcomes: Sequence[Outcome] = [DELIVERED] * len(copies)
        if self.checked:
            outcomes = self._decide(db)
            copies = [copy for copy, to in zip(copies, outcomes, strict=True) if to is DELIVERED]
        first = True
        for copy in copies:
            postmark = copy.postmark
            octets = len(postmark) + self.octets + self.extra  # as _size, on the hot path
            plain = None if self.plain is None else self.plain.below(postmark)
            quota = ANYWAY if copy.always or self.checked else self.quota
            values += (copy.maildrop, octets, plain, self.arrived, postmark, quota)
            values += self._letter(len(copies)) if first else FURTHER_COPY
            first = False
        if self.report is not None:
            return [*outcomes, *self._enter_report(db, values, self.report, kept=bool(copies))]
        return outcomes

    def refused(self, error: Exception) -> Sequence[Outcome]:
        """Nothing was kept: the sender shall come again."""
        self.in_doubt = isinstance(error, InDoubt)
        said = reply.DISK_FULL if isinstance(error, DiskFull) else reply.STORE_FAILED
        return [TryLater(said, str(error))] * self.rows

    def _enter_report(
        self, db: apsw.Connection, values: list[object], report: Post, *, kept: bool
    ) -> Sequence[Outcome]:
        if not kept:
            return [NOTHING_TO_REPORT] * report.rows
        report.checked = self.checked
        return report.enter(db, values)

    def _letter(self, copies: int) -> tuple[object, ...]:
        return (
            self.trace,
            self.reverse_path,
            self.octets,
            self.flags,
            copies,
            self.parcel,
            self.digest if self.body is None else digest(self.body),
            self.body,
        )

    def _decide(self, db: apsw.Connection) -> Sequence[Outcome]:
        there: dict[int, tuple[int, int | None]] = {}
        wanted = [copy.maildrop for copy in self.copies]
        for start, end in sql.portions(len(wanted)):
            statement = sql.times(sql.OPEN_MAILDROPS, end - start)
            rows: list[Any] = db.execute(statement, wanted[start:end]).fetchall()
            there.update({maildrop: (octets, quota) for maildrop, octets, quota in rows})
        if not self.atomic:
            return [self._of_one(copy, there) for copy in self.copies]
        if len(there) < len(set(wanted)):
            return [MAILDROP_GONE] * len(wanted)
        return [self._of_all(there)] * len(wanted)

    def _of_one(self, copy: Copy, there: Mapping[int, tuple[int, int | None]]) -> Outcome:
        if copy.maildrop not in there:
            return NO_SUCH_USER
        return DELIVERED if self._lacking(copy, *there[copy.maildrop]) <= 0 else MAILDROP_FULL

    def _of_all(self, there: Mapping[int, tuple[int, int | None]]) -> Outcome:
        """What becomes of a letter of which either all copies are kept or none.

        Nobody is to go without it because another one's maildrop cannot hold it: that one goes beyond its
        quota, by this one letter. One that is full already was not when RCPT was answered; when the letter
        comes again that recipient is refused, and the others get it.
        """
        lacking = [(copy, *there[copy.maildrop]) for copy in self.copies]
        lacking = [each for each in lacking if self._lacking(*each) > 0]
        full = [each for each in lacking if self._lacking(*each) >= self._size(each[0])]
        return MAILDROP_FULL if full or len(lacking) == len(self.copies) else DELIVERED

    def _size(self, copy: Copy) -> int:
        return len(copy.postmark) + self.octets + self.extra

    def _lacking(self, copy: Copy, octets: int, own: int | None) -> int:
        """Octets by which a copy goes beyond the quota of its maildrop; 0 or less: it does not."""
        quota = self.quota if own is None else own
        return 0 if copy.always or not quota else octets + self._size(copy) - quota


def digest(body: bytes) -> bytes:
    """The SHA-256 of a body."""
    if len(body) > SMALL:
        return hashlib.sha256(body).digest()
    sha256 = hashlib.sha256()
    for start in range(0, len(body), KEEPS_TURN):
        sha256.update(body[start : start + KEEPS_TURN])
    return sha256.digest()
