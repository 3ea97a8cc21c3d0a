"""Damaged MIME over real ports: in by SMTP, out by POP3 in both forms, and by TOP; nobody else waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mailpost.wire.downgrade import downgraded
from mailpost.wire.top import top
from tests.damaged import DAMAGED

from .dialogue import POP3, SMTP
from .maildrop import read_all
from .test_hostile import Meanwhile

if TYPE_CHECKING:
    from .office import Office


@pytest.mark.parametrize("times", [2, 800], ids=["in a row", "in a parcel"])
def test_both_forms(office: Office, times: int) -> None:
    """With UTF8 every letter comes as it went in; without, in US-ASCII; LIST is true, and TOP of both."""
    user = office.newcomer()
    bodies = [make(times) for make in DAMAGED.values()]
    with Meanwhile(office), SMTP(office.smtp) as sender:
        for body in bodies:
            assert sender.deliver(body, user).startswith(b"250")
    with POP3(office.pop3) as reader:
        reader.ok("UTF8")
        assert reader.login(user).startswith(b"+OK")
        as_they_came = read_all(reader)
        tops = read_tops(reader, len(bodies))
    for name, letter, body, begin in zip(DAMAGED, as_they_came, bodies, tops, strict=True):
        assert letter.octets.endswith(body), name
        assert letter.body == body, name
        assert begin == top(letter.octets, 3), name
    with POP3(office.pop3, user) as reader:
        plain = read_all(reader)
        tops = read_tops(reader, len(bodies))
    for name, letter, body, begin in zip(DAMAGED, plain, bodies, tops, strict=True):
        assert letter.body == downgraded(body), name
        assert begin == top(letter.octets, 3), name


def read_tops(reader: POP3, count: int) -> list[bytes]:
    """The header and three lines of each letter."""
    tops = []
    for number in range(1, count + 1):
        reader.ok(f"TOP {number} 3")
        tops.append(reader.content())
    return tops
