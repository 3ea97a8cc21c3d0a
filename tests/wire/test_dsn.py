"""The parameters of delivery status notifications: RET, ENVID, NOTIFY, ORCPT."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire import reply
from mailpost.wire.dsn import (
    Notify,
    OriginalRecipient,
    Returned,
    decode_unitext,
    decode_xtext,
    encode_xtext,
    original_recipient,
)
from mailpost.wire.parameters import (
    MailParameters,
    RecipientParameters,
    mail_parameters,
    recipient_parameters,
)
from mailpost.wire.path import PathError, is_mailbox, parse_mail, parse_rcpt
from mailpost.wire.smtp import Settings, SMTPServer
from mailpost.wire.smtp_events import RecipientOffered, SenderOffered

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
WORDS = ("SUCCESS", "FAILURE", "DELAY")


def xtext(text: str, *, spared: bool = True) -> str:
    """Encode text of octets, sparing what may stay as it is, or nothing."""
    return "".join(
        char if spared and "!" <= char <= "~" and char not in "+=" else f"+{ord(char):02X}"
        for char in text
    )


def unitext(text: str) -> str:
    """Encode an address in US-ASCII (RFC 6533 §3)."""
    return "".join(
        char if "!" <= char <= "~" and char not in "\\+=" else f"\\x{{{ord(char):02X}}}"
        for char in text
    )


def any_case(draw: st.DrawFn, word: str) -> str:
    return "".join(char.lower() if draw(st.booleans()) else char for char in word)


@given(st.text(st.characters(max_codepoint=0xFF), min_size=1), st.booleans())
def test_xtext_there_and_back(text: str, spared: bool) -> None:  # noqa: FBT001
    """Whatever octets are encoded, by whoever likes to encode much or little, come back."""
    assert decode_xtext(xtext(text, spared=spared)) == text


@given(PRINTABLE)
def test_our_own_client_is_understood(text: str) -> None:
    """What the engine of the client's side encodes, this one decodes."""
    assert decode_xtext(encode_xtext(text)) == text


@given(st.text(alphabet=[*"+=aF09", "ä", " ", "\x7f"], max_size=8))
def test_only_one_reading(text: str) -> None:
    """What is decoded is what encodes to nothing shorter; all else is no xtext."""
    decoded = decode_xtext(text)
    if decoded is not None:
        assert len(xtext(decoded)) <= len(text) <= len(xtext(decoded, spared=False))


@given(st.text(st.characters(min_codepoint=0xA0, exclude_categories=["Cs"])) | PRINTABLE)
def test_unitext_there_and_back(text: str) -> None:
    """Every printable text comes back."""
    assert decode_unitext(unitext(text)) == text


@given(
    st.lists(
        st.sampled_from(
            ["rfc822;", "utf-8;", "a@b", "+0A", "+2B", "\\x{F6}", "\\x{0A}", "\xf6", ";", "\\", "="]
        )
        | st.text(max_size=3),
        max_size=6,
    ).map("".join),
    st.booleans(),
)
def test_any_original_recipient(text: str, utf8: bool) -> None:  # noqa: FBT001
    """Whatever ORCPT says, it is read or refused, and what is read can stand in a header."""
    read = None
    with suppress(PathError):
        read = original_recipient(text, utf8=utf8)
    if read is not None:
        assert str(read).isprintable()
        assert utf8 or str(read).isascii()


@given(st.data())
def test_any_order_and_case(data: st.DataObject) -> None:
    """Parameters are read in any order and any case, and carried on the events."""
    draw = data.draw
    mark, tea = draw(PRINTABLE), draw(PRINTABLE)
    words = draw(st.lists(st.sampled_from(WORDS), min_size=1))
    on_mail = draw(
        st.permutations(
            [
                f"{any_case(draw, 'ENVID')}={xtext(mark)}",
                any_case(draw, "RET=HDRS"),
                any_case(draw, "SIZE=7"),
                any_case(draw, "SMTPUTF8"),
            ]
        )
    )
    on_rcpt = draw(
        st.permutations(
            [
                f"{any_case(draw, 'ORCPT')}=rfc822;{xtext(tea)}",
                any_case(draw, f"NOTIFY={','.join(words)}"),
            ]
        )
    )
    session = SMTPServer(Settings("post.example.org"))
    session.user = "alice"
    session.receive(b"EHLO x\r\n")
    session.receive(f"MAIL FROM:<alice@example.org> {' '.join(on_mail)}\r\n".encode())
    session.receive(f"RCPT TO:<bob@example.org> {' '.join(on_rcpt)}\r\n".encode())
    offered = session.next_event()
    if len(xtext(mark)) > 100:
        assert offered is None
        return
    assert isinstance(offered, SenderOffered)
    assert offered.parameters == MailParameters(7, True, Returned.HEADERS, mark)
    session.answer(reply.SENDER_OK)
    asked = session.next_event()
    assert isinstance(asked, RecipientOffered)
    wanted = Notify.NEVER
    for word in words:
        wanted |= Notify[word]
    assert asked.parameters == RecipientParameters(wanted, OriginalRecipient("rfc822", tea))


@pytest.mark.parametrize("words", [*itertools.permutations([*WORDS, "NEVER"], 2)])
def test_never_stands_alone(words: tuple[str, str]) -> None:
    """NEVER is no word of a list; all others may stand beside each other, and twice."""
    said = {"NOTIFY": ",".join(words)}
    if "NEVER" in words:
        with pytest.raises(PathError):
            recipient_parameters(said, reports=True, utf8=False)
    else:
        read = recipient_parameters(said, reports=True, utf8=False)
        assert read.notify == Notify[words[0]] | Notify[words[1]]


@pytest.mark.parametrize(
    "text", ["BODY=8B\u0131TMIME", "BODY=\u00e4", "SIZE=\u0661", "AUTH=\u00e4", "RET=\ufb00"]
)
def test_no_look_alikes(text: str) -> None:
    """A letter beyond US-ASCII whose upper case is within it is none of US-ASCII's."""
    with pytest.raises(PathError) as caught:
        mail_parameters(parse_mail(f"FROM:<> {text}")[1], reports=True)
    assert caught.value.reply == reply.BAD_PARAMETER


@pytest.mark.parametrize("text", ["RET=FULL", "ENVID=1", "NOTIFY=NEVER", "ORCPT=rfc822;x"])
def test_unannounced(text: str) -> None:
    """Where nothing of it is offered, nothing of it is known."""
    for read in (
        lambda: mail_parameters(parse_mail(f"FROM:<> {text}")[1], reports=False),
        lambda: recipient_parameters(parse_rcpt(f"TO:<a@b> {text}")[1], reports=False, utf8=False),
    ):
        with pytest.raises(PathError) as caught:
            read()
        assert caught.value.reply == reply.NO_SUCH_PARAMETER


@pytest.mark.parametrize(
    ("text", "well"),
    [
        ("bob@example.org", True),
        ('"b ob"@example.org', True),
        ("j\u00f6rg@b\u00fccher.example", True),
        ("bob", False),
        ("bob@example.org>", False),
        ("@example.net:bob@example.org", False),
        ("b\u00a0b@example.org", False),
        (f"{'x' * 65}@example.org", False),
        ('""@example.org', False),
    ],
)
def test_what_is_a_mailbox(text: str, well: bool) -> None:  # noqa: FBT001
    """An address and nothing around it."""
    assert is_mailbox(text) is well
