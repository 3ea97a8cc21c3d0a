"""Who gives way in a full office."""

from __future__ import annotations

from mailpost.strangers import Strangers


class Guest:
    """One connection, which frees its place when it has to."""

    def __init__(self, strangers: Strangers, near: str, *, busy: bool = False) -> None:
        self.strangers = strangers
        self.near = near
        self.busy = busy
        self.gone = False
        strangers.arrive(self, near)

    def may_go(self, *, alone: bool) -> bool:
        self.alone = alone
        return not self.busy

    def give_way(self) -> None:
        self.gone = True
        self.strangers.depart(self, self.near)


def test_the_most_connections_give_way_first() -> None:
    """The oldest of them; and they give way until the newcomer has as many."""
    strangers = Strangers()
    crowd = [Guest(strangers, "crowd") for _ in range(3)]
    single = Guest(strangers, "single")
    assert strangers.make_room("new")
    assert [one.gone for one in crowd] == [True, False, False]
    Guest(strangers, "new")
    assert strangers.make_room("new")
    assert [one.gone for one in crowd] == [True, True, False]
    Guest(strangers, "new")
    assert not strangers.make_room("new")
    assert not single.gone


def test_nobody_makes_room_for_its_own() -> None:
    """Whoever has the most is refused, rather than to exchange its own connections."""
    strangers = Strangers()
    crowd = [Guest(strangers, "crowd") for _ in range(3)]
    assert not strangers.make_room("crowd")
    assert not any(one.gone for one in crowd)


def test_among_equals_who_was_of_no_use_for_the_longest_time() -> None:
    """A botnet has one connection from each address: who brought something since stays."""
    strangers = Strangers()
    useful, silent, other = (Guest(strangers, near) for near in ("a", "b", "c"))
    strangers.arrive(useful, "a")
    assert strangers.make_room("new")
    assert (useful.gone, silent.gone, other.gone) == (False, True, False)
    other.busy = True
    assert strangers.make_room("new")
    assert (useful.gone, other.gone) == (True, False)
    assert useful.alone


def test_what_is_owed_an_answer_stays() -> None:
    """The next of that neighbourhood goes; where all of it wait for answers nobody does."""
    strangers = Strangers()
    crowd = [Guest(strangers, "crowd", busy=busy) for busy in (True, False)]
    assert strangers.make_room("new")
    assert [one.gone for one in crowd] == [False, True]
    Guest(strangers, "crowd", busy=True)
    assert not strangers.make_room("new")


def test_nothing_is_remembered_of_whoever_has_gone() -> None:
    """Also where somebody goes who was none of them."""
    strangers = Strangers()
    guest = Guest(strangers, "a")
    strangers.depart(guest, "b")
    strangers.depart(guest, "a")
    strangers.depart(guest, "a")
    assert not strangers.make_room("new")
    assert strangers._near == {}
