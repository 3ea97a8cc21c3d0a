"""Clients who send and collect, each in a thread of its own, and take what comes.

A connection may break, an office may ask to come again: they do. What an office must never say is an
error of theirs; what it must keep is the checker's business.
"""

from __future__ import annotations

import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from tests.faults.clients import Collector, InUseError, NotNowError, Sender
from tests.river.office import PATIENCE, attempts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.faults.history import History

LATER = (b"421", b"45")
A_WHILE = 0.02


class Crowd:
    """Several senders, and a collector for each view.

    :param smtp: the ports that senders connect to, each to one of them.
    :param pop3: those that collectors connect to, each time to another.
    :ivar errors: what should not have happened to them.
    :ivar closed: nobody may be there to take a connection.
    """

    def __init__(
        self,
        history: History,
        smtp: Sequence[int],
        pop3: Sequence[int],
        seed: int,
        senders: int = 3,
    ) -> None:
        self._history = history
        self._smtp = smtp
        self._pop3 = pop3
        self._seed = seed
        self._senders = senders
        self._views = history.views
        self._users = [view for view in history.views if "#" not in view]
        self._known: dict[str, set[bytes]] = {view: set() for view in history.views}
        self._turn = 0
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.errors: list[BaseException] = []
        self.closed = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Let them begin."""
        self._stop.clear()
        self._turn += 1
        jobs: list[tuple[Callable[[str, random.Random], None], str]] = [
            *((self._send, f"{self._seed}-{self._turn}-{n}") for n in range(self._senders)),
            *((self._collect, view) for view in self._views),
        ]
        self._threads = [
            threading.Thread(
                target=self._run,
                args=[job, name, random.Random(f"{self._seed} {name}")],
                daemon=True,
            )
            for job, name in jobs
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have each finish what it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "a client waits for ever"

    def check(self) -> None:
        """Fail where something should not have happened, or a promise was broken."""
        assert not self.errors, repr(self.errors[0])
        self._history.check()

    def _run(
        self, job: Callable[[str, random.Random], None], name: str, dice: random.Random
    ) -> None:
        try:
            while not self._stop.is_set():
                with suppress(NotNowError, OSError):
                    try:
                        job(name, dice)
                    except ConnectionRefusedError:
                        if not self.closed.is_set():
                            raise AssertionError("nobody listens") from None
                self._stop.wait(A_WHILE * dice.random())
        except BaseException as error:  # noqa: BLE001 - for the test's own thread
            self.errors.append(error)

    def _send(self, label: str, dice: random.Random) -> None:
        """Send letters over one connection; one that was not kept is mostly sent again."""
        number = 0
        again: tuple[str, list[str]] | None = None
        with Sender(self._history, dice.choice(self._smtp)) as sender:
            while not self._stop.is_set():
                number += 1
                users = dice.sample(self._users, dice.randint(1, len(self._users)))
                serial = f"{label}-{dice.getrandbits(40):x}"
                name, users = again or (serial, users)
                again = None
                reply = sender.send(name, users)
                if not reply.startswith(b"250"):
                    assert reply.startswith(LATER), reply
                    if dice.random() < 0.8:
                        again = (name, users)
                    self._stop.wait(0.1)
                self._stop.wait(A_WHILE * dice.random())
                if dice.random() < 0.05:
                    return

    def _collect(self, view: str, dice: random.Random) -> None:
        """Collect and delete some; now and then hang up instead of saying QUIT."""
        known = self._known[view]
        try:
            with Collector(self._history, dice.choice(self._pop3), view) as collector:
                collector.read({uidl for uidl in known if dice.random() < 0.9})
                known.clear()
                known.update(collector.uidls)
                count = len(collector.uidls)
                collector.mark([index for index in range(count) if dice.random() < 0.7])
                if dice.random() < 0.8:
                    answer = collector.quit()
                    assert answer.startswith((b"+OK", b"-ERR [SYS/TEMP]")), answer
        except InUseError:
            self._stop.wait(0.05)  # our last connection was cut a moment ago
        self._stop.wait(10 * A_WHILE * dice.random())


def audit(history: History, pop3: int) -> None:
    """Read every view to its end, once everybody is still."""
    for view in history.views:
        for _ in attempts():
            with suppress(NotNowError, OSError):
                with Collector(history, pop3, view) as collector:
                    collector.read()
                    collector.quit()
                break
    history.audited()
    history.check()
