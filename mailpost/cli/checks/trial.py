"""A letter to oneself: sent by SMTP, LMTP or submission, collected by POP3, at the running office's doors.

It goes to an account that is made for it and removed again, whatever happens in between; nobody else's
maildrop is touched. What a killed doctor has left the next one removes: the account's name tells its age.
"""

from __future__ import annotations

import poplib
import re
import secrets
import smtplib
import ssl
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from attrs import frozen

from mailpost import endpoint
from mailpost.accounts.passwords import encode
from mailpost.accounts.scram import KeyMaker, device_password, keys_to_keep
from mailpost.cli import ports
from mailpost.cli.checks.findings import ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient
    from mailpost.config import Listen
    from mailpost.store import Store

TRIAL = "trial letter"
PATIENCE = 10.0  # seconds for each answer
OLD = 600  # seconds: after that a doctor has been killed
_NAME = re.compile(r"mailpost-doctor-([0-9a-f]{8})-[0-9a-f]{8}")
_WAYS_IN = ("smtp", "lmtp", "submission")


@frozen
class Somebody:
    """The account that is made for the letter."""

    name: str
    password: str
    address: str


class Trouble(Exception):  # noqa: N818 - told to a person
    """The letter did not make its way; the text says where."""


def trial(patient: Patient, store: Store) -> Iterator[Finding]:
    """Send and collect it; how long that took."""
    way_in = next((one for which in _WAYS_IN for one in _doors(patient, which)), None)
    way_out = next(_doors(patient, "pop3"), None)
    if way_in is None or way_out is None:
        yield warning(
            TRIAL,
            "not sent: no door for it is one that this machine can use",
            "a listener behind a load balancer, or on a socket of systemd's, cannot be tried from here",
        )
        return
    domain = _domain(patient, store)
    if domain is None:
        yield warning(
            TRIAL,
            "not sent: at no domain of the configuration the names of accounts are addresses",
            f"send one by hand, to an alias; {patient.program} alias list shows them",
        )
        return
    subject = secrets.token_hex(8)
    started = time.monotonic()
    try:
        with _somebody(domain, store) as somebody:
            _send(way_in, somebody, subject)
            _collect(way_out, somebody, subject)
    except Trouble as trouble:
        yield problem(TRIAL, str(trouble), "the office's log says more")
        return
    took = time.monotonic() - started
    yield ok(
        TRIAL,
        f"sent by {way_in.protocol.upper()}, collected by POP3, and gone again in {took:.2f} s",
    )


def _doors(patient: Patient, protocol: str) -> Iterator[Listen]:
    """The listeners of a protocol that can be tried from here; those with TLS at last, they take longer."""
    for listen in patient.config.listen:
        unix = endpoint.parse(listen.endpoint)["type"] == "unix" and protocol == "lmtp"
        if listen.protocol == protocol and not listen.proxy and (unix or ports.place(listen)):
            yield listen


@contextmanager
def _somebody(domain: str, store: Store) -> Iterator[Somebody]:
    """An account with a password, for as long as it is needed."""
    sweep(store)
    name = f"mailpost-doctor-{int(time.time()):08x}-{secrets.token_hex(4)}"
    password = device_password()
    keys = keys_to_keep(KeyMaker(store.secret, store.iterations), name, password.encode())
    try:
        store.accounts.add(name, encode(password.encode()), keys)
        yield Somebody(name, password, f"{name}@{domain}")
    finally:
        _remove(store, name)


def _domain(patient: Patient, store: Store) -> str | None:
    """A domain at which accounts' names are addresses; at some only aliases are."""
    for domain in patient.config.office.domains:
        known = store.addresses.domain(domain)
        if known is None or known.accounts:
            return domain
    return None


def sweep(store: Store) -> None:
    """Remove what doctors have left that were killed."""
    for one in store.accounts.all():
        found = _NAME.fullmatch(one.account.name)
        if found and not 0 <= time.time() - int(found[1], 16) < OLD:
            _remove(store, one.account.name)


def _remove(store: Store, name: str) -> None:
    """Remove the account; its session may take a moment to end."""
    from mailpost.outcome import MaildropInUse  # noqa: PLC0415 - beside its use
    from mailpost.store import NoSuchName  # noqa: PLC0415

    end = time.monotonic() + PATIENCE
    while True:
        try:
            with suppress(NoSuchName):
                store.accounts.remove(name)
        except MaildropInUse:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


def _send(door: Listen, somebody: Somebody, subject: str) -> None:
    letter = (
        f"From: <{somebody.address}>\r\nTo: <{somebody.address}>\r\nSubject: {subject}\r\n\r\n"
        "From mailpost's doctor, who has already read it.\r\n"
    )
    try:
        with _sender(door) as client:
            if door.protocol == "submission":
                if door.tls == "starttls":
                    client.starttls(context=_any_certificate())
                client.login(somebody.name, somebody.password)
            client.sendmail(somebody.address, [somebody.address], letter)
    except (OSError, smtplib.SMTPException) as error:
        raise Trouble(
            f"not taken in by {door.protocol} at {door.endpoint}: {_words(error)}"
        ) from None


def _sender(door: Listen) -> Any:
    place = ports.place(door)
    if place is None:
        return smtplib.LMTP(endpoint.parse(door.endpoint)["address"], timeout=PATIENCE)
    where = (place.reached, place.port)
    if door.tls == "implicit":
        return smtplib.SMTP_SSL(*where, timeout=PATIENCE, context=_any_certificate())
    dialect = smtplib.LMTP if door.protocol == "lmtp" else smtplib.SMTP
    return dialect(*where, timeout=PATIENCE)


def _collect(door: Listen, somebody: Somebody, subject: str) -> None:
    place = ports.place(door)
    assert place is not None
    where = (place.reached, place.port)
    try:
        client: poplib.POP3
        if door.tls == "implicit":
            client = poplib.POP3_SSL(*where, timeout=PATIENCE, context=_any_certificate())
        else:
            client = poplib.POP3(*where, timeout=PATIENCE)
        try:
            if door.tls == "starttls":
                client.stls(context=_any_certificate())
            client.user(somebody.name)
            client.pass_(somebody.password)
            if f"Subject: {subject}".encode() not in client.retr(1)[1]:
                raise Trouble(f"what is collected at {door.endpoint} is not what was sent")
            client.dele(1)
        finally:
            client.quit()
    except (OSError, poplib.error_proto) as error:
        raise Trouble(f"not collected by pop3 at {door.endpoint}: {_words(error)}") from None


def _any_certificate() -> ssl.SSLContext:
    """Whether the certificate is a good one is looked at elsewhere."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: Exception) -> str:
    told = error.args[-1] if error.args else error
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
