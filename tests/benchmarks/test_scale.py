"""The office with much in it, and the rows that show that much costs little."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.mailpost_crowd import LEFT, Crowd
from benchmarks.row import OPENING_USER, Plan
from benchmarks.scale import USERS, Large, Size, Small
from benchmarks.scale_rows import RECIPIENTS, Aliases, Command, Recipients, recipients, scale_rows
from benchmarks.systems import DEVICE_PASSWORD, crowd_name
from mailpost.accounts.scram import device_digest
from tests.store.conftest import Office

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAN = Plan(seconds=0.05, idle_sessions=1, maildrops=(), stores=(), programs=Path())


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    office = Office(tmp_path / "mail.db")
    yield office
    office.store.close()


def test_the_crowd_is_there(office: Office) -> None:
    """Accounts are found; what a view shows is the last few, and the others hold everything."""
    alice = office.accounts.add("alice")
    crowd = Crowd(office.store)
    crowd.add_accounts(3)
    assert office.accounts.find(crowd_name(2)) is not None
    crowd.deliver(alice, 20)
    views = crowd.add_devices(alice, 3)
    crowd.let_go(alice, views[-1])
    shown = {one.device.name: one.letters for one in office.store.devices.all()}
    assert shown == {"device0": 20, "device1": 20, "device2": LEFT}
    digest = device_digest(office.store.secret, "alice", DEVICE_PASSWORD.encode())
    has = [one.device.digest == digest for one in office.store.devices.all()]
    assert has == [False, False, True]


def test_every_row_says_that_twice_is_the_most() -> None:
    """The table tells SHORT of what grows with the office."""
    rows = scale_rows(PLAN)
    assert {str(target) for row in rows for target in row.targets} == {"0.5x"}
    assert len({row.name for row in rows}) == len(rows)


def test_everybody_is_named(tmp_path: Path) -> None:
    """A letter may have a thousand recipients; in a small office the same ones come again."""
    everybody = recipients(Large(tmp_path))
    assert len(set(everybody)) == len(everybody) == RECIPIENTS
    few = recipients(Small(tmp_path))
    assert len(few) == RECIPIENTS
    assert set(few) == {f"user{number}@example.org".encode() for number in range(USERS)}


def test_aliases_are_named_from_all_over_the_table(tmp_path: Path) -> None:
    """Not the first thousand, which would lie on a few pages."""
    many = Aliases("row", "RCPT").named(Large(tmp_path))
    assert many[:2] == [b"alias0@example.org", b"alias100@example.org"]
    assert len(set(many)) == len(many) == RECIPIENTS
    few = Aliases("row", "RCPT").named(Small(tmp_path))
    assert len(few) == RECIPIENTS
    assert set(few) == {b"alias%d@example.org" % number for number in range(USERS)}


@pytest.mark.parametrize("refused", [False, True])
def test_a_recipient_that_is_refused_is_no_measurement(tmp_path: Path, *, refused: bool) -> None:
    """Every reply is looked at."""

    def serve() -> None:
        connection, _ = listener.accept()
        gone = suppress(ConnectionError)  # who has heard a refusal leaves the rest unread
        with connection, connection.makefile("rb") as lines, gone:
            connection.sendall(b"220 hello\r\n")
            for line in lines:
                no = refused and b"<user7@" in line
                connection.sendall(b"550 no\r\n" if no else b"250 yes\r\n")

    system = Small(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        system.smtp_port = listener.getsockname()[1]
        thread = threading.Thread(target=serve)
        thread.start()
        if refused:
            with pytest.raises(BenchmarkError, match="550 no"):
                Recipients("row", "RCPT").measure(system, PLAN)
        else:
            sample = Recipients("row", "RCPT").measure(system, PLAN)
            assert sample.details["named"] >= RECIPIENTS
        thread.join()


def test_a_command_that_fails_is_no_measurement(tmp_path: Path) -> None:
    """Its own words are the reason."""
    with pytest.raises(BenchmarkError, match=r"user list: .*mailpost\.toml"):
        Command("row", "user list").measure(Small(tmp_path), PLAN)


def test_a_whole_office_is_filled_as_a_process(tmp_path: Path) -> None:
    """As the benchmark does it: by the configuration, into the office of users that exist."""
    run(tmp_path, "mailpost", "init", str(tmp_path / "office"), "--domain", "example.org")
    config = str(tmp_path / "office" / "mailpost.toml")
    users = (str(OPENING_USER), str(OPENING_USER + 2))
    run(tmp_path, "benchmarks.mailpost_users", config, *users, said="secret\n")
    size = Size(accounts=4, letters=8, devices=2, aliases=3)
    run(tmp_path, "benchmarks.mailpost_crowd", "fill", config, *map(str, vars(size).values()))
    listed = run(tmp_path, "mailpost", "--config", config, "device", "list")
    assert listed.count("device0") == listed.count("device1") == 2
    assert "alias2" in run(tmp_path, "mailpost", "--config", config, "alias", "list")


def run(folder: Path, module: str, *words: str, said: str = "") -> str:
    command = [sys.executable, "-m", module, *words]
    return subprocess.run(
        command, input=said, capture_output=True, text=True, check=True, cwd=folder
    ).stdout
