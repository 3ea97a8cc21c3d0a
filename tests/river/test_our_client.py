"""The client engine in a shell of a few lines hands letters to a real office, over a real port and TLS."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from mailpost.wire.path import Address
from mailpost.wire.sasl_client import Credentials
from mailpost.wire.smtp_client import SMTPClient
from mailpost.wire.smtp_client_events import (
    BeginTLS,
    BodyWanted,
    Ended,
    LetterDone,
    Ready,
    Reason,
    TLSPolicy,
)
from mailpost.wire.smtp_client_letter import Letter, Recipient

from .maildrop import only_letter
from .office import PASSWORD, PATIENCE
from .test_encrypted import SealedOffice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from ssl import SSLContext

    from mailpost.wire.smtp_client_events import Outcome

PIECE = b".a line that begins with a dot\r\n" * 2000


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SealedOffice]:
    """The office of this module."""
    with SealedOffice(tmp_path_factory.mktemp("client") / "office").opened() as office:
        yield office


def hand_in(
    client: SMTPClient, port: int, context: SSLContext, letter: Letter, pieces: list[bytes]
) -> tuple[tuple[Outcome, ...], Ended]:
    """Hand one letter in and say QUIT; its outcomes, and how the session ended."""
    outcomes: tuple[Outcome, ...] = ()
    connection = socket.create_connection(("localhost", port), PATIENCE)
    try:
        while True:
            event = client.next_event()
            octets = client.take_output()
            connection.sendall(octets)
            match event:
                case BeginTLS():
                    connection = context.wrap_socket(connection, server_hostname="localhost")
                    client.tls_begun()
                case Ready():
                    client.send(letter)
                case BodyWanted():
                    client.give(pieces.pop(0), last=not pieces)
                case LetterDone():
                    outcomes = event.outcomes
                    client.quit()
                case Ended():
                    return outcomes, event
                case None if not octets:
                    if came := connection.recv(65536):
                        client.receive(came)
                    else:
                        client.lost()
    finally:
        connection.close()


def test_a_letter_is_submitted_under_tls(sealed: SealedOffice) -> None:
    """STARTTLS, a login, a letter in pieces: it is collected octet for octet."""
    user = sealed.newcomer()
    address = Address(user, "example.org")
    # The office keeps no keys of an account's main password: SCRAM is for those of devices.
    login = Credentials(user, PASSWORD, mechanisms=("PLAIN",))
    client = SMTPClient("client.example.net", policy=TLSPolicy.REQUIRED, credentials=login)
    pieces = [b"Subject: sealed\r\n\r\n", *[PIECE] * 5]
    body = b"".join(pieces)
    letter = Letter(address, (Recipient(address),), octets=len(body))
    outcomes, ended = hand_in(client, sealed.submission, sealed.context, letter, pieces)
    assert [one.reply.code for one in outcomes if one.reply is not None] == [250]
    assert ended == Ended(Reason.QUIT)
    kept = only_letter(sealed.pop3, user)
    assert b" with ESMTPSA id " in kept.postmark
    assert kept.octets.endswith(body)


def test_a_wrong_password_is_told(sealed: SealedOffice) -> None:
    """No letter is begun."""
    user = sealed.newcomer()
    address = Address(user, "example.org")
    client = SMTPClient(
        "client.example.net", policy=TLSPolicy.REQUIRED, credentials=Credentials(user, "wrong")
    )
    letter = Letter(address, (Recipient(address),))
    outcomes, ended = hand_in(client, sealed.submission, sealed.context, letter, [b""])
    assert outcomes == ()
    assert ended.reason is Reason.LOGIN
    assert ended.reply is not None
    assert ended.reply.code == 535
