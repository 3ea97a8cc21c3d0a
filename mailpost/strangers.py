"""Strangers in a full office: who gives way, so that somebody new can come in.

Whoever holds connections open and says nothing of use could keep every other stranger out, a mail server
with letters among them. So where there is no more room for strangers, one of those who are there makes room
for the newcomer: of the neighbourhood with the most connections, the one that was of no use for the longest
time. It is told so (421, ``-ERR [SYS/TEMP]``), and may come again. An attacker's many connections give way
to an honest one; and where they come from as many addresses, those that drip give way to those that get
something done.
"""

from __future__ import annotations

from typing import Protocol


class Stranger(Protocol):
    """A connection of somebody who has not logged in, from where nobody has of late."""

    def may_go(self, *, alone: bool) -> bool:
        """Whether nothing is lost if it ends just now.

        :param alone: it is the only one from its neighbourhood.
        """

    def give_way(self) -> None:
        """End at once; its place is free when this returns."""


class Strangers:
    """Those who are there, by their neighbourhoods; both in the order in which they were last of use."""

    def __init__(self) -> None:
        self._near: dict[str, dict[Stranger, None]] = {}

    def arrive(self, who: Stranger, near: str) -> None:
        """One more is there, or one that was there was of use: it is the last to give way."""
        here = self._near.pop(near, None)
        if here is None:
            here = {}
        here.pop(who, None)
        here[who] = None
        self._near[near] = here

    def depart(self, who: Stranger, near: str) -> None:
        """One has gone, or is no stranger any more. Harmless for anybody else."""
        here = self._near.get(near)
        if here is not None and who in here:
            del here[who]
            if not here:
                del self._near[near]

    def make_room(self, near: str) -> bool:
        """Have one give way to a newcomer; whether one did.

        :param near: the newcomer's neighbourhood. Its own connections are no fewer than those of the one that
            would give way: then nobody does.
        """
        if not self._near:
            return False
        own = len(self._near.get(near, ()))
        most = max(map(len, self._near.values()))
        if most <= own:
            return False
        fullest = (who for here in self._near.values() if len(here) == most for who in here)
        gives = next((who for who in fullest if who.may_go(alone=most == 1)), None)
        if gives is None:
            return False
        gives.give_way()
        return True
