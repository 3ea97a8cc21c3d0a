"""A connection that is cut at any octet of a session, either way, by FIN or by RST.

What was acknowledged to the client is there, once and whole; an attempt without a reply left one copy or
none, and none where its end did not arrive; nothing is deleted unless QUIT arrived whole; the maildrop is
free at once. In memory it is every octet, over real sockets some.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from mailpost.accounts.portal import make_portal
from mailpost.collection import POP3Factory
from mailpost.config import Config
from mailpost.intake import LMTPFactory, SMTPFactory
from mailpost.outcome import MaildropInUse
from mailpost.sorting.local import LocalSorter
from mailpost.store.delivery import ROW
from mailpost.wire.smtp import Settings
from tests.faults.clients import Collector, InUseError, Sender
from tests.faults.cutting import UP, Cut, Proxy, Wire
from tests.faults.journeys import USER, Journey
from tests.river.dialogue import stuffed
from tests.river.office import CHEAP_HASH, PASSWORD, attempts
from tests.store.conftest import Office as Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.river.office import Office

HOST = "post.example.org"
LARGE = ROW + 500  # a file of its own
FULL = 40  # letters in a maildrop, before they are let go of

MAIL = b"MAIL FROM:<bob@example.net>\r\n"
RCPT = b"RCPT TO:<%s@example.org>\r\n"
HELLO = b"EHLO c.example\r\n"
QUIT = b"QUIT\r\n"


class House:
    """An office in memory over a real store, alice's and bob's.

    :ivar seen: how many letters of each maildrop the audit has found so far.
    """

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.users = [self.store.accounts.add(name, CHEAP_HASH) for name in ("alice", "bob")]
        config = Config.model_validate(
            {
                "office": {"hostname": HOST, "domains": ["example.org"]},
                "listen": [{"protocol": "smtp", "endpoint": "tcp:25"}],
            },
            context=path,
        )
        store = self.store.store
        portal = make_portal(store, config.office, self.store._hop)
        intake = (Settings(HOST), LocalSorter(store.addresses, config), store.delivery)
        clock = self.store.clock
        self.smtp = SMTPFactory(*intake, clock)
        self.lmtp = LMTPFactory(*intake, clock)
        self.pop3 = POP3Factory(HOST, portal, clock)
        self.parcels = path.with_name(path.name + ".parcels")
        self.seen = [0, 0]
        self.attempts = 0

    def wire(self, factory: object, cut: Cut | None) -> Wire:
        return Wire(factory, self.store.clock, self.store.turn, cut)

    def came(self, user: int, body: bytes) -> int:
        """How often a letter is there that was not before; it is free to be opened, and nothing else came."""
        snapshot = self.store.open(self.users[user])
        new = range(self.seen[user], len(snapshot.sizes))
        for index in new:
            letter = self.store.fetch(snapshot, index)
            assert letter.startswith(b"Return-Path: <bob@example.net>\r\n")
            assert letter.endswith(b" +0000\r\n" + body)
        self.seen[user] = len(snapshot.sizes)
        snapshot.close()
        if self.seen[user] >= FULL:
            self.store.let_go(self.users[user], *range(self.seen[user]))
            self.seen[user] = 0
        return len(new)

    def litter(self) -> set[str]:
        """Files of letters that no row names."""
        named = {name for (name,) in self.store.rows("SELECT parcel FROM letter WHERE parcel > ''")}
        return {path.name for path in self.parcels.iterdir()} - named


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "mail.db")
    yield house
    house.store.store.close()


def by_data(body: bytes) -> list[bytes]:
    return [HELLO, MAIL, RCPT % b"alice", b"DATA\r\n", stuffed(body) + b".\r\n", QUIT]


def by_chunks(body: bytes) -> list[bytes]:
    first, last = body[:20], body[20:]
    end = b"BDAT %d LAST\r\n" % len(last) + last
    return [HELLO, MAIL, RCPT % b"alice", b"BDAT 20\r\n" + first, end, QUIT]


def by_relay(body: bytes) -> list[bytes]:
    names = [RCPT % b"alice", RCPT % b"bob"]
    return [b"LHLO c.example\r\n", MAIL, *names, b"DATA\r\n", stuffed(body) + b".\r\n", QUIT]


def letter(number: int, size: int = 0) -> bytes:
    """Each has its own octets, and as many as the next."""
    line = b".%09d\r\n" % number
    return b"Subject: %09d\r\n\r\n" % number + line * max(1, size // len(line))


def everywhere(passed: dict[str, int], decisive: int) -> Iterator[Cut]:
    """Every cut there can be.

    :param decisive: how many octets the client has said when there is something to be written.
    """
    for side, octets in passed.items():
        for at in range(octets + 1):
            for cleanly in (False, True):
                yield Cut(side, at, cleanly)
                if side == UP and at >= decisive:
                    yield Cut(side, at, cleanly, late=True)


def cut_deliveries(
    house: House,
    factory: object,
    steps: Callable[[bytes], list[bytes]],
    cuts: Iterable[Cut],
    size: int = 0,
) -> tuple[int, int]:
    """Cut so many deliveries, with an audit after each; how many were made and how many of them kept."""
    made = kept = 0
    for cut in cuts:
        house.attempts += 1
        body = letter(house.attempts, size)
        said = steps(body)
        wire = house.wire(factory, cut).run(said)
        house.store.turn()
        # The greeting and the answers to what came before; then the one that promises, if it came whole.
        promise = wire.answers[len(said) - 1] if len(wire.answers) >= len(said) else b""
        promised = [line.startswith(b"250 ") for line in promise.split(b"\r\n")[:-1]]
        arrived = wire.passed[UP] >= len(b"".join(said[:-1]))
        for user in range(2 if said[0].startswith(b"LHLO") else 1):
            copies = house.came(user, body)
            assert copies in (0, 1), cut
            assert copies == 1 or promised[user : user + 1] != [True], cut
            assert copies == 0 or arrived, cut
            kept += copies
        made += 1
    return made, kept


@pytest.mark.parametrize("steps", [by_data, by_chunks, by_relay])
def test_every_octet_of_a_delivery(house: House, steps: Callable[[bytes], list[bytes]]) -> None:
    """DATA, BDAT, and two recipients over LMTP."""
    factory = house.lmtp if steps is by_relay else house.smtp
    whole = house.wire(factory, None).run(steps(letter(0)))
    assert wire_says(whole, b"221 ")
    assert house.came(0, letter(0)) == 1
    house.came(1, letter(0))
    decisive = whole.passed[UP] - len(QUIT)
    made, kept = cut_deliveries(house, factory, steps, everywhere(whole.passed, decisive))
    assert made > 800
    assert kept > 100


def test_some_octets_of_a_large_letter(house: House) -> None:
    """A letter that is a file of its own leaves nothing of it on the disk when it does not arrive."""
    octets = len(b"".join(by_data(letter(0, LARGE))))
    points = {
        *range(0, octets, 2_003),
        *range(ROW - 40, ROW + 160, 19),
        *range(octets - 20, octets),
    }
    cuts = [Cut(UP, at, late=late) for at in sorted(points) for late in (False, True)]
    made, kept = cut_deliveries(house, house.smtp, by_data, cuts, LARGE)
    assert 0 < kept < made
    assert house.litter() == set()


COLLECTING = [
    b"USER alice\r\n",
    b"PASS %s\r\n" % PASSWORD.encode(),
    b"UIDL\r\n",
    b"RETR 2\r\n",
    b"DELE 1\r\n",
    b"DELE 3\r\n",
    QUIT,
]
AT_ONCE = [b"".join(COLLECTING)]


def cut_collections(house: House, steps: list[bytes], cuts: Iterable[Cut]) -> tuple[int, int]:
    """Cut so many collections, with an audit after each; how many were made, how many deleted."""
    alice = house.users[0]
    octets = len(b"".join(steps))
    shown: list[bytes] = []
    made = gone = 0
    for cut in cuts:
        while len(shown) < 3:
            house.attempts += 1
            shown.append(letter(house.attempts))
            house.store.commit(shown[-1], alice)
        house.store.turn()
        wire = house.wire(house.pop3, cut).run(steps)
        done = wire.passed[UP] == octets
        if done and cut.side == UP and not cut.late:
            if in_use(house, alice):  # until it is settled what is in there
                house.store.turn()
            else:  # whoever has gone before the login is answered has asked for nothing
                assert steps is AT_ONCE
                done = False
        if done:
            del shown[2], shown[0]
            gone += 1
        found = house.store.letters(alice)
        assert len(found) == len(shown), cut
        assert all(map(bytes.endswith, found, shown)), cut
        made += 1
    return made, gone


def in_use(house: House, account: int) -> bool:
    """Whether somebody has the maildrop open."""
    try:
        house.store.open(account).close()
    except MaildropInUse:
        return True
    return False


def cuts_of_a_collection(house: House, steps: list[bytes]) -> list[Cut]:
    house.seen[0] = 3
    for number in range(3):
        house.store.deliver(letter(number), house.users[0])
    whole = house.wire(house.pop3, None).run(steps)
    assert wire_says(whole, b"+OK ")
    house.store.let_go(house.users[0], 0)
    assert house.store.letters(house.users[0]) == []
    return list(everywhere(whole.passed, len(b"".join(steps))))


def test_every_octet_of_a_collection(house: House) -> None:
    """Letters go when QUIT arrived, whoever hears of it, and otherwise they stay."""
    made, gone = cut_collections(house, COLLECTING, cuts_of_a_collection(house, COLLECTING))
    assert made > 800
    assert 20 < gone < made / 2


def test_a_collection_that_is_said_at_once(house: House) -> None:
    """The same where the client waits for no answer: what it hears and what arrives part ways."""
    cuts = cuts_of_a_collection(house, AT_ONCE)
    some = [cut for cut in cuts if cut.side == UP or cut.at % 23 == 0]
    made, gone = cut_collections(house, AT_ONCE, some)
    assert 20 < gone < made


@pytest.mark.slow
def test_every_octet_of_a_collection_that_is_said_at_once(house: House) -> None:
    """All of them."""
    made, gone = cut_collections(house, AT_ONCE, cuts_of_a_collection(house, AT_ONCE))
    assert 500 < gone < made


def wire_says(wire: Wire, last: bytes) -> bool:
    """Whether the client heard its good bye."""
    return wire.answers[-1].rpartition(b"\r\n")[0].rpartition(b"\r\n")[2].startswith(last)


# Over real sockets ------------------------------------------------------------------------------

FEW = 8
GROWTH = 16  # octets of a session
SHORT = 300  # octets of a letter; most of a session are commands and answers
HELD = 40  # letters that gather before they are let go of


class Cutting(Journey):
    """Deliveries and collections through a proxy that cuts them."""

    def __init__(self, office: Office) -> None:
        super().__init__(office)
        self.known: list[bytes] = []

    def send(self, proxy: Proxy, octets: int = 0) -> None:
        """Deliver a letter.

        :param octets: how many the client has said when all is said.
        """
        with suppress(OSError), Sender(self.history, proxy.port) as sender:
            name = self.next_name()
            sender.send(name, [USER], SHORT, arrived=lambda: proxy.passed[UP] >= octets)
        proxy.done()

    def collect(self, proxy: Proxy, octets: int = 0) -> None:
        """Delete two, and say QUIT; then the maildrop is free at once, as soon as the office hears of it."""
        with (
            suppress(OSError),
            Collector(self.history, proxy.port, USER) as collector,
        ):
            collector.read()
            collector.mark([0, 2])
            collector.quit(arrived=lambda: proxy.passed[UP] >= octets)
        proxy.done()
        for _ in attempts(1):
            with suppress(InUseError), Collector(self.history, self.office.pop3, USER):
                return

    def look(self) -> None:
        """See what is new, and whether all that is to be there is."""
        with Collector(self.history, self.office.pop3, USER) as collector:
            collector.read(self.known)
            self.known = collector.uidls
            if len(self.known) > HELD:
                collector.mark(range(len(self.known)))
            assert collector.quit().startswith(b"+OK")
        self.history.check()


def some_cuts(passed: dict[str, int]) -> list[Cut]:
    """A few of everywhere, the last octets of each side among them."""
    found = []
    for side, octets in passed.items():
        points = [*range(0, octets, octets // FEW), octets - 1, octets]
        found += [Cut(side, at, cleanly=bool(n % 2)) for n, at in enumerate(points)]
    return found


def every_cut(passed: dict[str, int]) -> list[Cut]:
    """All of them, and some beyond the end: unique-ids grow while this goes on, and with them the answers."""
    longer = {side: octets + GROWTH for side, octets in passed.items()}
    return [cut for cut in everywhere(longer, longer[UP] + 1) if not cut.late]


def test_cut_deliveries(stricken: Office) -> None:
    """Over real sockets, some of them."""
    cut_in_earnest(stricken, "smtp", some_cuts)


def test_cut_collections(stricken: Office) -> None:
    """Over real sockets, some of them."""
    cut_in_earnest(stricken, "pop3", some_cuts)


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["smtp", "pop3"])
def test_every_cut_in_earnest(stricken: Office, protocol: str) -> None:
    """Over real sockets, at every octet of a session, either way, by FIN and by RST."""
    assert cut_in_earnest(stricken, protocol, every_cut) > 1_000


def cut_in_earnest(
    office: Office, protocol: str, cuts: Callable[[dict[str, int]], list[Cut]]
) -> int:
    """Cut sessions with a running office; how many."""
    office.add_users([USER])
    journey = Cutting(office)
    counts = journey.history.counts
    with Proxy(getattr(office, protocol)) as proxy:
        proxy.arm(None)
        fill(journey)
        (journey.send if protocol == "smtp" else journey.collect)(proxy)
        passed = proxy.passed
        assert min(passed.values()) > 50
        sent, kept, gone = counts["sent"], counts["kept"], counts["let go"]
        chosen = cuts(passed)
        for cut in chosen:
            if protocol == "pop3":
                fill(journey)
            proxy.arm(cut)
            if protocol == "smtp":
                journey.send(proxy, passed[UP])
            else:
                journey.collect(proxy, passed[UP])
            journey.look()
    if (
        protocol == "smtp"
    ):  # some went through, some arrived and were not answered, most did neither
        assert counts["kept"] > kept
        assert counts["unanswered"]
        assert counts["withdrawn"] > (counts["sent"] - sent) / 3
    else:
        assert counts["let go"] > gone
        assert counts["QUITs in doubt"]
    return len(chosen)


def fill(journey: Cutting) -> None:
    """There are as many letters as at every other time, and their names are as long."""
    journey.look()
    for _ in range(3 - len(journey.known)):
        assert journey.deliver(SHORT).startswith(b"250")
    journey.look()
