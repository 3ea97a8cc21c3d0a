"""kill -9 under load: every 250 and every +OK to QUIT is kept, and nothing else has happened."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

from .dialogue import POP3, SMTP
from .maildrop import Letter, collect, read_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from .office import Office

ROUNDS = 6
USERS = ("alice", "bob", "carol")
DELIVERERS = 4

Copy = tuple[str, str]  # a user, and the name of a letter


def body_of(name: str) -> bytes:
    """The letter of a name: mostly small, sometimes at the border of a row, sometimes a parcel."""
    dice = random.Random(name)
    sizes = [200, 2_000, 4_000, 8_000] * 5 + [65_500, 65_600, 300_000]
    line = b".%030x and on to the end of the line, which is not far\r\n" % dice.getrandbits(120)
    return f"Subject: {name}\r\n\r\n".encode() + line * (dice.choice(sizes) // len(line))


def name_of(letter: Letter) -> str:
    """Which letter this is."""
    return letter.body.split(b"\r\n", 1)[0].removeprefix(b"Subject: ").decode()


class Records:
    """What clients were told, and what they have seen: the truth that the office is held to."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.attempts: dict[str, tuple[str, ...]] = {}  # letters, and whom they were for
        self.kept: set[str] = set()  # they had a 250
        self.lost: set[str] = set()  # they had no reply, and were not there after the restart
        self.seen: dict[Copy, bytes] = {}  # and their unique-ids
        self.gone: set[Copy] = set()  # deleted, with +OK at QUIT
        self.doubtful: list[set[Copy]] = []  # deleted, QUIT had no reply
        self.errors: list[Exception] = []

    def look_at(self, user: str, letters: list[Letter]) -> list[Copy]:
        """Check what a maildrop shows against all that is known."""
        copies = [(user, name_of(letter)) for letter in letters]
        assert max(Counter(copies).values(), default=1) == 1
        for copy, letter in zip(copies, letters, strict=True):
            assert user in self.attempts[copy[1]]
            assert letter.body == body_of(copy[1])
            assert copy not in self.gone
            assert copy[1] not in self.lost
            with self.lock:
                assert self.seen.setdefault(copy, letter.uidl) == letter.uidl
        return copies

    def audit(self, office: Office) -> None:
        """Look into every maildrop after a restart; what was in doubt is known then."""
        there: set[Copy] = set()
        for user in USERS:
            there.update(self.look_at(user, collect(office.pop3, user, delete=False)))
        for batch in self.doubtful:
            left = batch & there
            assert left in (set(), batch), "a QUIT was done by half"
            self.gone |= batch - left
        self.doubtful.clear()
        for name, users in self.attempts.items():
            copies = {(user, name) for user in users}
            arrived = {copy for copy in copies if copy in there or copy in self.gone}
            if name in self.kept:
                assert arrived == copies, f"{name} had a 250"
            elif name not in self.lost:
                assert arrived in (set(), copies), f"{name} is there for some, and not for others"
                (self.kept if arrived else self.lost).add(name)
        assert len(set(self.seen.values())) == len(self.seen), "two letters with one unique-id"


def deliver(office: Office, records: Records, label: str) -> None:
    """Deliver letters, to one or to several, until the office is gone."""
    with SMTP(office.smtp) as client:
        for number in range(1_000_000):
            name = f"{label}-{number}"
            users = tuple(random.sample(USERS, random.randint(1, len(USERS))))
            records.attempts[name] = users
            reply = client.deliver(body_of(name), *users)
            assert reply.startswith(b"250"), reply
            records.kept.add(name)


def fetch(office: Office, records: Records, user: str) -> None:
    """Collect and delete some, again and again; now and then hang up instead of saying QUIT."""
    while True:
        with POP3(office.pop3) as client:
            answer = client.login(user)
            if answer.startswith(b"-ERR [IN-USE]"):
                continue  # our own last connection was hung up a moment ago
            assert answer.startswith(b"+OK"), answer
            copies = records.look_at(user, read_all(client))
            batch = set()
            for number, copy in enumerate(copies, 1):
                if random.random() < 0.7:
                    client.ok(f"DELE {number}")
                    batch.add(copy)
            if random.random() < 0.2:
                continue
            records.doubtful.append(batch)
            assert client.ask("QUIT").startswith(b"+OK")
            with records.lock:
                records.doubtful.remove(batch)
                records.gone |= batch


def run(
    records: Records, closing: threading.Event, work: Callable[..., None], *arguments: object
) -> None:
    """Do a client's work; that the office goes away ends it, anything else is an error."""
    try:
        work(*arguments)
    except OSError as error:
        if not closing.is_set():
            records.errors.append(error)
    except Exception as error:  # noqa: BLE001 - shown by the test's own thread
        records.errors.append(error)


def test_kill_under_load(own_office: Office) -> None:
    """SIGKILL at random moments: no letter with a 250 is missing, none is twice, no deletion comes back.

    After each restart, which needs no hand and less than 5 s: every letter that had a 250 is there,
    whole, once in each of its maildrops; one without a reply is in all of them or in none. What was
    deleted with +OK at QUIT is gone; of a QUIT without a reply all is gone or nothing. Unique-ids stay.
    """
    own_office.add_users(USERS)
    records = Records()
    for turn in range(ROUNDS):
        closing = threading.Event()
        jobs: list[tuple[object, ...]] = [
            (deliver, own_office, records, f"{turn}-{number}") for number in range(DELIVERERS)
        ]
        jobs += [(fetch, own_office, records, user) for user in USERS]
        threads = [
            threading.Thread(target=run, args=(records, closing, *job), daemon=True) for job in jobs
        ]
        for thread in threads:
            thread.start()
        time.sleep(random.uniform(0.2, 1.5))
        closing.set()
        own_office.kill()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert not records.errors, records.errors
        assert own_office.start() < 5
        records.audit(own_office)
    assert len(records.kept) > 100
    assert len(records.gone) > 50
    for user in USERS:
        records.look_at(user, collect(own_office.pop3, user))
        assert collect(own_office.pop3, user) == []
