"""What clients have asked and were told, in the order in which it happened.

A line is written before something is asked, and another when the answer was heard. So where the second line
of one stands above the first of the other, the one had happened before the other began. :mod:`.checker`
holds the lines against each other while they are written; the file can be checked again.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from itertools import count
from typing import TYPE_CHECKING, Any

from tests.faults.checker import RECOVERY, Checker
from tests.faults.letters import name_in

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable
    from pathlib import Path

Event = dict[str, Any]


class Telling:
    """The words of a history. Every method may be called in any thread.

    :param prefix: of the numbers of attempts and sessions, where several tell one history.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._ids = count(1)

    def tell(self, event: Event) -> None:
        """Take a line down, before anything else happens."""
        raise NotImplementedError

    # Letters ----------------------------------------------------------------------------------------

    def sending(self, name: str, users: Iterable[str], body: bytes) -> str:
        """A letter is about to be sent; the attempt's number."""
        return self._begin("sending", name=name, users=[*users], digest=_digest(body))

    def answered(self, attempt: str, reply: bytes) -> None:
        """The reply to a letter's end; nothing where none came."""
        self._add("answered", id=attempt, reply=_text(reply))

    def withdrawn(self, attempt: str) -> None:
        """The end of the letter never reached the office."""
        self._add("withdrawn", id=attempt)

    # Sessions ---------------------------------------------------------------------------------------

    def opening(self, view: str) -> str:
        """Somebody is about to log in; the session's number."""
        return self._begin("opening", view=view)

    def listed(self, session: str, uidls: Iterable[bytes]) -> None:
        """The answer to UIDL, all of it."""
        self._add("listed", id=session, uidls=[_text(uidl) for uidl in uidls])

    def read(self, session: str, uidl: bytes, body: bytes) -> None:
        """The answer to RETR, without the postmark."""
        self._add("read", id=session, uidl=_text(uidl), name=name_in(body), digest=_digest(body))

    def unreadable(self, session: str, uidl: bytes, answer: bytes) -> None:
        """RETR had an error for its answer."""
        self._add("unreadable", id=session, uidl=_text(uidl), answer=_text(answer))

    def quitting(self, session: str, uidls: Iterable[bytes]) -> None:
        """QUIT is about to be said, where these letters are marked."""
        self._add("quitting", id=session, uidls=[_text(uidl) for uidl in uidls])

    def quit(self, session: str, answer: bytes) -> None:
        """The answer to QUIT; nothing where none came."""
        self._add("quit", id=session, answer=_text(answer))

    def closed(self, session: str) -> None:
        """The session has ended, or was never let in; a QUIT without an answer has not arrived."""
        self._add("closed", id=session)

    # The world --------------------------------------------------------------------------------------

    def struck(self, how: str) -> None:
        """A fault is about to happen."""
        self._add("struck", how=how)

    def crashed(self) -> None:
        """No process of the office is left."""
        self._add("crashed")

    def abandoned(self) -> None:
        """The clients have gone as well; whoever waited for an answer hears none."""
        self._add("abandoned")

    def mended(self, within: float = RECOVERY) -> None:
        """Nothing hinders the office from here on, and nobody lends it a hand.

        :param within: seconds within which a letter is kept.
        """
        self._add("mended", within=within)

    def audited(self) -> None:
        """Nobody sends, and every view was read to its end since the last answer."""
        self._add("audited")

    def _begin(self, what: str, **fields: Any) -> str:
        number = f"{self._prefix}{next(self._ids)}"
        self._add(what, id=number, **fields)
        return number

    def _add(self, what: str, **fields: Any) -> None:
        self.tell({"what": what, "at": round(time.monotonic(), 4), **fields})


class History(Telling):
    """The truth as the clients know it, checked while it grows.

    :param views: what clients open: the names of accounts, and of devices as ``alice#phone``. All of them
        were there before the first letter came, and show every letter.
    :param file: where the lines are written; None: they are kept nowhere.
    """

    def __init__(self, views: Iterable[str], file: Path | None = None) -> None:
        super().__init__()
        self.views = tuple(views)
        self.checker = Checker(self.views)
        self._file = None if file is None else file.open("w")
        self._lock = threading.Lock()

    def tell(self, event: Event) -> None:
        """Hold a line against all that were before."""
        with self._lock:
            if self._file is not None:
                self._file.write(json.dumps(event) + "\n")
            self.checker.take(event)

    @property
    def counts(self) -> Counter[str]:
        """How often what has happened."""
        return self.checker.counts

    @property
    def lies(self) -> list[str]:
        """What was promised and does not hold, each as a sentence."""
        return self.checker.lies

    def check(self) -> None:
        """Fail where a promise was broken."""
        assert not self.lies, "\n".join(self.lies[:20])

    def close(self) -> None:
        """Close the file. Harmless when repeated."""
        with self._lock:
            if self._file is not None:
                self._file.close()


def _text(octets: bytes) -> str:
    return octets.decode("ascii", errors="replace")


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:24]
