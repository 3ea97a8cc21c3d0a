"""The desk: the commands beside a running office, as its owner types them."""

from __future__ import annotations

import json
import smtplib
import time
from typing import TYPE_CHECKING, Any

import pytest

from mailpost.control_client import NotRunning, ask, beside

from .dialogue import POP3
from .office import PASSWORD, PATIENCE, Office

if TYPE_CHECKING:
    from collections.abc import Callable


def status(office: Office) -> dict[str, Any]:
    """What the running office says of itself."""
    told: dict[str, Any] = ask(beside(office.folder / "mailpost.db"), "status")
    return told


def test_status_beside_a_running_office(make_office: Callable[..., Office]) -> None:
    """From the first start to the end, through a kill: it runs, it counts, it runs no longer."""
    office = make_office()
    with pytest.raises(NotRunning):
        status(office)
    office.start()
    user = office.newcomer()
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as sender:
        sender.sendmail("me@example.net", f"{user}@example.org", "Subject: hi\r\n\r\nhi\r\n")
        with POP3(office.pop3) as session:
            assert session.login(user, PASSWORD).startswith(b"+OK")
            session.retrieve(1)
            told = json.loads(office.mailpost("--config", str(office.config), "status", "--json"))
            session.ok("QUIT")
    assert told["process"] == office.pid
    assert told["sessions"] == {"smtp": 1, "pop3": 1}
    assert (told["letters_in"], told["letters_out"]) == (1, 1)
    assert told["store"]["letters"] == 1
    reloaded = office.mailpost("--config", str(office.config), "reload")
    assert reloaded == "there is no certificate to be read again\n"
    office.kill()
    with pytest.raises(NotRunning):
        status(office)
    office.start()
    assert status(office)["process"] == office.pid
    office.stop()
    assert not office.folder.joinpath("mailpost.db.control").exists()


def test_a_locked_maildrop(office: Office) -> None:
    """Sessions end within a second; letters come in; who logs in hears why; then all is as before."""
    user = office.newcomer()
    with POP3(office.pop3) as session:
        session.login(user, PASSWORD)
        desk = ("--config", str(office.config), "maildrop")
        office.mailpost(*desk, "lock", user, "--reason", "ask the desk")
        locked = time.monotonic()
        assert session.line() == b"-ERR [SYS/PERM] this maildrop is locked: ask the desk"
        assert time.monotonic() - locked < 1.0
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as sender:
        sender.sendmail("me@example.net", f"{user}@example.org", "Subject: hi\r\n\r\nhi\r\n")
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            sender.login(user, PASSWORD)
    assert refused.value.smtp_code == 525
    with POP3(office.pop3) as session:
        answer = session.login(user, PASSWORD)
        assert answer == b"-ERR [SYS/PERM] this maildrop is locked: ask the desk"
        assert session.login(user, "wrong").startswith(b"-ERR [AUTH]")
    office.mailpost(*desk, "unlock", user)
    with POP3(office.pop3) as session:
        assert session.login(user, PASSWORD).startswith(b"+OK 1 ")
        session.ok("QUIT")


def test_the_doctor_beside_a_running_office(office: Office) -> None:
    """A letter is sent and collected, and nothing of it is left; nobody else's maildrop is touched."""
    before = status(office)
    desk = ("--config", str(office.config))
    told = json.loads(office.mailpost(*desk, "doctor", "--json"))
    assert told["well"] is True
    found = {one["check"]: one["text"] for one in told["findings"]}
    assert found["office"].startswith(f"it runs, as process {office.pid};")
    assert found["trial letter"].startswith("sent by SMTP, collected by POP3, and gone again in ")
    after = status(office)
    assert sum(one["letters"] for one in after["listeners"]) == 2 + sum(
        one["letters"] for one in before["listeners"]
    )
    assert "mailpost-doctor" not in office.mailpost(*desk, "user", "list")
