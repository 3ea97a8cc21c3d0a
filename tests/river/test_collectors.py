"""Command-line programs that collect letters: curl, mpop, fetchmail, getmail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .dialogue import SMTP
from .maildrop import Letter, collect
from .office import PASSWORD, Office
from .programs import Program, run, secret_file

if TYPE_CHECKING:
    from pathlib import Path

# Most of them write what they collect with the line ends of UNIX, so a letter has no other here.
BODIES = [
    b"Subject: first\r\nFrom: bob@example.net\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n.\r\n..\r\n.dot\r\n",
    b"Subject: second\r\nFrom: bob@example.net\r\n\r\n" + b"x" * 998 + b"\r\n",
    b"Subject: third\r\nFrom: bob@example.net\r\n\r\n"
    + b"A line of a long letter.\r\n.\r\n" * 5_000,
]


class Visit:
    """Somebody with letters at the office, and a home to collect them to.

    :ivar letters: what waits in the maildrop.
    """

    def __init__(self, office: Office, home: Path) -> None:
        self.office = office
        self.home = home
        self.user = office.newcomer("alice")
        with SMTP(office.smtp) as sender:
            for body in BODIES:
                assert sender.deliver(body, self.user).startswith(b"250")
        self.letters = collect(office.pop3, self.user, delete=False)
        self._inbox = home / "inbox"
        for part in ("cur", "new", "tmp"):
            (self._inbox / part).mkdir(parents=True)
        self.deliver = home / "deliver"
        self.deliver.write_text(
            f'#!/bin/sh\nfile=$(mktemp -p "{self._inbox}/tmp") && cat >"$file" &&'
            f' exec mv "$file" "{self._inbox}/new"\n'
        )
        self.deliver.chmod(0o700)

    @property
    def inbox(self) -> str:
        """A Maildir, whose ``new`` the delivery program fills as well."""
        return f"{self._inbox}/"

    def brought(self) -> list[bytes]:
        """The letters that were brought home."""
        return sorted(file.read_bytes() for file in (self._inbox / "new").iterdir())

    def expected(self) -> list[bytes]:
        """What they should be: the letters with the line ends of UNIX."""
        return sorted(letter.octets.replace(b"\r\n", b"\n") for letter in self.letters)

    def nothing_left(self) -> bool:
        """Whether the maildrop is empty."""
        return collect(self.office.pop3, self.user) == []


@pytest.fixture
def visit(office: Office, tmp_path: Path) -> Visit:
    """Somebody new, with three letters."""
    return Visit(office, tmp_path)


def test_curl(visit: Visit, program: Program) -> None:
    """It lists sizes and unique-ids, retrieves octet for octet, and deletes."""
    url = f"pop3://127.0.0.1:{visit.office.pop3}/"

    def curl(*arguments: str) -> bytes:
        return run(
            *(program("curl", "curl"), "--silent", "--show-error", "--max-time", "20"),
            *("--user", f"{visit.user}:{PASSWORD}", *arguments),
            home=visit.home,
        )

    letters: list[Letter] = visit.letters
    sizes = [b"%d %d\r\n" % (n, len(letter.octets)) for n, letter in enumerate(letters, 1)]
    assert curl(url) == b"".join(sizes)
    uidls = [b"%d %b\r\n" % (n, letter.uidl) for n, letter in enumerate(letters, 1)]
    assert curl("--request", "UIDL", url) == b"".join(uidls)
    for number, letter in enumerate(letters, 1):
        assert curl(f"{url}{number}") == letter.octets
    for _ in letters:
        curl("--list-only", "--request", "DELE", f"{url}1")
    assert visit.nothing_left()


@pytest.mark.parametrize("pipelining", ["on", "off"])
def test_mpop(visit: Visit, program: Program, pipelining: str) -> None:
    """It brings every letter home, pipelined or one by one, and deletes it; then there is none."""
    config = secret_file(
        visit.home / "mpoprc",
        f"account default\nhost 127.0.0.1\nport {visit.office.pop3}\nuser {visit.user}\n"
        f'passwordeval "echo {PASSWORD}"\nauth user\ntls off\ntimeout 20\nkeep off\n'
        f"pipelining {pipelining}\ndelivery maildir {visit.inbox}\nreceived_header off\n"
        f"uidls_file {visit.home / 'uidls'}\n",
    )
    for _ in range(2):
        run(program("mpop", "mpop"), f"--file={config}", home=visit.home)
        assert visit.brought() == visit.expected()
        assert visit.nothing_left()


def test_fetchmail(visit: Visit, program: Program) -> None:
    """It hands every letter to its delivery program and deletes it; then it finds no mail."""
    config = secret_file(
        visit.home / "fetchmailrc",
        f"poll 127.0.0.1 service {visit.office.pop3} proto pop3 auth password uidl timeout 20\n"
        f'  user "{visit.user}" password "{PASSWORD}" sslproto "" no keep no rewrite fetchall\n'
        f'  mda "{visit.deliver}"\n',
    )
    command = [
        *(program("fetchmail", "fetchmail"), "--fetchmailrc", config, "--invisible"),
        *("--pidfile", f"{visit.home}/pid", "--idfile", f"{visit.home}/ids"),
    ]
    run(*command, home=visit.home)
    assert sorted(map(below, visit.brought())) == sorted(map(below, visit.expected()))
    assert visit.nothing_left()
    run(*command, home=visit.home, status=1)


def test_getmail(visit: Visit, program: Program) -> None:
    """It hands every letter to its delivery program and deletes it; then it finds none."""
    config = secret_file(
        visit.home / "getmailrc",
        "[retriever]\ntype = SimplePOP3Retriever\nserver = 127.0.0.1\n"
        f"port = {visit.office.pop3}\nusername = {visit.user}\npassword = {PASSWORD}\ntimeout = 20\n"
        f"[destination]\ntype = MDA_external\npath = {visit.deliver}\nallow_root_commands = true\n"
        "[options]\nread_all = true\ndelete = true\ndelivered_to = false\nreceived = false\n",
    )
    command = [program("getmail", "getmail6"), "--getmaildir", str(visit.home), "--rcfile", config]
    assert b"3 messages" in run(*command, home=visit.home)
    assert sorted(map(below, visit.brought())) == sorted(map(below, visit.expected()))
    assert visit.nothing_left()
    assert b"0 messages" in run(*command, home=visit.home)


def below(letter: bytes) -> bytes:
    """What is below the header, to which some collectors add lines of their own."""
    return letter.partition(b"\n\n")[2]
