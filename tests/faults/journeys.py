"""What is being done when a fault strikes, and what has to be true afterwards."""

from __future__ import annotations

import time
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from tests.faults.clients import Collector, Sender, look
from tests.faults.history import History
from tests.faults.patience import recovery
from tests.river.office import attempts

if TYPE_CHECKING:
    from tests.river.maildrop import Letter
    from tests.river.office import Office

USER = "alice"
SMALL, LARGE = 2_000, 300_000


class Journey:
    """One kind of work on alice's maildrop, done again and again, with the truth about it."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.history = History([USER])
        self._names = (f"letter-{number:06}" for number in count(1))

    def prepare(self) -> None:
        """What is done before the fault."""

    def go(self) -> None:
        """What is done while it strikes; an office that has gone is no error."""
        raise NotImplementedError

    def tidy(self) -> None:
        """End what :meth:`prepare` began."""

    def deliver(self, size: int) -> bytes:
        """Send a letter; the reply, or nothing where none came."""
        with suppress(OSError), Sender(self.history, self.office.smtp) as sender:
            return sender.send(self.next_name(), [USER], size)
        return b""

    def next_name(self) -> str:
        """A letter's; all are equally long."""
        return next(self._names)

    def audit(self) -> list[Letter]:
        """Hold what is there against what was told; what that is."""
        letters = look(self.history, self.office.pop3, USER)
        self.history.audited()
        self.history.check()
        return letters

    def recovered(self) -> None:
        """Letters are taken again, soon enough."""
        within = recovery()
        self.history.mended(within)
        for _ in attempts(within):
            if self.deliver(SMALL).startswith(b"250"):
                break
        self.history.check()


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

    session: Collector

    def prepare(self) -> None:
        """Mark some."""
        for size in (SMALL, LARGE, SMALL, SMALL):
            for _ in attempts():
                if self.deliver(size).startswith(b"250"):
                    break
        self.session = Collector(self.history, self.office.pop3, USER)
        self.session.read()
        self.session.mark([0, 2])

    def go(self) -> None:
        """Say QUIT, and give the sweeper the time to come."""
        with suppress(OSError):
            self.session.quit()
        time.sleep(1.3)

    def tidy(self) -> None:
        """Hang up."""
        self.session.close()


JOURNEYS = {"small": SmallLetter, "large": LargeLetter, "quit": Quit}
