"""README.rst does what it says: its commands are run as they stand there, without the network.

Only the ports differ, so that an office that is open on this machine is left alone. The two lines at the
top install mailpost; here it is installed already, and what follows the installation is run.
"""

from __future__ import annotations

import os
import poplib
import pty
import re
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest

from .river.office import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

README = (Path(__file__).parent.parent / "README.rst").read_text(encoding="utf-8")
PATIENCE = 20.0
PASSWORD = "secret"


def blocks(section: str) -> list[str]:
    """The blocks of code in a section, in their order, each without its indentation."""
    text = f"\n{README}".partition(f"\n{section}\n")[2]
    text = re.split(r"\n[^\n]+\n[-=]{4,}\n", text.partition("\n")[2])[0]
    found = re.findall(
        r"(?:::|\.\. code:: \w+)\n\n((?: {4}[^\n]*\n|\n(?= {4}|\n {4}))+)", text + "\n"
    )
    return [textwrap.dedent(block) for block in found]


def commands(block: str) -> list[str]:
    return [line for line in block.splitlines() if line]


FIRST_LINE, TEST_LINE = (commands(block)[0] for block in blocks("mailpost"))


def needed(program: str) -> None:
    """Skip where a program is missing; in CI nothing may be missing."""
    if shutil.which(program) is None:
        reason = f"{program} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


class Newcomer:
    """Somebody who copies from README, in a folder that looks as it does after the installation."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        named = ("2525", "1587", "1110", "2424")
        self.ports = dict(zip(named, free_ports(len(named)), strict=True))
        self._servers: list[subprocess.Popen[bytes]] = []
        bin_folder = folder / ".venv" / "bin"
        bin_folder.mkdir(parents=True)
        for program in ("mailpost", "python", "twistd"):
            beside = Path(sys.executable).with_name(program)
            script = f'#!/bin/sh\nexec "{beside}" "$@"\n'
            (bin_folder / program).write_text(script)
            (bin_folder / program).chmod(0o755)
        (bin_folder / "activate").write_text(f'PATH="{bin_folder}:$PATH"\n')

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what was started to stay."""
        for server in self._servers:
            server.send_signal(signal.SIGTERM)
            server.wait(PATIENCE)

    def here(self, text: str) -> str:
        """The same with this newcomer's ports."""
        for port, ours in self.ports.items():
            text = text.replace(port, str(ours))
        return text

    def run(self, command: str, typed: str = "") -> str:
        """Run a command in a shell of its own; what it printed."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f". .venv/bin/activate\n{self.here(command)}"],
            cwd=self.folder,
            input=typed,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def type_password(self, command: str) -> None:
        """Run a command that asks for a password twice."""
        ours, theirs = pty.openpty()
        asks = subprocess.Popen(
            ["bash", "-c", f". .venv/bin/activate\n{command}"],
            cwd=self.folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,  # without a terminal of its own it asks on standard input
        )
        os.close(theirs)
        shown = ""
        for question in ("Password", "Again"):
            while not shown.rpartition("\n")[2].endswith(": ") or question not in shown:
                shown += os.read(ours, 4096).decode()
            os.write(ours, f"{PASSWORD}\n".encode())
        assert asks.wait(PATIENCE) == 0, shown
        os.close(ours)

    def serve(self, command: str, *ports: str) -> None:
        """Start a command that stays, and wait until it greets at these ports."""
        with (self.folder / "log").open("ab") as log:
            server = subprocess.Popen(
                ["bash", "-c", f". .venv/bin/activate\nexec {self.here(command)}"],
                cwd=self.folder,
                stdout=log,
                stderr=log,
            )
        self._servers.append(server)
        end = time.monotonic() + PATIENCE
        for port in ports:
            while not self._greets(self.ports[port]):
                assert server.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < end, f"nobody at {port}"
                time.sleep(0.05)

    def _greets(self, port: int) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE) as door:
                return bool(door.recv(512))
        except ConnectionError:
            return False

    def collect(self) -> list[str]:
        """All letters, by poplib."""
        session = poplib.POP3("127.0.0.1", self.ports["1110"], timeout=PATIENCE)
        session.user("alice")
        session.pass_(PASSWORD)
        count, _ = session.stat()
        letters = [b"\n".join(session.retr(number + 1)[1]).decode() for number in range(count)]
        session.quit()
        return letters


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    """A newcomer who has run the first line as far as ``init``."""
    make_environment, install, init, _ = FIRST_LINE.split(" && ")
    assert make_environment == "python3 -m venv .venv"
    assert install == ".venv/bin/pip install ."
    with Newcomer(tmp_path) as somebody:
        somebody.run(init)
        config = tmp_path / "office" / "mailpost.toml"
        config.write_text(somebody.here(config.read_text()))
        yield somebody


@pytest.fixture
def with_alice(newcomer: Newcomer) -> Newcomer:
    """One whose office is open, and has an account."""
    newcomer.serve(FIRST_LINE.split(" && ")[-1], "2525", "1110")
    add = commands(blocks("First steps")[0])[-1]
    newcomer.run(f"{add} --password-stdin", typed=f"{PASSWORD}\n")
    return newcomer


def test_every_block_is_tested_here() -> None:
    """A block that is added to README needs a test, too."""
    sections = re.findall(r"\n([^\n]+)\n-{4,}\n", README)
    assert {section: len(blocks(section)) for section in sections if blocks(section)} == {
        "First steps": 8,
        "Several devices": 4,
        "Addresses": 4,
        "Moving in": 2,
        "Keeping": 3,
        "Backup": 3,
        "For teachers": 2,
        "For developers who test an application's mail": 1,
        "For Twisted developers": 2,
        "For operators": 3,
        "The house": 1,
    }


def test_the_line_for_the_tests() -> None:
    """It stands alone, and installs what the tests need; ``.ci/run`` runs it."""
    assert TEST_LINE.split(" && ") == [
        "python3 -m venv .venv",
        ".venv/bin/pip install -e '.[test]'",
        ".venv/bin/pytest",
    ]


def test_first_steps(newcomer: Newcomer) -> None:
    """One line opens the office; then an account, two letters, and one of them collected."""
    needed("curl")
    needed("swaks")
    account, sending, as_user, collecting, listing, *rest = map(commands, blocks("First steps"))
    newcomer.serve(FIRST_LINE.split(" && ")[-1], "2525", "1587", "1110")
    activate, add = account
    assert activate == ". .venv/bin/activate"
    newcomer.type_password(add)
    for command in (*sending, *as_user):
        newcomer.run(command)
    what_is_there, first, delete = collecting
    assert [line.split()[0] for line in newcomer.run(what_is_there).splitlines()] == ["1", "2", "3"]
    assert newcomer.run(first).replace("\r", "").endswith("Subject: hello\n\nIt works.\n")
    newcomer.run(delete)
    encrypted = re.findall(r"``(--ssl-reqd .+)``", README)[0]
    left = newcomer.run(what_is_there.replace("curl", f"curl {encrypted}"))
    assert len(left.splitlines()) == 2
    submitted = newcomer.collect()[1]
    assert "with ESMTPSA id" in submitted
    assert "\nMessage-ID: <" in submitted
    assert re.search(r"^alice +2 ", newcomer.run(listing[0]), re.MULTILINE)
    settings, status, doctor = rest
    assert f"port        {newcomer.ports['1110']}" in newcomer.run(settings[0])
    assert "3 taken in" in newcomer.run(status[0])
    assert "0 problems" in newcomer.run(doctor[0])


def test_several_devices(with_alice: Newcomer) -> None:
    """A phone has a password and letters of its own; removed, it has nothing."""
    add, listing, look, remove = (commands(block)[0] for block in blocks("Several devices"))
    needed("curl")
    with_alice.run(commands(blocks("First steps")[1])[0])
    assert len(with_alice.collect()) == 1  # from now on the main password holds letters
    password = re.findall(r"^password: +(\S+)$", with_alice.run(add), re.MULTILINE)[0]
    delete = commands(blocks("First steps")[3])[2]
    with_alice.run(delete.replace("alice:secret", f"alice:{password}"))
    assert re.search(r"^alice +phone .* 0$", with_alice.run(listing), re.MULTILINE)
    (letter,) = with_alice.collect()
    assert letter.endswith("It works.")
    assert len(with_alice.run(look).splitlines()) == 1
    with_alice.run(remove)
    assert "phone" not in with_alice.run(listing)


def test_moving_in(with_alice: Newcomer) -> None:
    """A Maildir comes in, and goes out again; the old server is one that is not there."""
    (maildir, server), (export,) = (commands(block) for block in blocks("Moving in"))
    for part in ("cur", "new", "tmp"):
        (with_alice.folder / "old/Maildir" / part).mkdir(parents=True)
    letter = with_alice.folder / "old/Maildir/cur/1700000000.1.old:2,S"
    letter.write_bytes(b"Subject: old\n\nIt has moved.\n")
    assert "alice: 1 letter brought" in with_alice.run(maildir)
    assert with_alice.collect() == ["Subject: old\n\nIt has moved."]
    assert "alice: 1 letter written" in with_alice.run(export)
    (moved,) = (with_alice.folder / "alice-Maildir/new").iterdir()
    assert moved.read_bytes() == letter.read_bytes()
    gone = server.replace("old.example.org", f"127.0.0.1:{with_alice.ports['2424']}")
    assert gone != server
    with pytest.raises(AssertionError, match="refused"):
        with_alice.run(f"{gone} --password-stdin", typed=f"{PASSWORD}\n")


def test_keeping(with_alice: Newcomer) -> None:
    """What was deleted comes back, once."""
    what_there_is, undelete = commands(blocks("Keeping")[0])
    needed("curl")
    with_alice.run(commands(blocks("First steps")[1])[0])
    with_alice.run(commands(blocks("First steps")[3])[2])
    assert with_alice.collect() == []
    end = time.monotonic() + PATIENCE
    while "1 letter of alice would come back" not in (listed := with_alice.run(what_there_is)):
        assert time.monotonic() < end, listed
    assert re.search(r"^\d{4}-.* hello$", listed, re.MULTILINE)
    assert with_alice.run(undelete) == "1 letter of alice is back\n"
    assert len(with_alice.collect()) == 1
    assert "nothing of alice's" in with_alice.run(undelete)
    quota, listing = commands(blocks("Keeping")[1])
    what_would_go, retention = commands(blocks("Keeping")[2])
    assert "0 letters of alice would be removed" in with_alice.run(what_would_go)
    assert "30 days after all have collected" in with_alice.run(retention)
    with_alice.run(quota)
    listed = with_alice.run(listing)
    assert re.search(
        r"^alice +1 +\d+ B +\d+ B +2\.0 GiB +30d after collected ", listed, re.MULTILINE
    )


def test_backup(with_alice: Newcomer) -> None:
    """A letter that was deleted comes back; then the whole store does, after it was lost."""
    (write, verify), (one,), (all_of_it,) = (commands(block) for block in blocks("Backup"))
    needed("curl")
    with_alice.run(commands(blocks("First steps")[1])[0])
    with_alice.run(write)
    assert "is whole: 1 letter" in with_alice.run(verify)
    delete = commands(blocks("First steps")[3])[2]
    with_alice.run(delete)
    assert with_alice.collect() == []
    assert "alice: 1 letter back" in with_alice.run(one)
    (letter,) = with_alice.collect()
    assert letter.endswith("It works.")
    with pytest.raises(AssertionError, match="exists already"):
        with_alice.run(all_of_it)
    with_alice.close()
    for path in (with_alice.folder / "office").glob("mailpost.db*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "1 letter of 2 accounts" in with_alice.run(all_of_it)


def test_addresses(with_alice: Newcomer) -> None:
    """Aliases lead where they are said to; the system's own file is read, and a domain is added."""
    needed("curl")
    adding, route, importing, domain = map(commands, blocks("Addresses"))
    with_alice.run("\n".join(adding))
    told = with_alice.run(route[0])
    assert told.endswith("\n2 copies are kept\n")
    send = commands(blocks("First steps")[1])[0]
    names = ("alice+shop", "info", "team", "whatever")
    with_alice.run("\n".join(send.replace("alice@", f"{name}@") for name in names))
    assert len(with_alice.collect()) == 4
    (with_alice.folder / "aliases").write_text("root: alice\nold: |/bin/true\n")
    imported = with_alice.run(importing[0].replace("/etc/aliases", "aliases"))
    assert imported.startswith("1 alias would be added")
    with_alice.run(domain[0])
    assert "shop.example" in with_alice.run(domain[0].partition("add")[0] + "list")


def test_the_demonstration(newcomer: Newcomer) -> None:
    """It needs no office, and leaves none."""
    (command,) = commands(blocks("For teachers")[0])
    assert "the promise of 250" in newcomer.run(command)


def test_typed_by_hand(with_alice: Newcomer) -> None:
    """What is to be typed into telnet is a letter, and is delivered."""
    typed = blocks("For teachers")[1].splitlines()
    with socket.create_connection(("127.0.0.1", with_alice.ports["2525"]), PATIENCE) as door:
        spoken = door.makefile("rwb")
        in_letter = False
        for line in ["", *typed]:
            if line or in_letter:
                spoken.write(f"{line}\r\n".encode())
                spoken.flush()
            in_letter = (in_letter or line == "DATA") and line != "."
            if not in_letter or line == "DATA":
                while (reply := spoken.readline())[3:4] == b"-":
                    pass
                assert reply[:1] in (b"2", b"3"), (line, reply)
    (letter,) = with_alice.collect()
    assert letter.endswith("Subject: typed by hand\n\nHello Alice.")


def test_an_applications_mail(with_alice: Newcomer) -> None:
    """The program prints what has come, and takes it away."""
    (program,) = blocks("For developers who test an application's mail")
    send = commands(blocks("First steps")[1])[0]
    needed("curl")
    with_alice.run(send)
    (with_alice.folder / "collect.py").write_text(with_alice.here(program))
    assert "It works." in with_alice.run("python collect.py")
    assert with_alice.collect() == []


def test_twistd(newcomer: Newcomer) -> None:
    """``twistd`` opens the same office."""
    (command,) = commands(blocks("For Twisted developers")[0])
    newcomer.serve(command, "2525", "1110")


def test_a_realm_of_your_own(newcomer: Newcomer) -> None:
    """The program is complete: its realm's letters are collected."""
    program = blocks("For Twisted developers")[1]
    (newcomer.folder / "notices.tac").write_text(newcomer.here(program))
    command = "twistd -n -y notices.tac"
    assert f"``{command}``" in README
    newcomer.serve(command, "1110")
    (letter,) = newcomer.collect()
    assert letter == "Subject: notice\n\nDear alice, tea is at four."


def test_behind_postfix(newcomer: Newcomer) -> None:
    """The listener for LMTP takes letters, where Postfix is told to find it."""
    listen, postfix, _ = blocks("For operators")
    assert "\nvirtual_transport = lmtp:inet:127.0.0.1:2424\n" in postfix
    config = newcomer.folder / "office" / "mailpost.toml"
    config.write_text(f"{config.read_text()}\n{newcomer.here(listen)}")
    newcomer.serve(FIRST_LINE.split(" && ")[-1], "2424", "1110")
    add = commands(blocks("First steps")[0])[-1]
    newcomer.run(f"{add} --password-stdin", typed=f"{PASSWORD}\n")
    with smtplib.LMTP("127.0.0.1", newcomer.ports["2424"]) as relay:
        relay.sendmail("me@example.net", ["alice@example.org"], "Subject: over LMTP\n\nIt works.\n")
    (letter,) = newcomer.collect()
    assert "with LMTP id" in letter


def test_behind_haproxy(tmp_path: Path) -> None:
    """HAProxy takes what it is told; tests/river shows that letters come through."""
    needed("haproxy")
    config = tmp_path / "haproxy.cfg"
    config.write_text(blocks("For operators")[2])
    subprocess.run(["haproxy", "-c", "-f", config], timeout=PATIENCE, check=True)


def test_the_house_stands() -> None:
    """Each room that is named is there."""
    (plan,) = blocks("The house")
    root = Path(__file__).parent.parent
    rooms = re.findall(r"^([a-z]+/\S*) ", plan, re.MULTILINE)
    assert len(rooms) > 5
    assert [room for room in rooms if not (root / room).exists()] == []


@pytest.mark.parametrize(
    "named", sorted(set(re.findall(r"``((?:etc|docs|tests)/[^`]+)``", README)))
)
def test_files_that_are_named_are_there(named: str) -> None:
    """README sends nobody to a file that is not there."""
    assert (Path(__file__).parent.parent / named).exists()
