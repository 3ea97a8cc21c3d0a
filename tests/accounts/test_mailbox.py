"""The adapter: an IMailbox written for Twisted's POP3 server is a maildrop like any other."""

from __future__ import annotations

import os
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail.interfaces import IMailboxPOP3
from twisted.mail.maildir import MaildirMailbox, initializeMaildir
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.accounts.mailbox import MailboxMaildrop, Pieces, as_sent
from mailpost.interfaces import IMaildrop, IPieces, ISnapshot
from mailpost.outcome import MaildropInUse, TemporaryFailure

LETTERS = [
    b"Subject: one\r\n\r\nhello\r\n",
    b"Subject: two\n\nunix\n.\n..dots\n",
    b"Subject: three\n\nno end",
    b"",
]
SENT = [
    b"Subject: one\r\n\r\nhello\r\n",
    b"Subject: two\r\n\r\nunix\r\n.\r\n..dots\r\n",
    b"Subject: three\r\n\r\nno end\r\n",
]


@implementer(IMailboxPOP3)
class Mailbox:
    """A mailbox in memory; ``wrap`` decides whether it answers at once or by a Deferred."""

    def __init__(self, letters, wrap=lambda value: value):
        self.letters = letters
        self.wrap = wrap
        self.marked = set()
        self.calls = []
        self.broken = set()

    def _do(self, name, *args):
        self.calls.append((name, *args))
        if name in self.broken:
            raise OSError(f"{name} is broken")

    def listMessages(self, index=None):
        self._do("list")
        sizes = [0 if n in self.marked else len(one) for n, one in enumerate(self.letters)]
        return self.wrap(sizes if index is None else sizes[index])

    def getMessage(self, index):
        self._do("get", index)
        return self.wrap(BytesIO(self.letters[index]))

    def getUidl(self, index):
        self._do("uidl", index)
        return self.wrap(b"uid-%d" % index)

    def deleteMessage(self, index):
        self._do("delete", index)
        self.marked.add(index)
        return self.wrap(None)

    def undeleteMessages(self):
        self._do("undelete")
        self.marked.clear()
        return self.wrap(None)

    def sync(self):
        self._do("sync")
        return self.wrap(None)


def result(deferred):
    """What a Deferred has fired with; raises what it failed with."""
    got = []
    deferred.addBoth(got.append)
    (value,) = got
    if hasattr(value, "raiseException"):
        value.raiseException()
    return value


def opened(mailbox):
    return result(MailboxMaildrop(mailbox, lambda: succeed(None)).open())


@pytest.fixture(params=["at once", "by a Deferred"])
def mailbox(request):
    made = Mailbox(list(LETTERS), succeed if request.param == "by a Deferred" else lambda one: one)
    assert verifyObject(IMailboxPOP3, made)
    return made


def test_interfaces():
    """Maildrop, snapshot and pieces keep their interfaces."""
    mailbox = Mailbox(LETTERS)
    verifyObject(IMaildrop, MailboxMaildrop(mailbox))
    snapshot = opened(mailbox)
    verifyObject(ISnapshot, snapshot)
    verifyObject(IPieces, Pieces(BytesIO(), 0))
    snapshot.close()


def test_sizes_are_what_is_sent(mailbox):
    """Each size is that of the letter with CRLF line ends; a deleted letter is not there."""
    snapshot = opened(mailbox)
    assert [result(snapshot.fetch(n)) for n in range(3)] == SENT
    assert list(snapshot.sizes) == [len(one) for one in SENT]
    assert [snapshot.uidl(n) for n in range(3)] == [b"uid-0", b"uid-1", b"uid-2"]
    snapshot.close()


def test_numbers_skip_what_is_deleted(mailbox):
    """A letter is found again in the mailbox's own numbering."""
    mailbox.marked = {0}
    snapshot = opened(mailbox)
    assert result(snapshot.fetch(1)) == SENT[2]
    result(snapshot.let_go([1]))
    assert mailbox.calls[-2:] == [("delete", 2), ("sync",)]
    snapshot.close()


def test_nothing_is_deleted_before_let_go(mailbox):
    """Opening, reading and closing delete nothing."""
    snapshot = opened(mailbox)
    result(snapshot.fetch(0))
    snapshot.close()
    assert not {"delete", "sync"} & {call[0] for call in mailbox.calls}


def test_a_failing_sync(mailbox):
    """Where the mailbox fails at QUIT, all is undeleted, and the failure is temporary."""
    for broken in ("sync", "delete"):
        mailbox.broken = {broken}
        snapshot = opened(mailbox)
        with pytest.raises(TemporaryFailure):
            result(snapshot.let_go([0, 2]))
        assert mailbox.calls[-1] == ("undelete",)
        assert not mailbox.marked
        snapshot.close()


def test_even_undelete_may_fail(mailbox):
    """It is still a temporary failure when nothing works."""
    mailbox.broken = {"sync", "undelete"}
    snapshot = opened(mailbox)
    with pytest.raises(TemporaryFailure):
        result(snapshot.let_go([0]))
    snapshot.close()


def test_a_mailbox_that_cannot_be_listed(mailbox):
    """It is a temporary failure, and the lock is free again."""
    mailbox.broken = {"list"}
    with pytest.raises(TemporaryFailure):
        opened(mailbox)
    mailbox.broken = set()
    opened(mailbox).close()


def test_a_letter_that_cannot_be_read(mailbox):
    """It spoils none of the others; to fetch it is a temporary failure."""
    read = mailbox.getMessage
    mailbox.getMessage = lambda n: fail(OSError()) if n == 1 else read(n)
    snapshot = opened(mailbox)
    assert result(snapshot.fetch(2)) == SENT[2]
    with pytest.raises(TemporaryFailure):
        result(snapshot.fetch(1))
    snapshot.close()


@pytest.mark.parametrize("now", [b"longer than it was before", b"x"])
def test_a_letter_that_has_changed(now):
    """Its octets are no longer those of LIST: a temporary failure, not a wrong length."""
    mailbox = Mailbox([b"as it was, before\r\n"])
    snapshot = opened(mailbox)
    mailbox.letters = [now]
    with pytest.raises(TemporaryFailure):
        result(snapshot.fetch(0))
    snapshot.close()


def test_one_session_at_a_time(mailbox):
    """A mailbox that is open is in use (RFC 1939 §4) until it is closed."""
    snapshot = opened(mailbox)
    with pytest.raises(MaildropInUse):
        opened(mailbox)
    snapshot.close()
    snapshot.close()
    opened(mailbox).close()


def test_a_large_letter_comes_in_pieces():
    """What is larger than 64 KiB is never held whole."""
    letter = b"Subject: large\n\n" + b"x" * 70 + b"\n"
    mailbox = Mailbox([letter + b"line of some length\n" * 20_000])
    snapshot = opened(mailbox)
    pieces = result(snapshot.fetch(0))
    got = list(iter(lambda: result(pieces.read()), b""))
    pieces.close()
    assert max(map(len, got)) <= 2 * 65536
    assert len(b"".join(got)) == snapshot.sizes[0]
    assert b"".join(got).replace(b"\r\n", b"\n") == mailbox.letters[0]
    snapshot.close()


def test_a_large_letter_that_breaks_off():
    """A file that fails, or ends too soon, is a temporary failure in the midst of it."""
    mailbox = Mailbox([b"line of some length\n" * 20_000])
    snapshot = opened(mailbox)
    mailbox.letters = [mailbox.letters[0][:100_000]]
    pieces = result(snapshot.fetch(0))
    with pytest.raises(TemporaryFailure):
        list(iter(lambda: result(pieces.read()), b""))
    pieces.close()
    pieces = result(snapshot.fetch(0))
    pieces._file.close()
    with pytest.raises(TemporaryFailure):
        result(pieces.read())
    snapshot.close()


def test_others_get_their_turn():
    """While much is counted, the reactor is given back now and then."""
    pauses = []

    def pause():
        pauses.append(Deferred())
        return pauses[-1]

    mailbox = Mailbox([b"x" * 3_000_000] * 4)
    opening = MailboxMaildrop(mailbox, pause).open()
    assert len(pauses) == 1
    for one in pauses:
        one.callback(None)
    assert len(pauses) == 2
    assert len(result(opening).sizes) == 4
    result(MailboxMaildrop(Mailbox([b"x"]), pause).open()).close()


def test_giving_up_while_it_is_opened():
    """A login that is cancelled while letters are counted leaves no lock behind."""
    mailbox = Mailbox([b"x" * 5_000_000])
    opening = MailboxMaildrop(mailbox, Deferred).open()
    opening.addErrback(lambda _: None)
    opening.cancel()
    opened(mailbox).close()


@pytest.mark.parametrize(
    ("given", "uidl"),
    [(b"ok", b"ok"), ("text", b"text"), (b"~" * 70, b"~" * 70)],
)
def test_unique_ids(given, uidl):
    """A unique-id is given on as it is where RFC 1939 §7 allows it."""
    mailbox = Mailbox([b"x"])
    mailbox.getUidl = lambda _: given
    snapshot = opened(mailbox)
    assert snapshot.uidl(0) == uidl
    snapshot.close()


@pytest.mark.parametrize("given", [b"", b"with space", b"x" * 71, "\u00fc"])
def test_unusual_unique_ids(given):
    """Where it does not, one is made from it, always the same."""
    mailbox = Mailbox([b"x"])
    mailbox.getUidl = lambda _: given
    seen = set()
    for _ in range(2):
        snapshot = opened(mailbox)
        seen.add(snapshot.uidl(0))
        snapshot.close()
    (uidl,) = seen
    assert len(uidl) == 64


class Slowly(BytesIO):
    """A file that gives a few octets at a time."""

    step = 1

    def read(self, size=-1):
        return super().read(min(self.step, size) if size >= 0 else self.step)


@given(st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n"])), st.integers(1, 5))
def test_line_ends(parts, step):
    """Every line ends with CRLF and nothing else is changed, however the file is cut."""
    octets = b"".join(parts)
    file = Slowly(octets)
    file.step = step
    sent = b"".join(as_sent(file))
    assert sent.endswith(b"\r\n")
    assert sent.count(b"\n") == sent.count(b"\r\n")
    lines = octets.replace(b"\r\n", b"\n")
    assert sent.replace(b"\r\n", b"\n") in (lines, lines + b"\n")


def test_twisteds_maildir(tmp_path):
    """Twisted's own Maildir mailbox is read octet for octet, with true sizes."""
    folder = tmp_path / "maildir"
    initializeMaildir(os.fsencode(folder))
    eight_bit = b"Subject: \xff\xfe\n\n\x80\r\n"
    for name, letter in zip("abcd", [*LETTERS[:3], eight_bit], strict=True):
        (folder / "new" / f"{name}.example").write_bytes(letter)
    mailbox = MaildirMailbox(os.fsencode(folder))
    snapshot = opened(mailbox)
    fetched = [result(snapshot.fetch(n)) for n in range(4)]
    expected = [*SENT, b"Subject: \xff\xfe\r\n\r\n\x80\r\n"]
    assert sorted(fetched) == sorted(expected)
    assert list(snapshot.sizes) == [len(one) for one in fetched]
    assert len({snapshot.uidl(n) for n in range(4)}) == 4
    # Its deleteMessage joins text to octets and raises (Twisted 26.10): then nothing is let go.
    with pytest.raises(TemporaryFailure):
        result(snapshot.let_go([0]))
    snapshot.close()
    again = opened(MaildirMailbox(os.fsencode(folder)))
    assert len(again.sizes) == 4
    again.close()
