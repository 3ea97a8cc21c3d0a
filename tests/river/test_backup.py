"""A backup of an office at work, restored: what was acknowledged before it began is in it, whole."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import TYPE_CHECKING

from tests.faults.letters import body_of, name_in

from .dialogue import POP3, SMTP
from .maildrop import collect

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .office import Office

USERS = ("alice", "bob", "carol")
NO_BIN = "\n[keeping]\nbin = 0\n"  # what is let go of is swept at once
COLLECTORS = USERS[:2]  # what carol gets stays

Copy = tuple[str, str]  # a user, and the name of a letter


class Load:
    """Clients that deliver and collect until they are told to stop, and what they were told, and when."""

    def __init__(self, office: Office) -> None:
        self.office = office
        self.kept: dict[Copy, float] = {}  # when it had its 250
        self.going: dict[Copy, float] = {}  # when QUIT was said that deletes it
        self.gone: dict[Copy, float] = {}  # when that had +OK
        self.uidls: dict[Copy, bytes] = {}
        self.errors: list[BaseException] = []
        self._over = threading.Event()
        jobs: list[tuple[Callable[..., None], str]] = [(self._deliver, name) for name in "abc"]
        jobs += [(self._collect, user) for user in COLLECTORS]
        self._threads = [threading.Thread(target=self._run, args=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let everybody finish what is begun."""
        self._over.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not self.errors, self.errors

    def _run(self, job: Callable[[str], None], name: str) -> None:
        try:
            job(name)
        except BaseException as error:  # noqa: BLE001 - shown by the test's own thread
            self.errors.append(error)

    def _deliver(self, label: str) -> None:
        with SMTP(self.office.smtp) as client:
            for number in range(1_000_000):
                if self._over.is_set():
                    return
                name = f"{label}-{number}"
                users = random.sample(USERS, random.randint(1, 2))
                assert client.deliver(body_of(name), *users).startswith(b"250")
                self.kept |= dict.fromkeys([(user, name) for user in users], time.monotonic())

    def _collect(self, user: str) -> None:
        while not self._over.is_set():
            time.sleep(0.05)
            with POP3(self.office.pop3) as client:
                if not client.login(user).startswith(b"+OK"):
                    continue
                batch = []
                for number, uidl in client.listing("UIDL"):
                    copy = (user, _name(client.retrieve(int(number))))
                    self.uidls[copy] = uidl
                    if random.random() < 0.7:
                        client.ok(f"DELE {int(number)}")
                        batch.append(copy)
                self.going |= dict.fromkeys(batch, time.monotonic())
                client.ok("QUIT")
                self.gone |= dict.fromkeys(batch, time.monotonic())


def _name(letter: bytes) -> str:
    return letter.partition(b"\r\nSubject: ")[2].split(b"\r\n", 1)[0].decode()


def test_restored_from_under_load(make_office: Callable[..., Office], tmp_path: Path) -> None:
    """Letters come and go while two backups are written into one folder; the second becomes another office.

    In it is each letter that had its 250 before the backup began and whose deletion came after it, and none
    whose deletion had +OK before; all of them whole, under their unique-ids. New letters get other ones.
    Before, still under load, carol deletes what she has, and gets back what was in the backup.
    """
    office = make_office(limits=NO_BIN)
    office.start()
    office.add_users(USERS)
    load = Load(office)
    folder = tmp_path / "backup"
    for pause in (0.5, 0.3):
        time.sleep(pause)
        began = time.monotonic()
        told = office.mailpost("--config", str(office.config), "backup", str(folder), "--json")
        ended = time.monotonic()
    deleted = collect(office.pop3, "carol")
    office.mailpost("--config", str(office.config), "restore", str(folder), "--only", "carol")
    load.stop()
    again = {letter.uidl: letter.octets for letter in collect(office.pop3, "carol")}
    back = [letter for letter in deleted if letter.uidl in again]
    kept = {name for (user, name), when in load.kept.items() if user == "carol" and when < began}
    assert kept <= {name_in(letter.body) for letter in back}
    assert all(again[letter.uidl] == letter.octets for letter in back)
    assert json.loads(told)["parcels"] == len(list((folder / "parcels").iterdir()))
    assert office.mailpost("backup", "verify", str(folder)).startswith(f"{folder} is whole")

    other = make_office(tmp_path / "other")
    for path in (other.folder).glob("mailpost.db*"):
        path.unlink()
    other.mailpost("--config", str(other.config), "restore", str(folder))
    other.start()
    with SMTP(other.smtp) as client:
        assert client.deliver(body_of("since"), *USERS).startswith(b"250")
    found: set[Copy] = set()
    uidls: list[bytes] = []
    for user in USERS:
        for letter in collect(other.pop3, user):
            copy = (user, name_in(letter.body))
            assert letter.body == body_of(copy[1])
            assert copy not in found
            found.add(copy)
            uidls.append(letter.uidl)
            if copy[1] == "since":
                assert letter.uidl not in load.uidls.values()
            elif copy in load.uidls:
                assert letter.uidl == load.uidls[copy]
    never = float("inf")
    must = {
        copy
        for copy, when in load.kept.items()
        if when < began and load.going.get(copy, never) > ended
    }
    assert must <= found
    assert len(must) > 10
    assert not {copy for copy, when in load.gone.items() if when < began} & found
    assert len(set(uidls)) == len(uidls)
