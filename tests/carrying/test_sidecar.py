"""The unique-ids beside letters, and whatever else a file of that name may hold."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpost.carrying.mbox_target import MboxTarget
from mailpost.carrying.sidecar import HEAD, Noted, Sidecar, digest_of, end_line
from mailpost.carrying.source import SourceError
from mailpost.carrying.uidlists import COURIER, DOVECOT, read_courier, read_dovecot

LINES = st.lists(
    st.sampled_from(
        ["5 0 aa x", "# end 7", "# end x", "5 0 aa", "x 0 aa x", "", "/2 1 2", "3 V1 N2", "1 :a"]
    )
    | st.text(max_size=12),
    max_size=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lists")


def test_read_as_written(folder):
    """Lines, the end, and of two lines on one letter the later one."""
    path = folder / "mbox.uidl"
    noted = [Noted(5, "0", digest_of(iter([b"x"])), "a"), Noted(6, "9", "00", "b")]
    again = Noted(7, "9", "01", "c")
    lines = "".join(map(str, [*noted, again]))
    path.write_text(f"{HEAD}\n{lines}{end_line(12)}")
    found = Sidecar.of_mbox(folder / "mbox")
    assert (found.noted, found.end) == ([noted[0], again], 12)
    path.write_text(f"{HEAD}\n{lines}{end_line(12)}{noted[1]}")
    assert Sidecar.of_mbox(folder / "mbox").end is None


def test_equal_letters_have_each_their_own(folder):
    """In the order in which they stand; then no more."""
    digest = digest_of(iter([b"x\r\n"]))
    path = folder / "equal.uidl"
    path.write_text(f"{HEAD}\n5 0 {digest} first\n5 9 {digest} second\n")
    found = Sidecar.of_mbox(folder / "equal")
    assert [found.uidl_of(lambda: iter([b"x\n"])) for _ in range(3)] == ["first", "second", None]


def test_one_of_a_folder_is_none_of_an_mbox(folder):
    """It is not taken for one."""
    (folder / "out.uidl").write_text(f"{HEAD}\n5 00000001-aa.eml 00 x\n")
    with pytest.raises(SourceError, match="not of an mbox"):
        MboxTarget(folder / "out")


@settings(max_examples=60)
@given(LINES)
def test_whatever_stands_there(folder, lines):
    """It is read, or refused in one sentence; nothing else happens."""
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    for name, read in (
        (DOVECOT, lambda: read_dovecot(folder)),
        (COURIER, lambda: read_courier(folder)),
        ("any.uidl", lambda: Sidecar.of_mbox(folder / "any")),
    ):
        for head in (b"", HEAD.encode() + b"\n"):
            (folder / name).write_bytes(head + text)
            with suppress(SourceError):
                read()
