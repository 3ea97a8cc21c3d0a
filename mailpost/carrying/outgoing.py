"""Outgoing: what a view shows is written to a target, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import define, field

from mailpost.outcome import TemporaryFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mailpost.store.contents import Contents, Shown


class Target(Protocol):
    """Where letters are written to."""

    def has(self, letter: Shown) -> bool:
        """Whether a letter is there already."""

    def put(self, letter: Shown, pieces: Callable[[], Iterator[bytes]]) -> None:
        """Write a letter.

        :param pieces: reads it, as often as it is called.
        :raises OSError: it cannot be written.
        """

    def finish(self) -> None:
        """Write what belongs to them all, and have everything on the disk when this returns."""


@define
class Carried:
    """What has become of a view's letters.

    :ivar written: how many; with ``octets``, as collection sends them.
    :ivar there: how many were there already.
    :ivar gone: the unique-ids of those that were taken away meanwhile.
    """

    written: int = 0
    octets: int = 0
    there: int = 0
    gone: list[str] = field(factory=list)


def carry(contents: Contents, target: Target, told: Callable[[int], object]) -> Carried:
    """Write what a view shows.

    :param told: called after each letter with its octets.
    :raises OSError: it cannot be written there.
    """
    carried = Carried()
    for letter in contents.letters:
        if target.has(letter):
            carried.there += 1
        else:
            try:
                target.put(letter, lambda letter=letter: contents.pieces(letter))  # type: ignore[misc]
            except TemporaryFailure:
                carried.gone.append(letter.uidl)
            else:
                carried.written += 1
                carried.octets += letter.octets
        told(letter.octets)
    target.finish()
    return carried
