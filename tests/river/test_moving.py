"""Moving in from a real Dovecot, and out to one: no client fetches a letter a second time."""

from __future__ import annotations

import json
import os
import poplib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mailpost.carrying.maildir import Maildir
from mailpost.carrying.uidlists import UidlFormat

from .conftest import not_here
from .dovecot import Dovecot
from .maildrop import collect
from .office import PASSWORD, Office, attempts
from .programs import Program, run, secret_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LETTERS = [
    b"Received: by old.example.org; Thu, 1 Jan 2015 00:00:00 +0000\r\nSubject: %d\r\n"
    b"From: bob@example.net\r\n\r\nLetter %d.\r\n.\r\nFrom here on\r\n" % (number, number)
    for number in range(997)
] + [
    b"Subject: large\r\nFrom: bob@example.net\r\n\r\n" + b"A line of it.\r\n" * 50_000,
    b"Subject: long\r\nFrom: bob@example.net\r\n\r\n" + b"x" * 9_000 + b"\r\n",
    b"Subject: eight bits\r\nFrom: bob@example.net\r\n\r\n" + bytes(range(0xA0, 0x100)) + b"\r\n",
]


@pytest.fixture
def make_dovecot(program: Program) -> Iterator[Callable[..., Dovecot]]:
    """Makes a Dovecot, not started yet, in a folder that the user ``mail`` reaches."""
    program("dovecot", "dovecot-pop3d")
    if os.geteuid() != 0:
        not_here("Dovecot's master can only be started by root")
    folder = Path(tempfile.mkdtemp(prefix="mailpost-dovecot-"))
    folder.chmod(0o755)
    made: list[Dovecot] = []

    def make(more: str = "", certificate: tuple[Path, Path] | None = None) -> Dovecot:
        made.append(Dovecot(folder / str(len(made)), more, certificate))
        return made[-1]

    yield make
    for one in made:
        one.stop()
    shutil.rmtree(folder)


def move(office: Office, source: str, *options: str, typed: str = "") -> dict[str, object]:
    """Run ``mailpost import`` for alice; what it told."""
    told = office.mailpost(
        *("--config", str(office.config), "import", source, "--to", "alice", "--json", *options),
        typed=typed,
    )
    outcome: dict[str, object] = json.loads(told)
    assert outcome["unread"] == outcome["new_uidl"] == []
    return outcome


def uidls(port: int, user: str = "alice") -> list[str]:
    """The unique-ids that a server tells."""
    session = poplib.POP3("127.0.0.1", port, timeout=30)
    session.user(user)
    session.pass_(PASSWORD)
    listed = [line.decode().split(" ", 1)[1] for line in session.uidl()[1]]
    session.quit()
    return listed


def fetch(port: int, home: Path, program: Program, *, status: int) -> bytes:
    """Have fetchmail look for what is new, and keep it; what it brought."""
    config = secret_file(
        home / "fetchmailrc",
        f"poll 127.0.0.1 service {port} proto pop3 auth password uidl timeout 20\n"
        f'  user "alice" password "{PASSWORD}" sslproto "" keep no rewrite bsmtp "{home}/brought"\n',
    )
    (home / "brought").unlink(missing_ok=True)
    command = [
        *(program("fetchmail", "fetchmail"), "--fetchmailrc", config, "--invisible"),
        *("--pidfile", f"{home}/pid", "--idfile", f"{home}/ids"),
    ]
    run(*command, home=home, status=status)
    return (home / "brought").read_bytes() if (home / "brought").exists() else b""


def test_fetchmail_fetches_nothing_twice(
    make_dovecot: Callable[..., Dovecot], own_office: Office, tmp_path: Path, program: Program
) -> None:
    """1,000 letters move from a Maildir of Dovecot's into a running office, and fetchmail fetches none again.

    What comes afterwards is fetched, and it alone.
    """
    dovecot = make_dovecot()
    dovecot.stock("alice", LETTERS)
    dovecot.start()
    own_office.add_users(["alice"])
    assert fetch(dovecot.port, tmp_path, program, status=0).count(b"\nSubject: ") == 1_000
    there = uidls(dovecot.port)
    assert move(own_office, str(dovecot.maildir("alice")))["brought"] == 1_000
    letters = collect(own_office.pop3, "alice", delete=False)
    assert [letter.uidl.decode() for letter in letters] == there
    assert [letter.octets for letter in letters] == LETTERS
    assert fetch(own_office.pop3, tmp_path, program, status=1) == b""

    dovecot.stock("alice", [b"Subject: new\r\nFrom: bob@example.net\r\n\r\nnew\r\n"], first=2_000)
    assert uidls(dovecot.port)[:-1] == there
    assert move(own_office, str(dovecot.maildir("alice"))) == {
        "account": "alice",
        "dry_run": False,
        "brought": 1,
        "octets": 44,
        "there": 1_000,
        "new_uidl": [],
        "unread": [],
    }
    assert fetch(own_office.pop3, tmp_path, program, status=0).count(b"\nSubject: ") == 1


def test_killed_and_run_again(make_office: Callable[..., Office], tmp_path: Path) -> None:
    """SIGKILL at any moment: the next run goes on, and each letter is there once, in its order."""
    office = make_office()
    office.add_users(["alice"])
    maildir = tmp_path / "Maildir"
    for part in ("cur", "new", "tmp"):
        (maildir / part).mkdir(parents=True)
    large = b"x" * 70 + b"\n"
    for number, letter in enumerate(LETTERS[:800]):
        body = large * 1_000 if number % 50 == 0 else b""
        file = maildir / "cur" / f"{1_700_000_000 + number}.M{number}.old:2,S"
        file.write_bytes(letter.replace(b"\r\n", b"\n") + body)
    log = office.folder / "mailpost.db-wal"
    words = ("--config", str(office.config), "import", str(maildir), "--to", "alice")
    for octets in (100_000, 300_000):
        broken = subprocess.Popen([sys.executable, "-m", "mailpost", *words])
        for _ in attempts():
            if broken.poll() is not None or (log.exists() and log.stat().st_size > octets):
                break
        broken.kill()
        broken.wait()
    last = move(office, str(maildir))
    assert last["there"] != 0
    office.start()
    letters = collect(office.pop3, "alice", delete=False)
    expected = [
        letter + (large * 1_000).replace(b"\n", b"\r\n") * (number % 50 == 0)
        for number, letter in enumerate(LETTERS[:800])
    ]
    assert [letter.octets for letter in letters] == expected


def test_over_pop3(
    make_dovecot: Callable[..., Dovecot], make_office: Callable[..., Office]
) -> None:
    """The same from the server itself, under TLS; what it brought is known in the Maildir too."""
    office = make_office()
    certificate = office.folder / "certificate.pem"
    dovecot = make_dovecot(certificate=(certificate, office.folder / "key.pem"))
    dovecot.stock("alice", LETTERS[-100:])
    dovecot.start()
    office.add_users(["alice"])
    trust = ("--password-stdin", "--authority", str(certificate))
    server = f"pop3s://alice@127.0.0.1:{dovecot.tls_port}"
    assert move(office, server, *trust, typed=PASSWORD)["brought"] == 100
    assert move(office, str(dovecot.maildir("alice")))["there"] == 100
    office.start()
    letters = collect(office.pop3, "alice")
    assert [letter.octets for letter in letters] == LETTERS[-100:]
    assert [letter.uidl.decode() for letter in letters] == uidls(dovecot.port)


def test_formats_of_unique_ids(make_dovecot: Callable[..., Dovecot]) -> None:
    """They are what Dovecot itself makes of its settings."""
    for how in ("%v.%u-%Mf", "UID%08Xv%08XUu%%%g"):
        dovecot = make_dovecot(f"pop3_uidl_format = {how}")
        dovecot.stock("alice", LETTERS[:12])
        dovecot.start()
        there = uidls(dovecot.port)
        source = Maildir(dovecot.maildir("alice"), UidlFormat(how))
        assert [letter.uidl for letter in source.letters()] == there
        dovecot.stop()


def test_unique_ids_that_dovecot_has_saved(
    make_dovecot: Callable[..., Dovecot], make_office: Callable[..., Office], tmp_path: Path
) -> None:
    """They come first (``pop3_save_uidl``); and a Dovecot that gets an exported Maildir has them again."""
    dovecot = make_dovecot("pop3_uidl_format = old-%u\npop3_save_uidl = yes")
    dovecot.stock("alice", LETTERS[:12])
    dovecot.start()
    there = uidls(dovecot.port)
    assert there[0] == "old-1"
    office = make_office()
    office.add_users(["alice"])
    move(office, str(dovecot.maildir("alice")))
    office.start()
    assert uidls(office.pop3) == there

    export = ("export", "alice", "maildir", str(tmp_path / "Maildir"))
    office.mailpost("--config", str(office.config), *export)
    another = make_dovecot()
    another.stock("alice", [])
    shutil.rmtree(another.maildir("alice"))
    shutil.copytree(tmp_path / "Maildir", another.maildir("alice"))
    for path in (another.maildir("alice"), *another.maildir("alice").rglob("*")):
        shutil.chown(path, "mail", "mail")
    another.start()
    assert uidls(another.port) == there
    assert [letter.octets for letter in collect(another.port, "alice")] == LETTERS[:12]
