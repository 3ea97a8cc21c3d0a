"""POP3 sessions over real connections: the lock, the snapshot, and what a lost connection deletes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .dialogue import POP3, SMTP
from .maildrop import collect
from .office import attempts

if TYPE_CHECKING:
    from .office import Office

BODY = b"Subject: hello\r\n\r\nhello\r\n"


def deliver(office: Office, user: str, letters: int = 1) -> None:
    """Send somebody letters."""
    with SMTP(office.smtp) as sender:
        for _ in range(letters):
            assert sender.deliver(BODY, user).startswith(b"250")


def login_as_soon_as_it_is_free(office: Office, user: str) -> POP3:
    """A session; the maildrop may be in use for a moment still."""
    for _ in attempts(5):
        session = POP3(office.pop3)
        if (answer := session.login(user)).startswith(b"+OK"):
            return session
        assert answer.startswith(b"-ERR [IN-USE]"), answer
        session.close()
    raise AssertionError("attempts ends by itself")


def test_one_session_at_a_time(office: Office) -> None:
    """A second login is told [IN-USE], and may try again in the same connection after the first's QUIT."""
    user = office.newcomer()
    with POP3(office.pop3, user) as first, POP3(office.pop3) as second:
        for _ in range(3):
            assert second.login(user).startswith(b"-ERR [IN-USE]")
        first.ok("QUIT")
        assert second.login(user).startswith(b"+OK")


def test_a_lost_connection_frees_the_maildrop_and_deletes_nothing(office: Office) -> None:
    """Hanging up without QUIT: the next session has the maildrop, and all of it."""
    user = office.newcomer()
    deliver(office, user, 3)
    with POP3(office.pop3, user) as lost:
        lost.ok("DELE 1")
        lost.ok("DELE 2")
        assert lost.ok("STAT").startswith(b"1 ")
    with login_as_soon_as_it_is_free(office, user) as session:
        assert session.ok("STAT").startswith(b"3 ")
        session.ok("QUIT")
    assert len(collect(office.pop3, user)) == 3


def test_a_killed_server_frees_every_maildrop(own_office: Office) -> None:
    """After kill -9 and a restart nobody finds their maildrop in use, and nothing was deleted."""
    users = [own_office.newcomer() for _ in range(5)]
    sessions = []
    for user in users:
        deliver(own_office, user, 2)
        sessions.append(POP3(own_office.pop3, user))
        sessions[-1].ok("DELE 1")
    uidls = [session.listing("UIDL") for session in sessions]
    own_office.kill()
    assert own_office.start() < 5
    for user, session, listed in zip(users, sessions, uidls, strict=True):
        session.close()
        letters = collect(own_office.pop3, user)
        assert [letter.uidl for letter in letters][1:] == [uidl for _, uidl in listed]
        assert len(letters) == 2


def test_mail_that_arrives_during_a_session_waits(office: Office) -> None:
    """A session sees what was there when it began; what came later is there for the next."""
    user = office.newcomer()
    deliver(office, user, 2)
    with POP3(office.pop3, user) as session:
        deliver(office, user, 3)
        assert session.ok("STAT").startswith(b"2 ")
        assert len(session.listing("LIST")) == 2
        assert session.ask("RETR 3").startswith(b"-ERR")
        for number in (1, 2):
            session.ok(f"DELE {number}")
        deliver(office, user)
        session.ok("RSET")
        assert session.ok("STAT").startswith(b"2 ")
        for number in (1, 2):
            session.ok(f"DELE {number}")
        session.ok("QUIT")
    assert len(collect(office.pop3, user)) == 4


def test_unique_ids_outlast_everything(own_office: Office) -> None:
    """UIDLs stay through deletions, a stop and a restart, and are never given again."""
    user = own_office.newcomer()
    deliver(own_office, user, 5)
    before = [letter.uidl for letter in collect(own_office.pop3, user, delete=False)]
    with POP3(own_office.pop3, user) as session:
        session.ok("DELE 2")
        session.ok("DELE 5")
        session.ok("QUIT")
    assert own_office.stop() == 0
    own_office.start()
    deliver(own_office, user, 2)
    after = [letter.uidl for letter in collect(own_office.pop3, user)]
    assert after[:3] == [before[0], before[2], before[3]]
    assert not set(after[3:]) & set(before)
    deliver(own_office, user)
    (last,) = collect(own_office.pop3, user)
    assert last.uidl not in {*before, *after}


def test_pipelined_commands_are_answered_in_order(office: Office) -> None:
    """A whole session in one segment, errors in the middle of it too."""
    user = office.newcomer()
    deliver(office, user, 2)
    with POP3(office.pop3) as session:
        session.send(
            f"STAT\r\nUSER {user}\r\nPASS open sesame\r\nRETR 1\r\nRETR 7\r\nFOO\r\nRETR 2\r\nDELE 1\r\n"
            "DELE 1\r\nSTAT\r\nDELE 2\r\nQUIT\r\n".encode()
        )
        assert session.line().startswith(b"-ERR")
        assert session.line().startswith(b"+OK")
        assert session.line().startswith(b"+OK")
        assert session.line().startswith(b"+OK")
        assert session.content().endswith(BODY)
        assert session.line().startswith(b"-ERR")
        assert session.line().startswith(b"-ERR")
        assert session.line().startswith(b"+OK")
        assert session.content().endswith(BODY)
        answers = session.rest().splitlines()
    assert [answer[:3] for answer in answers] == [b"+OK", b"-ER", b"+OK", b"+OK", b"+OK"]
    assert collect(office.pop3, user) == []


def test_an_unfinished_letter_is_no_letter(office: Office) -> None:
    """A connection that is lost before the final dot leaves nothing behind."""
    user = office.newcomer()
    for size in (10, 200_000):
        with SMTP(office.smtp) as sender:
            sender.envelope(user)
            sender.send(b"Subject: half\r\n\r\n" + b"half a letter\r\n" * size + b"\r\n.\r")
    with SMTP(office.smtp) as sender:
        assert sender.deliver(BODY, user).startswith(b"250")
    assert [letter.body for letter in collect(office.pop3, user)] == [BODY]
