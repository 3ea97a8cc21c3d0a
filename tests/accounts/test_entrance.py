"""Every way of logging in comes through the one Portal, and what it cannot check is not offered."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext

import pytest
from attrs import evolve
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.accounts.checkers import AccountChecker, SecretChecker
from mailpost.accounts.credentials import (
    IBearerToken,
    IPeerCredentials,
    IProof,
    Login,
    ProvenLogin,
    TokenLogin,
)
from mailpost.accounts.entrance import Entrance
from mailpost.accounts.proofs import ProofChecker
from mailpost.accounts.realm import OfficeRealm
from mailpost.accounts.scram import KeyMaker, device_digest, encode
from mailpost.accounts.turnstile import Turnstile
from mailpost.guard import Guard, GuardRules
from mailpost.interfaces import IMaildrop
from mailpost.outcome import TemporaryFailure
from mailpost.store import Device, Rights
from mailpost.wire.login import DigestOffered, LoginOffered, ProofGiven
from mailpost.wire.sasl import Checks, TokenTerms
from mailpost.wire.sasl_events import TokenOffered

from .book import Book, Held

SECRET = bytes(range(32))
DOMAINS = frozenset(("example.org",))
MAKER = KeyMaker(SECRET, 4096)
KEYS = MAKER.make("alice", "open sesame")
PEER = "192.0.2.1"


@implementer(IMaildrop)
class Maildrop:
    """Whose it is, and over which view."""

    def __init__(self, account, view) -> None:
        self.where = (account.name, view)

    def open(self):
        raise NotImplementedError


@implementer(ICredentialsChecker)
class Tokens:
    """Whose token ``hers`` is."""

    credentialInterfaces = (IBearerToken,)
    told = TokenTerms("mail")

    def requestAvatarId(self, credentials):
        if credentials.token != "hers":
            raise UnauthorizedLogin
        credentials.account = "alice"
        return succeed(b"alice")


@implementer(ICredentialsChecker)
class Passwords:
    """Whose password ``open sesame`` is."""

    credentialInterfaces = (IUsernamePassword,)

    def requestAvatarId(self, credentials):
        assert credentials.peer == PEER
        if credentials.password != b"open sesame":
            raise UnauthorizedLogin
        return b"alice"


class Way:
    """An entrance, and the book behind it."""

    def __init__(self, *checkers) -> None:
        self.clock = Clock()
        self.book = Book(alice="hash", bob="hash")
        self.book.change("alice", "hash", encode(KEYS))
        self.proofs = ProofChecker(self.book, DOMAINS, MAKER)
        realm = OfficeRealm(self.book, Maildrop, DOMAINS)
        self.entrance = Entrance(
            Portal(realm, checkers or [self.proofs, Tokens(), Passwords()]), self.clock
        )

    def send(self, asked):
        """Log in to send; the sender's name and who it is, or what went wrong."""
        got = []
        Deferred.fromCoroutine(self.entrance.to_send(asked, PEER)).addBoth(got.append)
        (result,) = got
        if hasattr(result, "raiseException"):
            result.raiseException()
        sender, name = result
        return sender.name, name


@pytest.mark.parametrize(
    ("credentials", "interface"),
    [
        (Login(b"alice", b"secret"), IPeerCredentials),
        (TokenLogin(b"alice", "token"), IBearerToken),
        (ProvenLogin(b"alice", KEYS), IProof),
    ],
)
def test_credentials_are_what_they_say(credentials, interface):
    """Each provides its interface, and shows nothing of the secret."""
    assert verifyObject(interface, credentials)
    assert repr(credentials).endswith(" b'alice' from ''>")


@pytest.mark.parametrize(
    "asked",
    [
        LoginOffered("alice", b"open sesame"),
        TokenOffered("", "hers"),
        TokenOffered("alice", "hers"),
        ProofGiven("alice", KEYS),
        ProofGiven("Alice@Example.org", KEYS),
    ],
)
def test_each_way_leads_in(asked):
    """By a password, a token, a proof: the same sender, and the account's own name."""
    assert Way().send(asked) == ("alice", "alice")


APOP = "<1896.697170952@dbc.mtview.ca.us>"  # RFC 1939 §7's example
DIGEST = "c4c9334bac560ecc979e58001b3e22fb"


def test_apop():
    """A digest leads in where a secret is kept; without one, or with another challenge, it does not."""
    way = Way()
    way.entrance = Entrance(
        Portal(OfficeRealm(way.book, Maildrop, DOMAINS), [SecretChecker(way.book, DOMAINS)]),
        way.clock,
    )
    asked = DigestOffered("alice", APOP, DIGEST)
    for without in (asked, DigestOffered("alice", APOP, hashlib.md5(APOP.encode()).hexdigest())):
        with pytest.raises(UnauthorizedLogin):
            way.send(without)
    way.book.accounts["alice"] = evolve(way.book.accounts["alice"], secret="tanstaaf")
    assert way.send(asked) == ("alice", "alice")
    for wrong in (
        DigestOffered("alice", "<1@dbc.mtview.ca.us>", DIGEST),
        DigestOffered("bob", APOP, DIGEST),
        DigestOffered("nobody", APOP, DIGEST),
    ):
        with pytest.raises(UnauthorizedLogin):
            way.send(wrong)


@pytest.mark.parametrize(
    "asked",
    [
        LoginOffered("alice", b"open barley"),
        TokenOffered("alice", "his"),
        ProofGiven("alice", None),
        ProofGiven("bob", KEYS),
        ProofGiven("carol", KEYS),
        ProofGiven("alice", MAKER.make("alice", "open barley")),
    ],
)
def test_each_way_leads_nowhere_else(asked):
    """What is wrong is wrong in the same words."""
    with pytest.raises(UnauthorizedLogin):
        Way().send(asked)


def test_a_proof_is_looked_up_again():
    """Between keys and proof the password was changed."""
    way = Way()
    way.book.change("alice", "hash", encode(MAKER.make("alice", "open barley")))
    with pytest.raises(UnauthorizedLogin):
        way.send(ProofGiven("alice", KEYS))


def test_offers_what_it_can_check():
    """No checker, no mechanism; and what tokens need is told by their checker."""
    way = Way()
    assert way.entrance.checks == Checks.PASSWORDS | Checks.KEYS | Checks.TOKENS
    assert way.entrance.told == TokenTerms("mail")
    assert Way(Passwords()).entrance.checks == Checks.PASSWORDS
    assert Way(Passwords()).entrance.told == TokenTerms()
    assert Way(Tokens()).entrance.checks == Checks.TOKENS


def test_keys_say_nothing_of_who_exists():
    """The same salt and count by every spelling; somebody unknown has keys too, the same each time."""
    entrance = Way().entrance
    assert entrance.keys("alice") == entrance.keys("Alice@example.org") == [KEYS]
    for nobody in ("carol", "bob", "alice@example.net", "x" * 300):
        (first,), (second,) = entrance.keys(nobody), entrance.keys(nobody)
        assert first == second
        assert (len(first.salt), first.iterations) == (len(KEYS.salt), KEYS.iterations)
    before = entrance.keys("carol")[0].salt
    assert MAKER.make("carol", "new here").salt == before


def test_keys_that_are_damaged():
    """Whoever has them is treated as one who has none."""
    way = Way()
    way.book.change("alice", "hash", "SCRAM-SHA-256$4096:AA$AA:AA")
    (made_up,) = way.entrance.keys("alice")
    assert made_up.salt == KEYS.salt
    with pytest.raises(UnauthorizedLogin):
        way.send(ProofGiven("alice", KEYS))


def test_a_store_that_cannot_be_read():
    """It is told as that, not as a wrong password."""
    way = Way()
    way.book.broken = TemporaryFailure("the disk is gone")
    with pytest.raises(TemporaryFailure):
        way.entrance.keys("alice")
    with pytest.raises(TemporaryFailure):
        way.send(ProofGiven("alice", KEYS))


PHONE = MAKER.make("alice", "abcd-efgh", [KEYS])
DEVICE = Device(
    7, "phone", 70, device_digest(SECRET, "alice", b"abcd-efgh"), encode(PHONE), Rights.BOTH
)


def with_phone(rights=Rights.BOTH) -> Way:
    """Alice has a phone."""
    way = Way()
    way.book.devices["alice"] = [evolve(DEVICE, rights=rights)]
    return way


def collect(way, asked):
    """Log in to collect; the maildrop and who it is."""
    got = []
    Deferred.fromCoroutine(way.entrance.to_collect(asked, PEER)).addBoth(got.append)
    (result,) = got
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


def test_a_device_has_a_view_of_its_own():
    """By its keys it gets its own maildrop, its last use is noted, and the log knows which one it was."""
    way = with_phone()
    maildrop, name = collect(way, ProofGiven("alice", PHONE))
    assert maildrop.where == ("alice", 70)
    assert name == "alice#phone"
    assert [number for number, _ in way.book.noted] == [7]
    maildrop, name = collect(way, ProofGiven("alice", KEYS))
    assert maildrop.where == ("alice", None)


@pytest.mark.parametrize(
    ("rights", "may_collect", "may_send"),
    [(Rights.BOTH, True, True), (Rights.COLLECT, True, False), (Rights.SUBMIT, False, True)],
)
def test_a_device_s_rights(rights, may_collect, may_send):
    """Collecting, handing in, or both."""
    way = with_phone(rights)
    for may, enter in ((may_collect, lambda asked: collect(way, asked)), (may_send, way.send)):
        with nullcontext() if may else pytest.raises(UnauthorizedLogin):
            enter(ProofGiven("alice", PHONE))


def test_a_device_that_was_removed():
    """Between keys and proof."""
    way = with_phone()
    way.book.devices.clear()
    with pytest.raises(UnauthorizedLogin):
        way.send(ProofGiven("alice", PHONE))


def test_a_device_s_password():
    """By PLAIN and USER it costs no hashing; another account's is nothing here."""
    book = with_phone().book
    held = Held()
    checker = AccountChecker(book, DOMAINS, Turnstile(held), SECRET)
    login = Login(b"Alice@example.org", b"abcd-efgh")
    assert checker.requestAvatarId(login) == b"alice#phone"
    assert login.account == "alice#phone"
    checker.requestAvatarId(Login(b"bob", b"abcd-efgh"))
    assert len(held.running) == 1


class Guarded(Way):
    """An entrance with a guard: two wrong guesses are answered late, three get a ban."""

    def __init__(self) -> None:
        super().__init__()
        rules = GuardRules(free=1, guesses=3, name_free=1, longest_delay=4.0)
        self.guard = Guard(self.clock, rules)

    def tries(self, asked, peer=PEER):
        """Somebody tries to log in; what became of it, later perhaps."""
        got = []
        entering = Deferred.fromCoroutine(self.entrance.to_send(asked, peer, self.guard))
        entering.addCallback(lambda entered: entered[1]).addErrback(lambda failed: failed.value)
        entering.addBoth(got.append)
        return got


WRONG = [
    LoginOffered("alice", b"open barley"),
    TokenOffered("alice", "his"),
    ProofGiven("alice", None),
]


@pytest.mark.parametrize("wrong", WRONG)
def test_guesses_are_counted_whatever_the_mechanism(wrong):
    """The second one waits for its answer; the right password is let in beside it, and at once."""
    way = Guarded()
    way.guard.wrong(PEER, "alice", b"before")
    waiting = way.tries(wrong)
    assert not waiting
    assert way.tries(ProofGiven("alice", KEYS)) == ["alice"]
    way.clock.advance(1)
    assert isinstance(waiting[0], UnauthorizedLogin)


def test_a_ban_ends_what_is_open():
    """The third guess gets a ban; a right password is put off as well, and in an hour it is let in."""
    way = Guarded()
    for password in (b"1", b"2", b"3"):
        way.tries(LoginOffered("alice", password))
    right = ProofGiven("alice", KEYS)
    (put_off,) = way.tries(right)
    assert isinstance(put_off, TemporaryFailure)
    assert way.tries(right, "192.0.2.2") == ["alice"]  # nobody elsewhere notices anything
    way.clock.advance(3600)
    assert way.tries(right) == ["alice"]


def test_one_outdated_password_is_one_guess():
    """A mail program that does not know of the new password, every five minutes for a day."""
    way = Guarded()
    for _ in range(288):
        way.tries(WRONG[0])
        way.clock.advance(300)
    assert way.tries(ProofGiven("alice", KEYS)) == ["alice"]


class Named(Guarded):
    """An entrance that reads names as the office does."""

    def __init__(self) -> None:
        super().__init__()
        checker = AccountChecker(self.book, DOMAINS, Turnstile(lambda *_: succeed(False)), SECRET)
        realm = OfficeRealm(self.book, Maildrop, DOMAINS)
        self.entrance = Entrance(Portal(realm, [checker, self.proofs]), self.clock)


ALICES = ["alice", "Alice@Example.org", "alice#phone", "recent:alice", "alice#desk@example.org"]


def test_all_names_of_an_account_are_one_guess():
    """The same outdated password by whichever of them; and another password by each is another guess."""
    way = Named()
    for name in ALICES:
        way.tries(LoginOffered(name, b"last year's"))
    assert not way.guard.banned(PEER)
    for name in ALICES[:2]:
        way.tries(LoginOffered(name, name.encode()))
    assert way.guard.banned(PEER)


def test_all_names_of_an_account_are_forgiven_together():
    """Whoever is right by one of them."""
    way = Named()
    for name in ALICES[1:3]:
        way.tries(LoginOffered(name, name.encode()))
    assert way.tries(ProofGiven("alice", KEYS)) == ["alice"]
    for name in ALICES[1:3]:
        way.tries(LoginOffered(name, name.encode()))
    assert not way.guard.banned(PEER)


def test_a_botnet_gains_nothing_by_other_names():
    """Where many guess, each by another name of hers: it is alice who is guarded."""
    way = Named()
    for number, name in enumerate(ALICES):
        way.tries(LoginOffered(name, b"123456"), f"198.51.100.{number}")
    assert not way.tries(ProofGiven("alice", KEYS), "203.0.113.1")


def test_the_name_that_was_typed_is_logged(log):
    """The log has what came, the count whom it meant."""
    Named().tries(LoginOffered("recent:alice#phone", b"wrong"))
    assert log.lines("wrong") == [f"wrong login from {PEER} as 'recent:alice#phone'"]


def test_names_are_read_by_who_checks_them():
    """A checker from outside has names of its own; they differ by more than their case."""
    way = Guarded()
    for name in ("alice", "ALICE"):
        way.tries(LoginOffered(name, b"one"))
    assert not way.guard.banned(PEER)
    for name in ("alice@example.org", "alice#phone"):
        way.tries(LoginOffered(name, b"one"))
    assert way.guard.banned(PEER)


def test_banned_while_it_waited():
    """A login to a guarded name is held back; whose neighbours get banned meanwhile is put off."""
    way = Guarded()
    for number in range(9):
        way.guard.wrong(f"198.51.100.{number}", "alice", b"123456")
    waiting = way.tries(ProofGiven("alice", KEYS))
    assert not waiting
    for password in (b"1", b"2", b"3"):
        way.guard.wrong(PEER, "bob", password)
    way.clock.advance(4)
    assert isinstance(waiting[0], TemporaryFailure)


def test_nobody_waits_for_who_has_gone():
    """A connection that is lost while its answer is held back."""
    way = Guarded()
    way.guard.wrong(PEER, "alice", b"before")
    entering = Deferred.fromCoroutine(way.entrance.to_send(WRONG[0], PEER, way.guard))
    entering.addErrback(lambda failure: failure.trap(CancelledError))
    assert way.clock.getDelayedCalls()
    entering.cancel()
    assert not way.clock.getDelayedCalls()
