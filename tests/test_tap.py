"""``twistd mailpost``: its options, and the mistakes it tells of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from twisted.application.service import IService, IServiceMaker
from twisted.cred.checkers import ICredentialsChecker
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.python.failure import Failure

from mailpost import tap
from mailpost.service import PostOffice

if TYPE_CHECKING:
    from pathlib import Path

    from tests.logbook import Logbook

TOML = """
[office]
hostname = "post.example.org"
domains = ["example.org"]

[[listen]]
protocol = "smtp"
endpoint = "tcp:2525:interface=127.0.0.1"
"""


def options(*words: str) -> tap.Options:
    """The options of a command line."""
    parsed = tap.Options()
    parsed.parseOptions([*words])
    return parsed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration."""
    path = tmp_path / "mailpost.toml"
    path.write_text(TOML)
    return path


def test_the_plugin() -> None:
    """Twisted finds the plugin, and it leads here."""
    (maker,) = [one for one in getPlugins(IServiceMaker) if one.tapname == "mailpost"]
    assert maker.options is tap.Options
    assert maker.makeService is tap.makeService
    assert "post office" in maker.description


@pytest.mark.parametrize("option", ["--config", "-c"])
def test_config(option: str, file: Path) -> None:
    """``--config`` names the configuration; nothing is bound or opened before the service starts."""
    office = tap.makeService(options(option, str(file)))
    assert isinstance(office, PostOffice)
    assert IService.providedBy(office)
    assert office.name == "mailpost"
    assert [door.where for door in office.doors] == ["tcp:2525:interface=127.0.0.1"]


def test_config_in_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--config`` it is the one that $MAILPOST_CONFIG names."""
    monkeypatch.setenv("MAILPOST_CONFIG", str(file))
    assert tap.makeService(options()) is not None


def test_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that is not there, or is none: a UsageError that says which and why."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(usage.UsageError, match=r"nowhere\.toml.*No such file"):
        tap.makeService(options("--config", "nowhere.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text("[office\n")
    with pytest.raises(usage.UsageError, match=r"broken\.toml.*line 1"):
        tap.makeService(options("--config", str(broken)))


def test_a_bad_config_names_every_mistake(file: Path) -> None:
    """All mistakes are told at once, each with its key's path."""
    file.write_text(TOML.replace('"post.example.org"', "5").replace('"smtp"', '"smpt"'))
    with pytest.raises(usage.UsageError) as caught:
        tap.makeService(options("--config", str(file)))
    assert "office.hostname" in str(caught.value)
    assert "listen[0].protocol" in str(caught.value)
    assert "smpt" in str(caught.value)


def test_auth(file: Path, tmp_path: Path) -> None:
    """``--auth`` takes any checker plugin that compares passwords, any number of times."""
    passwords = tmp_path / "passwords"
    passwords.write_text("alice:secret\n")
    parsed = options(
        "--config", str(file), "--auth", "memory:bob:hush", "--auth", f"file:{passwords}"
    )
    checkers = parsed["credCheckers"]
    assert len(checkers) == 2
    assert all(ICredentialsChecker.providedBy(checker) for checker in checkers)
    assert tap.makeService(parsed) is not None


@pytest.mark.parametrize("words", [["--auth", "fnord:x"], ["--fnord"], ["--config"], ["extra"]])
def test_bad_options(words: list[str]) -> None:
    """What is no option is a UsageError."""
    with pytest.raises(usage.UsageError):
        options(*words)


def test_help() -> None:
    """The help tells of every option, and how to make an office."""
    text = str(tap.Options())
    for word in ("--config", "--auth", "--verbose", "mailpost init", "$MAILPOST_CONFIG"):
        assert word in text


def test_verbose(file: Path) -> None:
    """``--verbose`` asks for transcripts."""
    assert tap.Options()["verbose"] == 0
    assert tap.makeService(options("-v", "--config", str(file))) is not None


def test_an_office_that_cannot_open(
    file: Path, monkeypatch: pytest.MonkeyPatch, log: Logbook
) -> None:
    """Where the office cannot open it says why, and the process ends with a status that tells of it."""
    at_exit: list[tuple[Any, ...]] = []
    monkeypatch.setattr(tap.atexit, "register", lambda *call: at_exit.append(call))

    class Reactor:
        stop = "stop"
        running = False

        def __init__(self) -> None:
            self.asked: list[Any] = []

        def callWhenRunning(self, function: Any) -> None:
            self.asked.append(function)

    reactor = Reactor()
    monkeypatch.setattr(tap, "reactor", reactor)
    office: Any = tap.makeService(options("--config", str(file)))
    office.opened.errback(Failure(OSError("no room")))
    assert reactor.asked == ["stop"]
    assert at_exit == [(os._exit, 1)]
    assert log.lines("the office") == ["the office cannot open: no room"]


def test_a_daemon_that_cannot_open() -> None:
    """The process that waits for the daemon's start hears why, in 100 octets, unless it has ended already."""

    class Reactor:
        running = False

    reading, writing = os.pipe()
    twistd = usage.Options()
    twistd["statusPipe"] = writing
    tap._tell_parent(Reactor(), twistd, "no room, " + "ä" * 100)
    assert twistd["statusPipe"] is None
    heard = os.read(reading, 1000)
    assert heard.startswith(b"1 no room, \\xe4")
    assert len(heard) == 100
    assert os.read(reading, 1000) == b""  # closed: nobody says that all is well
    os.close(reading)
    tap._tell_parent(Reactor(), twistd, "twistd -n waits for nobody")
    Reactor.running = True
    twistd["statusPipe"] = -1
    tap._tell_parent(Reactor(), twistd, "too late")
    assert twistd["statusPipe"] == -1
