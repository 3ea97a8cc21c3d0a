"""Incoming: what a source has is brought into a maildrop, some letters at a time, and nothing twice."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from attrs import define, field

from mailpost.carrying.source import arrival
from mailpost.store.bringing import UIDL, key_of
from mailpost.store.entering import Fate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.carrying.source import Letter, Source
    from mailpost.store.bringing import Bringing
    from mailpost.store.entering import Brought

LETTERS = 64  # to a transaction, at most
OCTETS = 1024 * 1024  # or so many


@define
class Outcome:
    """What has become of a source's letters.

    :ivar brought: how many are in the maildrop now that were not before; with ``octets``.
    :ivar there: how many were there already, or had been brought before.
    :ivar new_uidl: those of them that were brought and have another unique-id than they had, and why.
    :ivar unread: those that could not be read, and why: they were not brought.
    """

    brought: int = 0
    octets: int = 0
    there: int = 0
    new_uidl: list[tuple[str, str]] = field(factory=list)
    unread: list[tuple[str, str]] = field(factory=list)


class Incoming:
    """Brings letters into one maildrop.

    :param now: seconds since 1970: when a letter has arrived that does not tell, from a source that does not.
    :param told: called after each letter with the octets that it had in its source.
    """

    def __init__(
        self,
        bringing: Bringing,
        maildrop: int,
        now: int,
        told: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._bringing = bringing
        self._maildrop = maildrop
        self._now = now
        self._told = told
        self._known = bringing.known(maildrop)
        self._taken: list[tuple[Letter, Brought]] = []
        self._octets = 0
        self.outcome = Outcome()

    def count(self, source: Source) -> None:
        """See what would be brought, and bring nothing."""
        for letter in source.letters():
            if self._is_known(letter):
                self.outcome.there += 1
            else:
                self.outcome.brought += 1
                self.outcome.octets += letter.octets
            self._told(letter.octets)

    def bring(self, source: Source) -> None:
        """Bring what has not been brought yet. Whatever is raised: what was read before it has been brought.

        :raises SourceGone: the source broke off.
        :raises TemporaryFailure: the store does not take it just now.
        :raises NoSuchName: the maildrop has been removed.
        """
        asked: deque[Letter] = deque()
        try:
            for letter in source.letters():
                if self._is_known(letter):
                    self.outcome.there += 1
                    self._told(letter.octets)
                    continue
                letter.ask()
                asked.append(letter)
                if len(asked) >= source.ahead:
                    self._take(asked.popleft())
            while asked:
                self._take(asked.popleft())
        finally:
            self._keep()

    def _is_known(self, letter: Letter) -> bool:
        return key_of(letter.key) in self._known

    def _take(self, letter: Letter) -> None:
        self._read(letter)
        self._told(letter.octets)
        if len(self._taken) >= LETTERS or self._octets >= OCTETS:
            self._keep()

    def _read(self, letter: Letter) -> None:
        head: list[bytes] = []
        uidl = letter.uidl if letter.uidl and UIDL.fullmatch(letter.uidl) else None
        key = key_of(letter.key)
        try:
            brought = self._bringing.take(
                _looked_at(letter.pieces(), head),
                key=key,
                arrived=self._now,
                uidl=uidl,
                reverse_path=letter.sender,
            )
        except OSError as error:
            self.outcome.unread.append((letter.name, error.strerror or str(error)))
            return
        self._known.add(key)
        said = arrival(head[0]) if letter.arrived is None and head else letter.arrived
        arrived = letter.otherwise or self._now if said is None else said
        brought.arrived = min(arrived, self._now)  # a clock was wrong there, or a sender lies
        if letter.uidl and uidl is None:
            why = f"RFC 1939 has no unique-id like {letter.uidl!r}"
            self.outcome.new_uidl.append((letter.name, why))
        self._taken.append((letter, brought))
        self._octets += brought.octets

    def _keep(self) -> None:
        taken, self._taken, self._octets = self._taken, [], 0
        if not taken:
            return
        fates = self._bringing.keep(self._maildrop, [brought for _, brought in taken])
        for (letter, brought), fate in zip(taken, fates, strict=True):
            if fate is Fate.THERE:
                self.outcome.there += 1
                continue
            self.outcome.brought += 1
            self.outcome.octets += brought.octets
            if fate is Fate.NEW_UIDL:
                why = f"another letter has the unique-id {letter.uidl}"
                self.outcome.new_uidl.append((letter.name, why))


def _looked_at(pieces: Iterator[bytes], head: list[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if not head:
            head.append(piece)
        yield piece
