"""Python's own clients: smtplib hands letters in, poplib collects them."""

from __future__ import annotations

import poplib
import smtplib
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest

from .maildrop import collect
from .office import PASSWORD, PATIENCE, Office


def collector(office: Office, user: str) -> poplib.POP3:
    """A poplib session that is logged in."""
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    session.user(user)
    session.pass_(PASSWORD)
    return session


def test_a_letter_by_smtplib_and_poplib(office: Office) -> None:
    """A letter that smtplib sends is what poplib collects; deleted, the maildrop is empty."""
    alice = office.newcomer("alice")
    letter = EmailMessage(policy=policy.SMTP)
    letter["From"] = "bob@example.net"
    letter["To"] = f"{alice}@example.org"
    letter["Subject"] = "Grüße"
    letter.set_content("Guten Tag.\n.\n..\n.dot\nBis bald\n", cte="8bit")
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        assert client.send_message(letter) == {}
        assert client.has_extn("8bitmime")
        assert client.has_extn("pipelining")

    session = collector(office, alice)
    count, octets = session.stat()
    assert count == 1
    _, lines, size = session.retr(1)
    assert size == octets
    assert session.list()[1] == [f"1 {octets}".encode()]
    body = b"".join(line + b"\r\n" for line in lines)
    assert body.endswith(b"\r\n" + letter.as_bytes(policy=policy.SMTP))
    parsed = BytesParser(policy=policy.default).parsebytes(body)
    assert parsed["Return-Path"] == "<bob@example.net>"
    assert parsed["Delivered-To"] == f"{alice}@example.org"
    assert parsed["Subject"] == "Grüße"
    session.dele(1)
    session.quit()
    assert collect(office.pop3, alice) == []


def test_a_letter_with_smtputf8(office: Office) -> None:
    """A letter with UTF-8 in its headers: as it came where UTF8 is said, readable in US-ASCII where not."""
    alice = office.newcomer("alice")
    letter = EmailMessage(policy=policy.SMTPUTF8)
    letter["From"] = "Jörg <jörg@example.net>"
    letter["To"] = f"Älice <{alice}@example.org>"
    letter["Subject"] = "Grüße aus Köln"
    letter.set_content("Guten Tag.\n")
    letter.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="x.pdf")
    octets = letter.as_bytes(policy=policy.SMTPUTF8).replace(b"x.pdf", "Größe.pdf".encode())
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        client.ehlo()
        said = ["SMTPUTF8", "BODY=8BITMIME"]
        assert client.sendmail("jörg@example.net", [f"{alice}@example.org"], octets, said) == {}
    forms = []
    for utf8 in (True, False):
        session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
        if utf8:
            session.utf8()
        session.user(alice)
        session.pass_(PASSWORD)
        _, listed = session.stat()
        _, lines, size = session.retr(1)
        assert size == listed
        assert session.list()[1] == [f"1 {listed}".encode()]
        session.quit()
        forms.append(b"".join(line + b"\r\n" for line in lines))
    came, plain = forms
    assert came.endswith(b"\r\n" + octets)
    assert plain.isascii()
    parsed = BytesParser(policy=policy.default).parsebytes(plain)
    assert parsed["Subject"] == "Grüße aus Köln"
    assert parsed["To"].addresses[0].display_name == "Älice"
    assert parsed["From"].groups[0].display_name.split() == ["Jörg", "jörg@example.net"]
    assert [part.get_filename() for part in parsed.iter_attachments()] == ["Größe.pdf"]
    assert b"filename*=UTF-8''Gr%C3%B6%C3%9Fe.pdf" in plain
    assert "Return-Path: <jörg@example.net>\r\n".encode() in came
    assert b"Return-Path: =?UTF-8?B?asO2cmdAZXhhbXBsZS5uZXQ=?= :;\r\n" in plain


def test_refused_recipients_do_not_stop_the_letter(office: Office) -> None:
    """smtplib tells who was refused; the others have their letter."""
    alice = office.newcomer("alice")
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        refused = client.sendmail(
            "bob@example.net",
            [f"{alice}@example.org", "nobody@example.org", "carol@elsewhere.example"],
            "Subject: hello\r\n\r\nhello\r\n",
        )
    assert {name: code for name, (code, _) in refused.items()} == {
        "nobody@example.org": 550,
        "carol@elsewhere.example": 550,
    }
    assert len(collect(office.pop3, alice)) == 1


def test_an_account_made_on_the_command_line(office: Office) -> None:
    """``user add`` counts at once in a running office; a wrong password does not log in."""
    office.mailpost(
        *("--config", str(office.config), "user", "add", "dora", "--password-stdin"),
        typed="a long secret\n",
    )
    with smtplib.SMTP("127.0.0.1", office.smtp, timeout=PATIENCE) as client:
        client.sendmail("<>", "dora@example.org", "Subject: hello\r\n\r\nhello\r\n")
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    session.user("dora@example.org")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        session.pass_("another secret")
    session.user("DORA@Example.ORG")
    session.pass_("a long secret")
    assert session.retr(1)[1][0] == b"Return-Path: <>"
    assert session.top(1, 0)[1][-2:] == [b"Subject: hello", b""]
    session.dele(1)
    session.rset()
    session.dele(1)
    session.quit()
    assert session_is_empty(office, "dora", "a long secret")


def session_is_empty(office: Office, user: str, password: str) -> bool:
    """Whether nothing is left in a maildrop."""
    session = poplib.POP3("127.0.0.1", office.pop3, timeout=PATIENCE)
    session.user(user)
    session.pass_(password)
    empty = session.stat() == (0, 0) and session.uidl()[1] == []
    session.quit()
    return empty
