"""The control socket: who may ask, what is answered, and what a killed office leaves."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from typing import TYPE_CHECKING

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport

from mailpost import control, control_client
from mailpost.control import Control
from mailpost.control_client import NotRunning, Refusal, ask, beside

if TYPE_CHECKING:
    from pathlib import Path


def echo(request):
    return {"heard": request}


def refuse(_):
    raise Refusal("not today")


def fail(_):
    raise ZeroDivisionError


VERBS = {"echo": echo, "refuse": refuse, "fail": fail}


@pytest.fixture
def reactor():
    return MemoryReactorClock()


@pytest.fixture
def made(tmp_path, reactor):
    return Control(beside(tmp_path / "mailpost.db"), reactor, dict(VERBS))


@pytest.fixture
def opened(made):
    made.open()
    yield made
    made.close()


def peer(made):
    transport = StringTransport()
    asking = control._Peer(made)
    asking.makeConnection(transport)
    return asking, transport


def said(made, line):
    asking, transport = peer(made)
    asking.dataReceived(line)
    asking.connectionLost()
    return json.loads(transport.value())


def test_a_question_and_its_answer(made):
    """The whole request is given to its verb, and what that returns comes back."""
    answer = said(made, b'{"verb": "echo", "name": "alice"}\n')
    assert answer == {"ok": True, "answer": {"heard": {"verb": "echo", "name": "alice"}}}


def test_a_late_answer(made):
    """A verb may take its time; whoever does not wait for the answer is sent away."""
    late: Deferred[int] = Deferred()
    made.verbs = {"wait": lambda _: late}
    asking, transport = peer(made)
    asking.dataReceived(b'{"verb": "wait"}\n')
    assert transport.value() == b""
    late.callback(7)
    assert json.loads(transport.value()) == {"ok": True, "answer": 7}
    late = Deferred()
    asking.dataReceived(b'{"verb": "wait"}\n{"verb": "wait"}\n')
    assert transport.disconnecting
    asking.connectionLost()


@pytest.mark.parametrize(
    "line", [b"\n", b"[]\n", b"3\n", b'{"verb": ["echo"]}\n', b"\xff\n", b"[" * 60_000 + b"\n"]
)
def test_what_is_no_request(made, line):
    """It is answered, with what was expected."""
    answer = said(made, line)
    assert answer["ok"] is False
    assert answer["error"].startswith("expected a ")


def test_a_verb_that_is_not_known(made):
    """The known ones are named."""
    answer = said(made, b'{"verb": "dance"}\n')
    assert answer["error"] == "expected a verb, one of echo, refuse, fail"


def test_a_refusal_and_a_fault(made, log):
    """A refusal is told as it stands; a fault of ours is told without its inside, which is in the log."""
    assert said(made, b'{"verb": "refuse"}\n') == {"ok": False, "error": "not today"}
    answer = said(made, b'{"verb": "fail"}\n')
    assert answer["error"] == "something is wrong in the office; its log says what"
    assert len(log.take_failures(ZeroDivisionError)) == 1


def test_a_line_without_end(made):
    """It is not kept for long."""
    asking, transport = peer(made)
    asking.dataReceived(b"x" * (control.MAX_REQUEST + 2))
    assert transport.disconnecting
    asking.connectionLost()


def test_too_many(made):
    """A few commands at a time are enough; one more is sent away, and the others stay."""
    peers = [peer(made) for _ in range(control.MAX_PEERS)]
    late, transport = peer(made)
    assert transport.disconnecting
    assert not any(transport.disconnecting for _, transport in peers)
    for asking, _ in [*peers, (late, transport)]:
        asking.connectionLost()
    assert made.peers == set()


def test_it_is_its_owners_alone(opened):
    """Nobody else can open it, whatever the umask; when the office closes it is gone."""
    status = opened.path.stat()
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o600
    opened.close()
    opened.close()
    assert not opened.path.exists()


def test_what_a_killed_office_left(made, reactor):
    """A socket that nobody listens at is replaced."""
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(made.path))
    left.close()
    with pytest.raises(NotRunning):
        ask(made.path, "status")
    made.open()
    assert len(reactor.getReaders()) == 1
    made.close()
    assert reactor.getReaders() == []


def test_a_file_that_is_no_socket(made, reactor, log):
    """It is left alone; the office runs without, and the log says so."""
    made.path.write_text("mine")
    made.open()
    assert made.path.read_text() == "mine"
    assert reactor.getReaders() == []
    assert log.lines("no control socket at")
    made.close()


def test_nobody_runs(tmp_path):
    """No socket, no office."""
    with pytest.raises(NotRunning, match=r"no office runs with the store .*mailpost\.db$"):
        ask(beside(tmp_path / "mailpost.db"), "status")


def answering(path: Path, answer: bytes | None) -> threading.Thread:
    """Somebody at the socket who answers one question so; None: never."""
    door = socket.socket(socket.AF_UNIX)
    with control_client.reachable(path) as name:
        door.bind(name)
    door.listen()

    def serve():
        with door:
            line, _ = door.accept()
            with line:
                while not line.recv(4096).endswith(b"\n"):
                    pass
                if answer is None:
                    line.recv(1)  # until the other has gone
                else:
                    line.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b'{"ok": false, "error": "not today"}\n', "not today"),
        (b'{"ok": tr', "the office gave no whole answer; its log may say why"),
        (b"", "the office gave no whole answer; its log may say why"),
        (None, "the office gave no answer within 0.05 seconds"),
    ],
)
def test_answers_that_are_none(tmp_path, answer, told):
    """A command that asks is told why it has no answer, and does not wait for ever."""
    path = beside(tmp_path / "mailpost.db")
    thread = answering(path, answer)
    with pytest.raises(Refusal, match=f"^{told}$"):
        ask(path, "status", patience=5.0 if answer is not None else 0.05)
    thread.join(5)


def test_a_folder_that_is_deep(tmp_path, reactor):
    """A socket's address has room for 108 octets; a path may have more."""
    deep = tmp_path.joinpath(*["a-rather-long-name"] * 8)
    deep.mkdir(parents=True)
    path = beside(deep / "mailpost.db")
    assert len(os.fsencode(path)) > 108
    made = Control(path, reactor, VERBS)
    made.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    made.close()
    thread = answering(path, b'{"ok": true, "answer": 3}\n')
    assert ask(path, "status") == 3
    thread.join(5)
