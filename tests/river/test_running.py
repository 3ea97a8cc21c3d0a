"""The ways to run an office, and to run parts of it within other applications."""

from __future__ import annotations

import os
import poplib
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .dialogue import POP3, SMTP
from .maildrop import only_letter
from .office import PASSWORD, PATIENCE, attempts, await_greeting, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .office import Office

TWISTD = str(Path(sys.executable).with_name("twistd"))
BODY = b"Subject: hello\r\n\r\nhello\r\n"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that is neither the project's nor the office's."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return folder


def letter_goes_through(office: Office, user: str) -> None:
    """Deliver a letter, collect it, find the maildrop empty."""
    with SMTP(office.smtp) as sender:
        assert sender.deliver(BODY, user).startswith(b"250")
    assert only_letter(office.pop3, user).body == BODY


def test_twistd_from_any_folder(make_office: Callable[..., Office], elsewhere: Path) -> None:
    """``twistd -n mailpost --config FILE`` serves, and closes in order.

    twistd passes the signal on to itself when all is done, as it does with every application.
    """
    office = make_office()
    office.start(
        [TWISTD, "-n", "--pidfile=", "mailpost", "--config", str(office.config)], cwd=elsewhere
    )
    letter_goes_through(office, office.newcomer())
    assert office.stop() in {0, -signal.SIGTERM}
    assert "closed" in office.log
    assert list(elsewhere.iterdir()) == []


def test_twistd_reads_certificates_again(
    make_office: Callable[..., Office], elsewhere: Path
) -> None:
    """SIGHUP has the certificates read again under twistd too, and the office goes on."""
    office = make_office()
    with office.config.open("a") as file:
        file.write('[[certificate]]\nchain = "certificate.pem"\nkey = "key.pem"\n')
    twistd = [TWISTD, "-n", "--pidfile=", "mailpost", "--config", str(office.config)]
    office.start(twistd, cwd=elsewhere)
    before = len(office.log)
    assert office.process is not None
    office.process.send_signal(signal.SIGHUP)
    for _ in attempts():
        if "certificate" in office.log[before:]:
            break
    letter_goes_through(office, office.newcomer())


@pytest.mark.parametrize("why", ["port", "store"])
def test_twistd_that_cannot_open_fails(
    make_office: Callable[..., Office], elsewhere: Path, why: str
) -> None:
    """A port in use, or a store that is none: twistd says so, ends, and its status is not that of success."""
    office = make_office()
    if why == "port":
        office.start()
        told = "in use"
    else:
        (office.folder / "mailpost.db").write_bytes(b"this is no database" * 500)
        told = "the office cannot open"
    pid_file = elsewhere / "twistd.pid"
    ended = subprocess.run(
        [TWISTD, "-n", f"--pidfile={pid_file}", "mailpost", "--config", str(office.config)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=elsewhere,
    )
    assert ended.returncode == 1, ended.stdout
    assert told in ended.stdout
    assert not pid_file.exists()


def test_twistd_as_a_daemon(make_office: Callable[..., Office], elsewhere: Path) -> None:
    """The command ends with 0 once the office is open; where it cannot open, with 1, and it says why."""
    office, pid_file = make_office(), elsewhere / "twistd.pid"
    command = [TWISTD, f"--pidfile={pid_file}", "mailpost", "--config", str(office.config)]

    def daemonise() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=elsewhere
        )

    with socket.create_server(("127.0.0.1", office.smtp)):
        refused = daemonise()
    assert refused.returncode == 1
    assert "Address already in use" in refused.stderr
    for _ in attempts():
        if not pid_file.exists():
            break
    log = (elsewhere / "twistd.log").read_text()
    assert "the office cannot open: " in log
    assert "Traceback" not in log
    assert daemonise().returncode == 0
    letter_goes_through(office, office.newcomer())
    os.kill(int(pid_file.read_text()), signal.SIGTERM)
    for _ in attempts():
        if not pid_file.exists():
            break


def test_serve_from_any_folder(make_office: Callable[..., Office], elsewhere: Path) -> None:
    """``python -m mailpost serve`` finds the office through the environment or the folder it is run in."""
    office = make_office()
    serve = [sys.executable, "-m", "mailpost", "serve"]
    office.start(["env", f"MAILPOST_CONFIG={office.config}", *serve], cwd=elsewhere)
    letter_goes_through(office, office.newcomer())
    assert office.stop() == 0
    office.start(serve, cwd=office.folder)
    letter_goes_through(office, office.newcomer())
    assert office.stop() == 0


def test_serve_says_where_it_is_and_what_to_try(own_office: Office) -> None:
    """Its ports are told, and the commands that it suggests work as they stand there."""
    own_office.stop()
    user = own_office.newcomer("alice")
    own_office.start()
    assert f"127.0.0.1:{own_office.smtp}" in own_office.log
    (suggested,) = [
        line for line in own_office.log.splitlines() if "smtplib" in line and user in line
    ]
    subprocess.run(
        suggested.replace("python3", sys.executable), shell=True, timeout=PATIENCE, check=True
    )
    assert only_letter(own_office.pop3, user).body == b"Subject: hello\r\n\r\nIt works.\r\n"


def test_a_port_in_use_is_told(own_office: Office) -> None:
    """A second office on the same ports says so in a line, and the first one goes on."""
    second = subprocess.run(
        [sys.executable, "-m", "mailpost", "--config", str(own_office.config), "serve"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert second.returncode == 69
    assert f"127.0.0.1:{own_office.smtp} is in use" in second.stderr
    assert "Traceback" not in second.stderr
    letter_goes_through(own_office, own_office.newcomer())


def test_a_checker_of_strcred(make_office: Callable[..., Office], elsewhere: Path) -> None:
    """With ``twistd --auth file:PASSWD`` that file's passwords count, and the account's own does not."""
    office = make_office()
    office.add_users(["alice", "bob"])
    passwords = elsewhere / "passwd"
    passwords.write_text("alice:from the file\nmallory:has no account\n")
    office.start(
        [
            *(TWISTD, "-n", "--pidfile=", "mailpost", "--config", str(office.config)),
            *("--auth", f"file:{passwords}"),
        ],
        cwd=elsewhere,
    )
    with SMTP(office.smtp) as sender:
        assert sender.deliver(BODY, "alice").startswith(b"250")
    with POP3(office.pop3) as session:
        for name, password in [
            ("alice", PASSWORD),
            ("alice", "from the fil"),
            ("bob", PASSWORD),
            ("mallory", "has no account"),
        ]:
            assert session.login(name, password).startswith(b"-ERR [AUTH]")
        assert session.login("alice", "from the file").startswith(b"+OK")
        assert session.retrieve(1).endswith(BODY)
        session.ok("QUIT")


@pytest.fixture
def application() -> Iterator[int]:
    """The port of the small application beside this file."""
    (port,) = free_ports(1)
    script = Path(__file__).with_name("mailbox_application.py")
    with subprocess.Popen([sys.executable, str(script), str(port)]) as process:
        try:
            await_greeting(port, process)
            yield port
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


def test_a_realm_written_for_twisted(application: int) -> None:
    """An IMailbox of anybody's is served as it is: listed, read, deleted at QUIT and not before."""

    def session() -> poplib.POP3:
        opened = poplib.POP3("127.0.0.1", application, timeout=PATIENCE)
        opened.user("alice")
        opened.pass_("wonderland")
        return opened

    wrong = poplib.POP3("127.0.0.1", application, timeout=PATIENCE)
    wrong.user("alice")
    with pytest.raises(poplib.error_proto):
        wrong.pass_("looking glass")
    wrong.quit()

    first = session()
    assert first.list()[1] == [b"1 30", b"2 48"]
    assert first.uidl()[1] == [b"1 letter-0", b"2 letter-1"]
    _, lines, octets = first.retr(1)
    assert lines == [b"Subject: one", b"", b"first", b".", b".."]
    assert octets == 30
    assert first.retr(2)[1] == [b"Subject: two", b"", b"second, without an end of line"]
    first.dele(1)
    first.close()

    second = session()
    assert second.stat() == (2, 78)
    second.dele(1)
    second.quit()

    third = session()
    assert third.stat() == (1, 48)
    assert third.uidl()[1] == [b"1 letter-1"]
    third.quit()
