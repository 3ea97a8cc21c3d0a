"""The way in: the office's Portal, other people's checkers and realms, and how a login fails."""

from __future__ import annotations

import pytest
from attrs import evolve
from twisted.cred.checkers import ANONYMOUS, ICredentialsChecker
from twisted.cred.credentials import Anonymous, IUsernameHashedPassword, IUsernamePassword
from twisted.cred.error import LoginDenied, UnauthorizedLogin, UnhandledCredentials
from twisted.cred.portal import IRealm, Portal
from twisted.cred.strcred import makeChecker
from twisted.internet.defer import CancelledError, Deferred, fail, maybeDeferred, succeed
from twisted.mail.pop3 import IMailbox
from twisted.mail.pop3 import Mailbox as EmptyMailbox
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mailpost.accounts import passwords
from mailpost.accounts.credentials import Login
from mailpost.accounts.guest import Guest, GuestSnapshot
from mailpost.accounts.portal import login, login_to_send, make_portal
from mailpost.accounts.realm import OfficeRealm
from mailpost.accounts.scram import device_digest
from mailpost.config import Office
from mailpost.envelope import Address
from mailpost.interfaces import IMaildrop, ISnapshot
from mailpost.outcome import MaildropInUse, MaildropLocked, TemporaryFailure
from mailpost.store import Device, Rights

from .book import Book, at_once

OFFICE = Office(hostname="mx.example.org", domains=("example.org",))


@implementer(ISnapshot)
class Snapshot:
    """An empty one."""

    sizes = ()
    closed = 0

    def uidl(self, index):
        raise IndexError(index)

    def fetch(self, index):
        raise IndexError(index)

    def at_hand(self, indexes):
        return ()

    def let_go(self, indexes):
        return succeed(None)

    def close(self):
        self.closed += 1


@implementer(IMaildrop)
class Maildrop:
    """Whose it is, and what opening it gives."""

    def __init__(self, account, opening=None):
        self.account = account
        self.opening = opening or Snapshot()

    def open(self):
        if isinstance(self.opening, Exception):
            raise self.opening
        return self.opening


class Store:
    """Accounts and maildrops in memory."""

    secret = bytes(32)
    iterations = 4096

    def __init__(self, **accounts):
        self.accounts = Book(**accounts)
        self.entered = []

    @property
    def logins(self):
        return self

    def enter(self, session, account, device=None):
        self.entered.append((session, account, device))

    def maildrop(self, account, view=None):
        return Maildrop((account, view) if view else account)

    def lately(self, account):
        return Maildrop(("lately", account))


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(passwords, "matches", lambda encoded, got: encoded.encode() == got)
    return Store(alice="secret", bob="other")


@pytest.fixture
def portal(store):
    return make_portal(store, OFFICE, at_once)


def result(answer):
    """What was answered, at once or by a Deferred; raises what it failed with."""
    got = []
    maybeDeferred(lambda: answer).addBoth(got.append)
    (value,) = got
    if hasattr(value, "raiseException"):
        value.raiseException()
    return value


def enter(portal, name=b"alice", password=b"secret"):
    return result(login(portal, Login(name, password, "192.0.2.1")))


@implementer(ICredentialsChecker)
class Lets:
    """A checker that lets everybody in under one avatar id, or fails."""

    credentialInterfaces = (IUsernamePassword,)

    def __init__(self, answer):
        self.answer = answer

    def requestAvatarId(self, credentials):
        return self.answer


@implementer(IRealm)
class Realm:
    """A realm of somebody else's."""

    def __init__(self, interface, avatar):
        self.interface = interface
        self.avatar = avatar
        self.logouts = 0

    def requestAvatar(self, avatarId, mind, *interfaces):
        assert self.interface in interfaces
        if isinstance(self.avatar, Exception):
            raise self.avatar
        return self.interface, self.avatar, self.logout

    def logout(self):
        self.logouts += 1


def test_interfaces(store):
    """Realm, guest and its snapshot keep their interfaces."""
    verifyObject(IRealm, OfficeRealm(store.accounts, store.maildrop, ()))
    verifyObject(IMaildrop, Guest(Maildrop(None), list))
    verifyObject(ISnapshot, GuestSnapshot(Snapshot(), list))


@pytest.mark.parametrize("name", [b"alice", b"Alice@EXAMPLE.org"])
def test_an_account(portal, name):
    """Name and password give the account's own maildrop."""
    assert enter(portal, name).account.name == "alice"


@pytest.mark.parametrize(
    ("name", "password"),
    [(b"alice", b"x"), (b"carol", b"secret"), (b"", b""), (b"alice@x.y", b"secret")],
)
def test_not_let_in(portal, name, password):
    """All else is UnauthorizedLogin."""
    with pytest.raises(UnauthorizedLogin):
        enter(portal, name, password)


def test_the_store_cannot_be_asked(portal, store):
    """Where the account book fails, it is a failure for now; so is one that nobody foresaw."""
    store.accounts.broken = TemporaryFailure("disk")
    with pytest.raises(TemporaryFailure, match="disk"):
        enter(portal)
    store.accounts.broken = RuntimeError("a fault")
    with pytest.raises(TemporaryFailure, match="a reason of ours"):
        enter(portal)


@pytest.mark.parametrize("answer", [b"alice", "alice", b"Alice@example.org", succeed(b"alice")])
def test_another_checker(store, answer):
    """An avatar's id from elsewhere is an account's name, or its address, as octets or as text."""
    portal = make_portal(store, OFFICE, at_once, [Lets(answer)])
    assert enter(portal, b"whoever", b"whatever").account.name == "alice"


@pytest.mark.parametrize("answer", [b"carol", b"../alice", b"", ANONYMOUS, "\ud800"])
def test_another_checkers_stranger(store, answer):
    """Who is known elsewhere and has no account here is not let in, and nor is nobody."""
    with pytest.raises(UnauthorizedLogin):
        enter(make_portal(store, OFFICE, at_once, [Lets(answer)]))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UnauthorizedLogin(), UnauthorizedLogin),
        (MaildropInUse(), MaildropInUse),
        (LoginDenied("too many"), TemporaryFailure),
        (OSError(), TemporaryFailure),
        (NotImplementedError(), TemporaryFailure),
    ],
)
def test_what_another_checker_or_realm_fails_with(store, error, told):
    """Only UnauthorizedLogin is a wrong password; the rest may be right later."""
    with pytest.raises(told):
        enter(make_portal(store, OFFICE, at_once, [Lets(fail(error))]))
    with pytest.raises(told):
        enter(Portal(Realm(IMaildrop, error), [Lets(b"alice")]))


@pytest.mark.parametrize("how", ["memory:alice:one:bob:two", "file:{}"])
def test_plugins_of_strcred(store, tmp_path, how):
    """The checkers of twistd --auth decide in place of the office's own passwords."""
    file = tmp_path / "passwd"
    file.write_bytes(b"alice:one\nbob:two\nalice@example.org:three\n")
    portal = make_portal(store, OFFICE, at_once, [makeChecker(how.format(file))])
    assert enter(portal, b"bob", b"two").account.name == "bob"
    for password in (b"secret", b"two", b""):
        with pytest.raises(UnauthorizedLogin):
            enter(portal, b"alice", password)


def test_several_plugins(store, tmp_path):
    """Several checkers are asked in turn."""
    first = makeChecker("memory:alice:one")
    portal = make_portal(store, OFFICE, at_once, [first, makeChecker("memory:bob:two")])
    assert enter(portal, b"alice", b"one").account.name == "alice"
    assert enter(portal, b"bob", b"two").account.name == "bob"
    with pytest.raises(UnauthorizedLogin):
        enter(portal, b"bob", b"one")


def test_a_checker_that_never_sees_passwords(store):
    """One that only has a password compared (IUsernameHashedPassword) serves PASS as well."""

    class Compares(Lets):
        credentialInterfaces = (IUsernameHashedPassword,)

        def requestAvatarId(self, credentials):
            if credentials.checkPassword(b"right"):
                return credentials.username
            raise UnauthorizedLogin

    portal = make_portal(store, OFFICE, at_once, [Compares(None)])
    assert enter(portal, b"alice", b"right").account.name == "alice"
    with pytest.raises(UnauthorizedLogin):
        enter(portal, b"alice", b"wrong")


def test_a_realm_that_gives_a_mailbox():
    """A realm for Twisted's POP3 server is used as it is; its logout is called at the end, once."""
    realm = Realm(IMailbox, EmptyMailbox())
    maildrop = enter(Portal(realm, [Lets(b"x")]))
    snapshot = result(maildrop.open())
    assert list(snapshot.sizes) == []
    assert realm.logouts == 0
    snapshot.close()
    snapshot.close()
    assert realm.logouts == 1


def test_a_realm_that_gives_maildrops():
    """A realm of another's may give IMaildrop itself; it is logged out all the same."""
    inner = Snapshot()
    realm = Realm(IMaildrop, Maildrop(None, succeed(inner)))
    snapshot = result(enter(Portal(realm, [Lets(b"x")])).open())
    snapshot.close()
    assert (inner.closed, realm.logouts) == (1, 1)


@pytest.mark.parametrize("opening", [MaildropInUse(), TemporaryFailure()])
def test_a_maildrop_that_cannot_be_opened(opening):
    """Where opening fails, the login ends with it."""
    realm = Realm(IMaildrop, Maildrop(None, opening))
    maildrop = enter(Portal(realm, [Lets(b"x")]))
    with pytest.raises(type(opening)):
        result(maildrop.open())
    assert realm.logouts == 1


def test_a_logout_that_fails():
    """A realm's failing logout, now or later, is logged and harms nobody."""
    for logout in (lambda: 1 / 0, lambda: fail(OSError())):
        snapshot = GuestSnapshot(Snapshot(), logout)
        snapshot.close()


def test_giving_up():
    """A login that is cancelled while its checker thinks fails as cancelled."""
    attempt = login(Portal(Realm(IMaildrop, Maildrop(None)), [Lets(Deferred())]), Login(b"a", b"b"))
    attempt.cancel()
    with pytest.raises(CancelledError):
        result(attempt)


def test_a_realm_is_asked_for_maildrops_alone(store):
    """The office's realm gives nothing else."""
    realm = OfficeRealm(store.accounts, store.maildrop, {"example.org"})
    with pytest.raises(NotImplementedError):
        realm.requestAvatar(b"alice", None, IMailbox)


# Devices ------------------------------------------------------------------------------------------


@pytest.fixture
def devices(store):
    """Alice's phone, and a scanner that only submits."""
    rows = ((1, "phone", b"pp", Rights.BOTH), (2, "scanner", b"ss", Rights.SUBMIT))
    store.accounts.devices["alice"] = [
        Device(number, name, 10 + number, device_digest(store.secret, "alice", word), None, rights)
        for number, name, word, rights in rows
    ]


@pytest.mark.parametrize(
    ("name", "password", "view"),
    [
        (b"alice", b"secret", None),
        (b"alice", b"pp", 11),
        (b"alice#phone", b"pp", 11),
        (b"alice#phone", b"secret", 11),
        (b"Alice@example.org#phone", b"secret", 11),
    ],
)
def test_which_view_a_login_opens(store, devices, portal, name, password, view):
    """A device's own with its password, or where the main password's owner names it."""
    alice = store.accounts.find("alice")
    for _ in range(2):  # the second time the password is remembered
        assert enter(portal, name, password).account == ((alice, view) if view else alice)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (b"alice#cabin", b"secret"),
        (b"alice#scanner", b"pp"),
        (b"alice", b"ss"),
        (b"alice#phone", b"wrong"),
        (b"bob#phone", b"other"),
        (b"bob", b"pp"),
        (b"recent:alice", b"ss"),
        (b"recent:alice", b"wrong"),
    ],
)
def test_a_login_that_opens_nothing(devices, portal, name, password):
    """No such device, another's password, no right to collect; the second time as the first."""
    for _ in range(2):
        with pytest.raises(UnauthorizedLogin):
            enter(portal, name, password)


@pytest.mark.parametrize("password", [b"secret", b"pp"])
def test_what_came_of_late(store, devices, portal, password):
    """With the main password or a device's."""
    maildrop = enter(portal, b"recent:alice", password)
    assert maildrop.account == ("lately", store.accounts.find("alice"))


def test_a_login_is_watched(store, devices, portal):
    """Whoever logs in is told when that is taken away, for collecting as for sending."""
    session = object()
    for name, password, device in ((b"alice", b"secret", None), (b"alice", b"pp", 1)):
        result(login(portal, Login(name, password), session))
        assert store.entered.pop() == (session, 1, device)
    result(login_to_send(portal, Login(b"alice", b"ss"), session))
    assert store.entered == [(session, 1, 2)]


@pytest.mark.parametrize("login_name", [b"alice", b"alice#phone", b"recent:alice"])
def test_a_locked_account(store, devices, portal, login_name):
    """Whose password is right hears the reason, whichever way it is looked at; nobody else hears anything."""
    store.accounts.accounts["alice"] = evolve(store.accounts.find("alice"), locked="ask the desk")
    for entering in (login, login_to_send):
        with pytest.raises(MaildropLocked, match=r"^ask the desk$"):
            result(entering(portal, Login(login_name, b"secret"), object()))
        with pytest.raises(UnauthorizedLogin):
            result(entering(portal, Login(login_name, b"wrong"), object()))
    assert store.entered == []
    result(login(portal, Login(b"bob", b"other")))


def test_a_realm_that_is_given_no_more():
    """OfficeRealm behind a Portal of somebody's own needs neither what came of late nor the watch."""
    store = Store(alice="secret")
    realm = OfficeRealm(store.accounts, store.maildrop, ())
    assert realm.requestAvatar(b"alice", object(), IMaildrop)[0] is IMaildrop
    with pytest.raises(UnauthorizedLogin):
        realm.requestAvatar(b"recent:alice", None, IMaildrop)


def test_whose_an_address_is(store):
    """Sorting may say whose an address is; without it, one's name at the office's domains is one's own."""
    asked = []

    def belongs(address, name, maildrop):
        asked.append((str(address), name, maildrop))
        return address.local == "team"

    named = make_portal(store, OFFICE, at_once)
    told = make_portal(store, OFFICE, at_once, domains={"added.example"}, belongs=belongs)
    alice = store.accounts.find("alice")
    for portal, login_name, local, may in (
        (named, b"alice", "Alice", True),
        (named, b"alice@example.org", "team", False),
        (told, b"alice@added.example", "alice", False),
        (told, b"alice", "team", True),
    ):
        sender = result(login_to_send(portal, Login(login_name, b"secret"), object()))
        assert sender.may_send_as(Address(local, "example.org")) is may
    assert asked == [
        ("alice@example.org", "alice", alice.maildrop),
        ("team@example.org", "alice", alice.maildrop),
    ]
    with pytest.raises(UnauthorizedLogin):
        result(login(told, Login(b"alice@example.org", b"secret")))


def test_an_account_is_found_once(store, portal):
    """What the checker has found just now the realm need not look for, on the way that most logins go."""
    result(login(portal, Login(b"alice", b"secret")))  # known from here on
    store.accounts.asked.clear()
    maildrop = result(login(portal, Login(b"alice", b"secret")))
    assert store.accounts.asked == ["alice"]
    assert maildrop.account == store.accounts.find("alice")


def test_what_is_known_costs_no_deferred(store, portal):
    """A password is checked in a thread, unless it is remembered. A fault of ours is put off either way."""
    first = login(portal, Login(b"alice", b"secret"))
    assert isinstance(first, Deferred)
    maildrop = login(portal, Login(b"alice", b"secret"))
    assert maildrop.account == result(first).account == store.accounts.find("alice")
    assert login_to_send(portal, Login(b"alice", b"secret")).name == "alice"
    store.accounts.broken = TemporaryFailure("no")
    with pytest.raises(TemporaryFailure, match=r"^no$"):
        login(portal, Login(b"alice", b"secret"))
    store.accounts.broken = OSError("broken")
    with pytest.raises(TemporaryFailure, match="reason of ours"):
        login(portal, Login(b"alice", b"secret"))


def test_a_portal_that_cannot_check_these(portal):
    """It says so as twisted.cred's own does."""
    with pytest.raises(UnhandledCredentials):
        result(portal.ask(Anonymous(), None, IMaildrop))
