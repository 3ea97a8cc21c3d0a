"""What is being done when a fault strikes, and what has to be true afterwards.

A checker in the manner of Jepsen: what clients were told is written down, and held against what is there.
"""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from tests.river.dialogue import POP3, SMTP
from tests.river.maildrop import Letter, read_all
from tests.river.office import attempts

if TYPE_CHECKING:
    from tests.river.office import Office

USER = "alice"
SMALL, LARGE = 2_000, 300_000
RECOVERY = 5.0
"""Seconds within which an office takes letters again after a fault, without a hand."""


class Journey:
    """One kind of work on alice's maildrop, done again and again, with the truth about it.

    :ivar there: the letters that have to be there, and their unique-ids once they were seen.
    :ivar doubtful: sets of letters that are all there or all not, since no answer came.
    """

    def __init__(self, office: Office) -> None:
        self.office = office
        self.there: dict[str, bytes | None] = {}
        self.doubtful: list[tuple[set[str], bool]] = []
        self.uidls: dict[bytes, str] = {}
        self._names = (f"letter-{number}" for number in count(1))

    def prepare(self) -> None:
        """What is done before the fault."""

    def go(self) -> None:
        """What is done while it strikes; an office that has gone is no error."""
        raise NotImplementedError

    def tidy(self) -> None:
        """End what :meth:`prepare` began."""

    def deliver(self, size: int, port: int = 0) -> bytes:
        """Send a letter; the reply, or nothing where none came.

        :param port: of a proxy; 0: the office's own.
        """
        name = next(self._names)
        reply = b""
        with suppress(OSError), SMTP(port or self.office.smtp) as client:
            reply = client.deliver(body_of(name, size), USER)
        if reply.startswith(b"250"):
            self.there[name] = None
        else:
            # A letter that was put off may be found after all, when a commit was in doubt.
            self.doubtful.append(({name}, False))
        return reply

    def audit(self) -> None:
        """Hold what is there against what was told. What was in doubt is known from now on."""
        letters: dict[str, Letter] = {}
        with POP3(self.office.pop3, USER) as session:
            for letter in read_all(session):
                name = name_of(letter)
                assert name not in letters, f"{name} is there twice"
                sizes = (SMALL, LARGE)
                assert letter.body in [body_of(name, size) for size in sizes], f"{name} is damaged"
                assert self.uidls.setdefault(letter.uidl, name) == name, "a unique-id came back"
                letters[name] = letter
        for names, were_there in self.doubtful:
            left = names & letters.keys()
            assert left in (set(), names), f"{left} of {names} are there: done by half"
            for name in names:
                if left:
                    self.there.setdefault(name, None)
                else:
                    assert not were_there or self.there.pop(name, None) is not None
        self.doubtful.clear()
        assert letters.keys() == self.there.keys()
        for name, letter in letters.items():
            assert self.there[name] in (None, letter.uidl), f"{name} has another unique-id"
            self.there[name] = letter.uidl

    def recovered(self) -> None:
        """Letters are taken again, soon enough."""
        began = time.monotonic()
        for _ in attempts():
            if self.deliver(SMALL).startswith(b"250"):
                break
        assert time.monotonic() - began < RECOVERY


class SmallLetter(Journey):
    """A letter that is kept in a row."""

    def go(self) -> None:
        """Deliver it."""
        self.deliver(SMALL)


class LargeLetter(Journey):
    """A letter that is kept in a file of its own."""

    def go(self) -> None:
        """Deliver it."""
        self.deliver(LARGE)


class Quit(Journey):
    """Letters are deleted: the oldest, and one in the midst; and the sweeper comes soon after."""

    session: POP3

    def prepare(self) -> None:
        """Mark some."""
        for size in (SMALL, LARGE, SMALL, SMALL):
            for _ in attempts():
                if self.deliver(size).startswith(b"250"):
                    break
        self.audit()
        self.session = POP3(self.office.pop3, USER)
        letters = read_all(self.session)
        self.marked = {name_of(letter) for letter in (letters[0], letters[2])}
        for number in (1, 3):
            self.session.ok(f"DELE {number}")

    def go(self) -> None:
        """Say QUIT, and give the sweeper the time to come."""
        answer = b""
        with suppress(OSError):
            answer = self.session.ask("QUIT")
        if answer.startswith(b"+OK"):
            for name in self.marked:
                del self.there[name]
        elif not answer:
            self.doubtful.append((self.marked, True))
        time.sleep(1.3)

    def tidy(self) -> None:
        """Hang up."""
        self.session.close()


JOURNEYS = {"small": SmallLetter, "large": LargeLetter, "quit": Quit}


def body_of(name: str, size: int) -> bytes:
    """A letter that says its own name, and is about that long."""
    head = f"Subject: {name}\r\n\r\n".encode()
    line = f"{name} and on to the end of this line, that is not far away\r\n".encode()
    return head + line * ((size - len(head)) // len(line))


def name_of(letter: Letter) -> str:
    """Which letter this is."""
    return letter.body.split(b"\r\n", 1)[0].removeprefix(b"Subject: ").decode()
