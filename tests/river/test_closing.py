"""SIGTERM: everybody is told, what was acknowledged is kept, and the process ends soon, with status 0."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

from .dialogue import POP3, SMTP
from .maildrop import collect
from .office import attempts

if TYPE_CHECKING:
    from .office import Office

BODY = b"Subject: hello\r\n\r\nhello\r\n"
LIMIT = 10.0


def terminate(office: Office) -> float:
    """Send SIGTERM; when that was."""
    assert office.process is not None
    office.process.send_signal(signal.SIGTERM)
    return time.monotonic()


def test_everybody_is_told(own_office: Office) -> None:
    """Idle or in the middle of something: SMTP clients read 421, POP3 clients -ERR, then the end."""
    user, other = own_office.newcomer(), own_office.newcomer()
    with (
        SMTP(own_office.smtp, ehlo=False) as fresh,
        SMTP(own_office.smtp) as sender,
        POP3(own_office.pop3) as anonymous,
        POP3(own_office.pop3, user) as reader,
    ):
        assert sender.deliver(BODY, user, other).startswith(b"250")
        assert sender.ask(b"MAIL FROM:<bob@example.net>").startswith(b"250")
        reader.ok("QUIT")
        with POP3(own_office.pop3, user) as marked:
            marked.ok("DELE 1")
            started = terminate(own_office)
            for told in (fresh, sender):
                assert told.line().startswith(b"421 4.3.2 ")
                assert told.rest() == b""
                told.close()
            for told in (anonymous, marked):
                assert told.line().startswith(b"-ERR")
                assert told.rest() == b""
                told.close()
        assert own_office.wait() == 0
        assert time.monotonic() - started < LIMIT
    own_office.process = None
    own_office.start()
    for name in (user, other):
        assert [letter.body for letter in collect(own_office.pop3, name)] == [BODY]


def test_stuck_clients_do_not_hold_it_up(own_office: Office) -> None:
    """Clients that neither end their letter, nor read theirs, nor hang up: status 0 within 10 s."""
    user = own_office.newcomer()
    with SMTP(own_office.smtp) as sender:
        assert sender.deliver(BODY + (b"x" * 70 + b"\r\n") * 50_000, user).startswith(b"250")
    with (
        SMTP(own_office.smtp) as stuck,
        SMTP(own_office.smtp) as half,
        POP3(own_office.pop3, user, window=4096) as deaf,
        POP3(own_office.pop3) as silent,
    ):
        stuck.envelope(user)
        stuck.send(b"Subject: never ends\r\n\r\n" + b"and on\r\n" * 100_000)
        half.send(b"MAIL FROM:<bob@exam")
        deaf.send(b"RETR 1\r\n" * 20)
        started = terminate(own_office)
        assert own_office.wait(LIMIT + 5) == 0
        assert time.monotonic() - started < LIMIT
        assert stuck.line().startswith(b"421")
        assert silent.line().startswith(b"-ERR")
    own_office.process = None
    own_office.start()
    assert len(collect(own_office.pop3, user)) == 1


def test_what_was_acknowledged_under_load_is_kept(own_office: Office) -> None:
    """Letters with a 250 are there after the restart, once; others at most once; nobody waits in vain."""
    user = own_office.newcomer()
    kept: list[bytes] = []
    tried: list[bytes] = []

    def send(thread: int) -> None:
        try:
            with SMTP(own_office.smtp) as sender:
                for number in range(100_000):
                    name = b"%d-%d" % (thread, number)
                    tried.append(name)
                    body = b"Subject: %b\r\n\r\n" % name + b"text\r\n" * (number % 20 * 1_000)
                    if sender.deliver(body, user).startswith(b"250"):
                        kept.append(name)
        except (AssertionError, OSError):
            return  # 421, or the end

    threads = [threading.Thread(target=send, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in attempts():
        if len(kept) > 100:
            break
    started = terminate(own_office)
    assert own_office.wait(LIMIT + 5) == 0
    assert time.monotonic() - started < LIMIT
    for thread in threads:
        thread.join(LIMIT)
        assert not thread.is_alive()
    own_office.process = None
    own_office.start()
    names = [letter.body.split(b"\r\n")[0][9:] for letter in collect(own_office.pop3, user)]
    assert len(set(names)) == len(names)
    assert set(kept) <= set(names) <= set(tried)
