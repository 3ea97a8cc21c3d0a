"""What a server can say."""

from __future__ import annotations

import pytest

from mailpost.wire import reply
from mailpost.wire.reply import Reply, Response

REPLIES = {name: value for name, value in vars(reply).items() if isinstance(value, Reply)}
RESPONSES = {name: value for name, value in vars(reply).items() if isinstance(value, Response)}


@pytest.mark.parametrize("answer", REPLIES.values(), ids=REPLIES.keys())
def test_smtp_75_enhanced_codes(answer: Reply) -> None:
    """Every 2yz, 4yz and 5yz bears a code of its own class on every line; a 3yz bears none."""
    assert 200 <= answer.code < 600
    for line in answer.octets.decode("ascii").split("\r\n")[:-1]:
        code, enhanced = line[:3], line[4:].split(" ")[0]
        assert code == str(answer.code)
        assert len(line) + 2 <= 512  # RFC 5321 §4.5.3.1.5
        if answer.code // 100 == 3:
            assert not answer.enhanced
        else:
            assert enhanced == answer.enhanced
            klass, subject, detail = enhanced.split(".")
            assert klass == code[0]
            assert subject.isdecimal()
            assert detail.isdecimal()
    assert answer.positive is (answer.code < 400)


@pytest.mark.parametrize("response", RESPONSES.values(), ids=RESPONSES.keys())
def test_pop3_01_responses(response: Response) -> None:
    """A response is a line of 512 octets at most that begins with +OK or -ERR."""
    status, _, rest = response.octets.partition(b" ")
    assert status == (b"+OK" if response.ok else b"-ERR")
    assert response.octets.endswith(b"\r\n")
    assert len(response.octets) <= 512
    assert rest.startswith(b"[" + response.code.encode() + b"] ") == bool(response.code)


def test_lines_of_a_reply() -> None:
    """All lines but the last have a hyphen behind the code."""
    answer = Reply(250, "2.0.0", "one", "two")
    assert answer.octets == b"250-2.0.0 one\r\n250 2.0.0 two\r\n"
    assert str(answer) == "250 2.0.0 one / 250 2.0.0 two"
    assert repr(answer) == f"<Reply {answer}>"
    assert repr(reply.POP_BYE) == "<Response +OK good bye>"


def test_values() -> None:
    """Replies and responses are values: equal when they say the same."""
    assert Reply(250, "2.0.0", "ok") == reply.OK
    assert {Reply(250, "2.0.0", "ok"), reply.OK} == {reply.OK}
    assert reply.OK != reply.BYE
    assert reply.OK != "250 2.0.0 ok"
    assert Response(True, "ok") == reply.POP_OK
    assert {Response(True, "ok"), reply.POP_OK} == {reply.POP_OK}
    assert reply.POP_OK != reply.POP_BYE
    assert reply.POP_OK != "+OK ok"
