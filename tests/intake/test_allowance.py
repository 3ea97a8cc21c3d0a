"""How much an account may hand in: a stolen password floods nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailpost.accounts.avatars import account_of
from mailpost.intake import Allowance
from tests.memory import pass_time

from .office import Office, codes

if TYPE_CHECKING:
    from tests.logbook import Logbook
    from tests.memory import Peer

pytestmark = pytest.mark.usefixtures("log")

MAIL = b"MAIL FROM:<alice@example.org>\r\n"
TO_ALICE, TO_BOB = b"RCPT TO:<alice@example.org>\r\n", b"RCPT TO:<bob@example.org>\r\n"
TO_NOBODY = b"RCPT TO:<nobody@example.org>\r\n"
LETTER = b"DATA\r\nSubject: hi\r\n\r\nhi\r\n.\r\n"
KEPT = ["250 2.1.0", "250 2.1.5", "354", "250 2.0.0"]
PUT_OFF = ["250 2.1.0", "450 4.7.1", "554 5.5.1"]


def office(letters: int = 0, recipients: int = 0, *, loopback_exempt: bool = True) -> Office:
    """An office whose accounts have an allowance."""
    found = Office()
    found.factory.desk.allowance = Allowance(
        found.clock, letters, recipients, loopback_exempt=loopback_exempt
    )
    return found


def user(found: Office, name: str = "alice", host: str = "192.0.2.1") -> Peer:
    """Somebody who has logged in."""
    peer = found.peer(host)
    peer.protocol.session.user = name
    return peer


def test_letters(log: Logbook) -> None:
    """So many within an hour, by all devices and from anywhere; then 450, which means later, and one line."""
    here = office(letters=3)
    for name, host in (
        ("alice", "192.0.2.1"),
        ("alice#phone", "192.0.2.2"),
        ("alice", "192.0.2.3"),
    ):
        assert codes(user(here, name, host).ask(MAIL + TO_BOB + LETTER)) == KEPT
    for name in ("alice", "alice#phone"):
        peer = user(here, name)
        assert codes(peer.ask(MAIL + TO_BOB + b"DATA\r\n")) == PUT_OFF
    assert log.lines("alice") == ["alice has handed in 3 letters within an hour; more are put off"]
    assert codes(user(here, "bob").ask(MAIL + TO_ALICE + LETTER)) == KEPT  # another has his own
    peer = user(here)
    pass_time(here.clock, 3900, 290)
    assert codes(user(here).ask(MAIL + TO_BOB + LETTER)) == KEPT
    peer.leave()


def test_recipients(log: Logbook) -> None:
    """Those of all letters together; whoever was accepted before gets the letter."""
    here = office(recipients=3)
    peer = user(here)
    assert codes(peer.ask(MAIL + TO_ALICE + TO_BOB + LETTER)) == [
        *KEPT[:1],
        *KEPT[1:2] * 2,
        *KEPT[2:],
    ]
    heard = codes(peer.ask(MAIL + TO_ALICE + TO_BOB + LETTER))
    assert heard == ["250 2.1.0", "250 2.1.5", "450 4.7.1", "354", "250 2.0.0"]
    assert [len(draft.copies) for draft in here.delivery.drafts] == [2, 1]
    assert log.lines("alice") == [
        "alice has handed in 3 recipients within an hour; more are put off"
    ]


def test_what_is_not_counted() -> None:
    """A letter to nobody, and one that gets no further than its sender."""
    here = office(letters=1, recipients=1)
    peer = user(here)
    for _ in range(5):
        assert codes(peer.ask(MAIL + TO_NOBODY + b"RSET\r\n"))[1:] == ["550 5.1.1", "250 2.0.0"]
        assert codes(peer.ask(MAIL + b"RSET\r\n")) == ["250 2.1.0", "250 2.0.0"]
    assert codes(peer.ask(MAIL + TO_BOB + LETTER)) == KEPT


def test_who_is_not_counted() -> None:
    """Other hosts, which have not logged in, and this machine; the latter may be."""
    here = office(letters=1, recipients=1)
    for peer in (here.peer(), user(here, host="127.0.0.1"), user(here, host="::1")):
        for _ in range(3):
            assert codes(peer.ask(MAIL + TO_BOB + LETTER)) == KEPT
    here = office(letters=1, loopback_exempt=False)
    peer = user(here, host="127.0.0.1")
    assert codes(peer.ask(MAIL + TO_BOB + LETTER)) == KEPT
    assert codes(peer.ask(MAIL + TO_BOB + b"DATA\r\n")) == PUT_OFF


def test_a_letter_refused_for_its_recipients_is_no_letter() -> None:
    """What was put off takes nothing of the other allowance."""
    here = office(letters=2, recipients=1)
    peer = user(here)
    assert codes(peer.ask(MAIL + TO_BOB + LETTER)) == KEPT
    for _ in range(3):
        assert codes(peer.ask(MAIL + TO_BOB + b"DATA\r\nRSET\r\n"))[:3] == PUT_OFF
    allowance = here.factory.desk.allowance
    assert allowance is not None
    assert allowance._letters.may("alice")


@pytest.mark.parametrize("name", ["alice", "alice#phone", "recent:alice", "recent:alice#phone"])
def test_whose_it_is(name: str) -> None:
    """Each of an account's names is the account's."""
    assert account_of(name) == "alice"
