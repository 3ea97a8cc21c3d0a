"""The demonstration's post office: as real as any other, in a temporary folder, on free ports.

It runs beside the story, in a thread of its own, and is asked over its ports alone; what is on the disk
is found out by opening the store once more, as another program would.
"""

from __future__ import annotations

import secrets
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from attrs import field, frozen
from twisted.internet import reactor as installed
from twisted.internet import threads
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogBeginner
from zope.interface import provider

from mailpost.accounts import passwords, scram
from mailpost.cli.demo_client import Surprise
from mailpost.cli.office import open_office
from mailpost.config import Config
from mailpost.service import PostOffice
from mailpost.store import create_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twisted.internet.defer import Deferred
    from twisted.logger import LogEvent

    from mailpost.doors import Door

DOMAIN = "example.org"
HOSTNAME = f"mail.{DOMAIN}"
USER = "alice"
_PATIENCE = 5.0  # seconds
_BREATH = 0.01
_A_DAY = 86_400  # a teacher may take all the time in the world between two steps

reactor: Any = installed
wait_for: Any = threads.blockingCallFromThread


@frozen
class OnDisk:
    """What is on the disk at one moment.

    :ivar letters: in the user's maildrop, as a program sees it that has just opened the store.
    :ivar octets: of those letters, postmarks included.
    :ivar database: octets of the database file.
    :ivar log: octets of the write-ahead log beside it, where every commit is synced first.
    """

    letters: int
    octets: int
    database: int
    log: int


@frozen
class DemoOffice:
    """A running office.

    :ivar smtp: the port for letters in.
    :ivar pop3: the port for letters out.
    :ivar password: the user's.
    """

    config: Config
    folder: Path
    password: str
    smtp: int
    pop3: int
    _logged: list[str] = field(alias="logged")

    def on_disk(self) -> OnDisk:
        """Open the store anew and look."""
        database = self.config.office.database
        log = database.with_name(database.name + "-wal")
        sizes = [file.stat().st_size if file.exists() else 0 for file in (database, log)]
        with open_office(self.config) as (_, store):
            found = next(one for one in store.accounts.all() if one.account.name == USER)
        return OnDisk(found.letters, found.octets, *sizes)

    def logged(self, word: str) -> str:
        """Find the line of the office's log with this word in it; it may still be on its way.

        :raises Surprise: it does not come.
        """
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            for line in list(self._logged):
                if word in line:
                    return line
            time.sleep(_BREATH)
        raise Surprise(f"the office's log says nothing of {word}")


@contextmanager
def temporary_office() -> Iterator[DemoOffice]:
    """Make an office with one account, open it, close it, and leave nothing behind."""
    with TemporaryDirectory(prefix="mailpost-demo-") as name:
        folder = Path(name)
        config = _config(folder)
        create_store(config.office.database)
        password = secrets.token_urlsafe(9)
        with open_office(config) as (_, store):
            keys = scram.keys_to_keep(
                scram.KeyMaker(store.secret, store.iterations), USER, password.encode()
            )
            store.accounts.add(USER, passwords.encode(password.encode()), keys)
        logged: list[str] = []
        with _running(config, logged) as office:
            smtp, pop3 = map(_port, office.doors)
            yield DemoOffice(config, folder, password, smtp, pop3, logged)


def _port(door: Door) -> int:
    bound: Any = door.port.getHost() if door.port is not None else None
    number: int = bound.port
    return number


def _config(folder: Path) -> Config:
    return Config.model_validate(
        {
            "office": {"hostname": HOSTNAME, "domains": [DOMAIN], "disk_reserve": 0},
            "limits": {"smtp_idle": _A_DAY, "pop3_idle": _A_DAY},
            "listen": [
                {"protocol": protocol, "endpoint": "tcp:0:interface=127.0.0.1"}
                for protocol in ("smtp", "pop3")
            ],
        },
        context=folder,
    )


@contextmanager
def _running(config: Config, logged: list[str]) -> Iterator[PostOffice]:
    """Run an office in a thread: this one is for the story, which waits for answers and for keys."""

    @provider(ILogObserver)
    def note(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.info:
            logged.append(formatEvent(event))

    globalLogBeginner.beginLoggingTo([note], redirectStandardIO=False)
    office = PostOffice(config, reactor)
    thread = threading.Thread(target=reactor.run, args=(False,), name="office", daemon=True)
    thread.start()
    try:
        wait_for(reactor, _open, office)
        yield office
    finally:
        wait_for(reactor, office.stopService)
        reactor.callFromThread(reactor.stop)
        thread.join()


def _open(office: PostOffice) -> Deferred[None]:
    office.startService()
    return office.opened
