"""Bearer tokens, asked about at an issuer in memory: RFC 7662 as its client, and what is remembered."""

from __future__ import annotations

import json
from base64 import b64decode
from urllib.parse import parse_qs

import pytest
from treq.testing import StubTreq
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface.verify import verifyObject

from mailpost.accounts.credentials import TokenLogin
from mailpost.accounts.introspection import Introspection, treq_client
from mailpost.accounts.tokens import IntrospectionChecker
from mailpost.accounts.turnstile import TooBusy
from mailpost.outcome import TemporaryFailure

DOMAINS = {"example.org"}
ENDPOINT = "https://id.example/introspect"
PEER = "192.0.2.1"
GOOD = {"active": True, "username": "alice", "scope": "openid mail", "exp": 1000}


class Issuer(Resource):
    """An issuer: answers with what it is given, and keeps what it was asked."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.body: bytes | None = json.dumps(GOOD).encode()
        self.code = 200
        self.location = ""
        self.asked: list[dict] = []

    def render_POST(self, request):
        self.asked.append(
            {
                "form": parse_qs(request.content.read().decode()),
                "path": request.path,
                "authorization": request.getHeader("authorization"),
                "accept": request.getHeader("accept"),
            }
        )
        request.setResponseCode(self.code)
        if self.location:
            request.setHeader("location", self.location)
        return NOT_DONE_YET if self.body is None else self.body

    render_GET = render_POST


class Office:
    """A checker, its issuer and its clock."""

    def __init__(self, **terms) -> None:
        self.issuer = Issuer()
        self.clock = Clock()
        self.treq = StubTreq(self.issuer)
        settings = {"client_id": "mail post", "client_secret": "h:ush", "scope": "mail"} | terms
        self.checker = IntrospectionChecker(
            Introspection(ENDPOINT, **settings), DOMAINS, self.treq, self.clock, self.clock.seconds
        )

    def says(self, **claims) -> Office:
        """Have the issuer say this; None takes a claim away."""
        said = {key: value for key, value in (GOOD | claims).items() if value is not None}
        self.issuer.body = json.dumps(said).encode()
        return self

    def check(self, name="alice", token="token", peer=PEER) -> Deferred[str]:
        checked = self.checker.requestAvatarId(TokenLogin(name.encode(), token, peer))
        return checked.addCallback(bytes.decode)


def result(deferred: Deferred[str]):
    """What a Deferred came to: its value, or the exception."""
    results: list = []
    deferred.addBoth(results.append)
    assert results, "it has not fired"
    return getattr(results[0], "value", results[0])


# The seam -----------------------------------------------------------------------------------------


def test_provides_what_it_says():
    """Another checker fits in its place."""
    assert verifyObject(ICredentialsChecker, Office().checker)


def test_an_account_s_name_comes_of_a_good_token():
    """An active token of this user, for this office."""
    assert result(Office().check()) == "alice"


def test_asks_as_rfc_7662_says():
    """§2.1: a form, the token's kind, the office's own credentials (RFC 6749 §2.3.1), JSON wanted."""
    office = Office()
    result(office.check(token="a+b/c=="))
    (asked,) = office.issuer.asked
    assert asked["form"] == {"token": ["a+b/c=="], "token_type_hint": ["access_token"]}
    assert asked["path"] == b"/introspect"
    assert asked["accept"] == "application/json"
    assert b64decode(asked["authorization"].split()[1]) == b"mail+post:h%3Aush"


# Whose it is --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("", {}),
        ("Alice@Example.org", {}),
        ("alice", {"username": "ALICE@example.org"}),
        ("alice", {"exp": None}),
        ("alice", {"exp": 0.5}),
        ("alice", {"nbf": 0}),
        ("alice", {"scope": "mail"}),
        ("alice", {"exp": "soon"}),
    ],
)
def test_names_of_one_account_are_the_same(name, claims):
    """With or without the domain, in any case, claimed or not."""
    assert result(Office().says(**claims).check(name)) == "alice"


@pytest.mark.parametrize(
    ("name", "claims"),
    [
        ("bob", {}),
        ("alice@example.net", {}),
        ("alice", {"username": "alice@example.net"}),
        ("", {"username": "alice@example.net"}),
        ("alice", {"username": None}),
        ("alice", {"username": 7}),
        ("", {"username": ""}),
        ("", {"username": "../alice"}),
        ("alice", {"active": False}),
        ("alice", {"active": "true"}),
        ("alice", {"active": 1}),
        ("alice", {"active": None}),
        ("alice", {"scope": None}),
        ("alice", {"scope": "openid email"}),
        ("alice", {"scope": ["mail"]}),
        ("alice", {"exp": 0}),
        ("alice", {"exp": -5}),
        ("alice", {"nbf": 1}),
    ],
)
def test_another_s_or_no_good_token_lets_nobody_in(name, claims):
    """Not active, over, not begun, for something else, of somebody else, of another domain."""
    assert isinstance(result(Office().says(**claims).check(name)), UnauthorizedLogin)


def test_the_claim_that_names_the_user_can_be_chosen():
    """Issuers differ: username, sub, email."""
    assert result(Office(claim="sub").says(sub="bob").check("bob")) == "bob"
    assert result(Office(claim="email").says(email="bob@example.org").check("bob")) == "bob"
    assert isinstance(result(Office(claim="sub").check("alice")), UnauthorizedLogin)


@pytest.mark.parametrize(("verified", "admitted"), [(True, True), (False, False), ("true", False)])
def test_an_address_that_is_not_verified_names_nobody(verified, admitted):
    """OpenID Connect Core §5.1: the user may have typed any address."""
    office = Office(claim="email").says(email="alice@example.org", email_verified=verified)
    assert (result(office.check()) == "alice") is admitted


def test_all_of_several_scopes_are_needed():
    """And where none is needed, any token of the issuer will do."""
    assert isinstance(result(Office(scope="mail send").check()), UnauthorizedLogin)
    assert result(Office(scope="mail openid").check()) == "alice"
    assert result(Office(scope="").says(scope=None).check()) == "alice"


# When it cannot be told ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b"null", b'{"active": true, "exp": NaN}', b'{"active": tru', b"\xff\xfe",
     b"[" * 60_000],
)  # fmt: skip
def test_an_answer_without_sense_is_no_answer(body):
    """A fault of the issuer's is no reason to tell the user that the token is wrong."""
    office = Office()
    office.issuer.body = body
    assert isinstance(result(office.check()), TemporaryFailure)


@pytest.mark.parametrize("code", [201, 302, 400, 401, 403, 500, 503])
def test_any_other_status_is_no_answer(code):
    """401 says that our own credentials are wrong there."""
    office = Office()
    office.issuer.code = code
    assert isinstance(result(office.check()), TemporaryFailure)


@pytest.mark.parametrize("code", [302, 303, 307])
def test_a_redirect_is_not_followed(code):
    """The token is for the issuer alone."""
    office = Office()
    office.issuer.code = code
    office.issuer.location = "https://elsewhere.example/"
    assert isinstance(result(office.check()), TemporaryFailure)
    assert len(office.issuer.asked) == 1


def test_an_answer_without_end_is_cut_off():
    """64 KiB, and no more is read."""
    office = Office()
    office.issuer.body = b" " * 70_000 + json.dumps(GOOD).encode()
    assert isinstance(result(office.check()), TemporaryFailure)


def test_an_issuer_that_is_silent_is_not_waited_for_for_ever():
    """After the timeout it could not be found out, and its place is free again."""
    office = Office(timeout=5, asked=1)
    office.issuer.body = None
    waiting = office.check()
    office.clock.advance(4.9)
    assert not waiting.called
    office.clock.advance(0.2)
    assert isinstance(result(waiting), TemporaryFailure)
    assert result(office.says().check()) == "alice"


def test_a_session_that_ends_asks_no_further():
    """Cancelled, it gives its place back and leaves no call in the clock."""
    office = Office(asked=1)
    office.issuer.body = None
    waiting = office.check()
    waiting.cancel()
    assert isinstance(result(waiting), CancelledError | TemporaryFailure)
    assert office.clock.getDelayedCalls() == []
    assert result(office.says().check()) == "alice"


def test_a_cancelled_question_stays_cancelled():
    """Where the transport says so itself, nothing is made of it."""
    office = Office()
    cancelled: Deferred[object] = Deferred()

    class Silent:
        @staticmethod
        def post(*_, **__):
            return cancelled

    checker = IntrospectionChecker(
        Introspection(ENDPOINT, "id", "hush", "mail"), DOMAINS, Silent, office.clock
    )
    waiting = checker.requestAvatarId(TokenLogin(b"alice", "token", PEER))
    waiting.cancel()
    assert isinstance(result(waiting), CancelledError)


# How much is asked --------------------------------------------------------------------------------


def test_one_peer_cannot_ask_everything():
    """A thousand guesses from one address take some of the places, and the others go on."""
    office = Office(asked=10, asked_by_peer=3)
    office.issuer.body = None
    waiting = [office.check(token=f"guess{n}") for n in range(1000)]
    assert len(office.issuer.asked) == 3
    assert sum(one.called for one in waiting) == 997
    refused = [result(one) for one in waiting if one.called]
    assert all(isinstance(one, TooBusy) for one in refused)
    assert result(office.says().check(peer="192.0.2.2")) == "alice"


def test_all_together_cannot_ask_without_end():
    """However many addresses they come from."""
    office = Office(asked=10, asked_by_peer=3)
    office.issuer.body = None
    for n in range(100):
        office.check(token=f"guess{n}", peer=f"192.0.2.{n}").addErrback(lambda _: None)
    assert len(office.issuer.asked) == 10
    assert isinstance(result(office.check()), TooBusy)


# What is remembered -------------------------------------------------------------------------------


def test_a_good_token_is_asked_about_once():
    """A client that looks for mail every minute costs the issuer nothing."""
    office = Office()
    assert [result(office.check()) for _ in range(3)] == ["alice"] * 3
    assert len(office.issuer.asked) == 1


def test_a_remembered_token_is_still_its_owner_s_alone():
    """Whose it is is compared each time."""
    office = Office()
    result(office.check())
    assert isinstance(result(office.check("bob")), UnauthorizedLogin)
    assert len(office.issuer.asked) == 1


def test_another_s_token_is_remembered_as_what_it_is():
    """Offered under the wrong name first, under the right one then."""
    office = Office()
    assert isinstance(result(office.check("bob")), UnauthorizedLogin)
    assert result(office.check()) == "alice"
    assert len(office.issuer.asked) == 1


@pytest.mark.parametrize(("end", "until"), [(30, 30), (1000, 300), (None, 300)])
def test_an_answer_is_believed_for_a_while_and_never_beyond_the_token_s_end(end, until):
    """So that a revoked token is soon good for nothing."""
    office = Office().says(exp=end)
    result(office.check())
    office.clock.advance(until - 1)
    result(office.check())
    assert len(office.issuer.asked) == 1
    office.clock.advance(1)
    office.says(active=False)
    assert isinstance(result(office.check()), UnauthorizedLogin)
    assert len(office.issuer.asked) == 2


def test_a_bad_token_is_not_remembered():
    """It may be good a second later."""
    office = Office().says(active=False)
    assert isinstance(result(office.check()), UnauthorizedLogin)
    assert result(office.says().check()) == "alice"


def test_so_many_are_remembered_and_no_more():
    """The oldest makes room."""
    office = Office(remembered=2)
    for token in ("one", "two", "three", "three", "two"):
        result(office.check(token=token))
    assert len(office.issuer.asked) == 3
    result(office.check(token="one"))
    assert len(office.issuer.asked) == 4


# The terms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "safe"),
    [
        ("https://id.example/introspect", True),
        ("http://localhost:8080/introspect", True),
        ("http://[::1]/introspect", True),
        ("http://127.0.0.1/", True),
        ("http://id.example/introspect", False),
        ("ftp://localhost/", False),
        ("https:///introspect", False),
        ("id.example", False),
    ],
)
def test_a_token_goes_over_no_open_wire(endpoint, safe):
    """RFC 7662 §4: TLS, but for an issuer on this machine."""
    if safe:
        assert Introspection(endpoint, "id", "hush", "mail").endpoint == endpoint
    else:
        with pytest.raises(ValueError, match="https"):
            Introspection(endpoint, "id", "hush", "mail")


def test_the_secret_is_not_shown():
    """Terms may be logged."""
    assert "hush" not in repr(Introspection(ENDPOINT, "id", "hush", "mail"))


def test_the_client_is_treq_s():
    """It connects to the issuer, within its time."""
    reactor = MemoryReactorClock()
    failed: list[object] = []
    treq_client(reactor, 3).post("http://127.0.0.1:8080/").addErrback(failed.append)
    ((host, port, _, timeout, _),) = reactor.tcpClients
    assert (host, port, timeout) == ("127.0.0.1", 8080, 3)
