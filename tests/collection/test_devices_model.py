"""Devices over POP3, whatever is done and in whatever order, beside a model.

Sessions of several views at once come and go, by every way that a login has; letters come, devices are
added and taken away, days pass, the office restarts. Each answer is the one that RFC 1939 has for that view
by itself: nothing is deleted without QUIT, and nothing by another view.
"""

from argon2 import PasswordHasher
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mailpost.accounts.portal import make_portal
from mailpost.accounts.scram import device_digest
from mailpost.collection import POP3Factory
from mailpost.config import Office as Settings
from mailpost.limits import ConnectionLimits
from mailpost.store.lapsing import DAY
from mailpost.store.store import LATELY
from tests.memory import Peer
from tests.store import test_views_model as views
from tests.store.conftest import POSTMARK

SETTINGS = Settings(hostname="post.example.org", domains=("example.org",))
MAIN = views.MAIN
SILENCE = 0.75 * DAY  # far longer than in earnest, so that a session lives while half a day passes
SECRET = b"the main password"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
BODIES = [
    b"Subject: one\r\n\r\nbody\r\n",
    b"Subject: dots\r\n\r\n.\r\n..two\r\nthree\r\n.",
    b"only a header\r\n",
    b"\r\n",
    b"",
]
VERBS = ("STAT", "LIST", "UIDL", "RSET", "NOOP")
WITH_NUMBER = ("LIST", "UIDL", "RETR", "TOP", "DELE")


class Session:
    """A session that is open, and what the model knows of it.

    :ivar view: the name of the view that it shows; None: it shows what came of late.
    :ivar device: the device that it is logged in as; None: the account itself.
    """

    def __init__(self, peer, view, device, numbers, others):
        self.peer = peer
        self.view = view
        self.device = device
        self.numbers = numbers
        self.others = others
        self.opened = peer.clock.seconds()
        self.marked = set()
        self.given = set()

    @property
    def left(self):
        return [at for at in range(len(self.numbers)) if at not in self.marked]

    def turned_out(self, words):
        """The office has said its last words; the peer hears them, and goes."""
        assert self.peer.heard().startswith(words)
        assert self.peer.line.ending
        self.peer.leave()


class Devices(views.Maildrop):
    """The maildrop of several views, now behind its passwords and POP3."""

    def __init__(self):
        self.sessions = []
        self.uidls = {}
        super().__init__()
        self.office.accounts.set_password("alice", QUICK.hash(SECRET))

    def start(self):
        super().start()
        store = self.office.store
        store._changes.start()
        portal = make_portal(store, SETTINGS, self.office._hop)
        many = 1_000_000  # sessions and errors: what is too many is tested elsewhere
        self.factory = POP3Factory(
            "post.example.org",
            portal,
            self.office.clock,
            ConnectionLimits(many, many),
            SILENCE,
            max_errors=many,
        )
        store.logins.there = lambda: list(self.factory.connections)

    def digest(self, name):
        return device_digest(self.office.store.secret, "alice", password(name))

    def teardown(self):
        for session in self.sessions:
            session.peer.leave()
        super().teardown()

    # What happens -------------------------------------------------------------------------------

    @initialize(
        bodies=st.lists(st.sampled_from(BODIES), min_size=2, max_size=6),
        devices=st.lists(
            st.tuples(st.sampled_from([None, 0, 2, 1000]), st.sampled_from("abc")), min_size=1
        ),
    )
    def begin(self, bodies, devices):
        for body in bodies:
            self.deliver(body)
        for days, name in devices:
            self.add_device(days, name)

    @rule(body=st.sampled_from(BODIES))
    def deliver(self, body):
        self.office.deliver(body, self.account)
        self.count += 1
        self.letters[self.count] = int(self.office.clock.seconds())
        self.bodies[self.count] = body

    @rule(data=st.data())
    def open_view(self, data):
        name = data.draw(st.sampled_from(sorted(self.views)))
        forms = [(b"alice", SECRET)]
        if name != MAIN:
            named = b"alice#" + name.encode()
            forms = [(b"alice", password(name)), (named, password(name)), (named, SECRET)]
        peer, answer = self.enter(*data.draw(st.sampled_from(forms)))
        if any(session.view == name for session in self.sessions):
            assert answer.startswith(b"-ERR [IN-USE]")
            peer.leave()
            return
        view = self.views[name]
        numbers = self.shown(view)
        assert answer.startswith(b"+OK %d " % len(numbers))
        self.office.turn()
        opened = int(self.office.clock.seconds())
        if not view.living or opened - view.opened > DAY:
            view.opened = opened
        returned = not view.living
        view.living = True
        device = None if name == MAIN else view
        self.sessions.append(Session(peer, name, device, numbers, len(self.views) > 1))
        if (
            returned
        ):  # where none lived it is the only one that holds letters now: the next search sees it
            self.office.store.sweeper.search()
            self.lapsed()
        else:
            self.swept()
        self.say(self.sessions[-1], data)

    @rule(data=st.data())
    def look_at_the_latest(self, data):
        name = data.draw(st.sampled_from(sorted(self.views)))
        device = None if name == MAIN else self.views[name]
        secret = SECRET if device is None else password(name)
        peer, answer = self.enter(b"recent:alice", secret)
        since = int(self.office.clock.seconds()) - LATELY
        numbers = [number for number, arrived in sorted(self.letters.items()) if arrived >= since]
        assert answer.startswith(b"+OK %d " % len(numbers))
        self.office.turn()
        self.sessions.append(Session(peer, None, device, numbers, others=False))
        self.swept()
        self.say(self.sessions[-1], data)

    @rule(name=st.sampled_from("abcdef"), named=st.booleans())
    def who_is_no_device_is_not_let_in(self, name, named):
        if name not in self.views:
            login = b"alice#" + name.encode() if named else b"alice"
            for secret in (password(name), SECRET) if named else (password(name),):
                peer, answer = self.enter(login, secret)
                assert answer.startswith(b"-ERR [AUTH]")
                peer.leave()

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def ask(self, data):
        self.say(data.draw(st.sampled_from(self.sessions)), data)

    def say(self, session, data):
        """Some commands, all at once."""
        number = st.integers(1, max(1, len(session.numbers))) | st.sampled_from(
            [0, len(session.numbers) + 1]
        )
        one = st.sampled_from(VERBS).map(lambda verb: (verb, None))
        other = st.tuples(st.sampled_from(WITH_NUMBER), number)
        asked = data.draw(st.lists(one | other, min_size=2, max_size=12))
        session.peer.say(b"".join(line(verb, number) for verb, number in asked))
        self.office.turn()
        answers = Answers(session.peer.heard())
        for verb, number in asked:
            getattr(self, verb.lower())(session, answers, number)
        assert answers.over

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), how=st.sampled_from(["quit", "quit", "vanish", "fail", "break off"]))
    def quit(self, data, how):
        session = data.draw(st.sampled_from(self.sessions))
        left = session.left
        some = st.lists(st.sampled_from(left), unique=True) if left else st.just([])
        for at in data.draw(st.just(left) | some):
            assert session.peer.ask(b"DELE %d\r\n" % (at + 1)).startswith(b"+OK")
            session.marked.add(at)
        updates = bool(session.marked) and session.view is not None
        self.sessions.remove(session)
        answer = self.leave(session, how)
        if how == "fail" and updates:
            assert answer.startswith(b"-ERR [SYS/TEMP]")
        elif how in ("quit", "fail"):
            assert answer.startswith(b"+OK")
        gone = session.marked if updates and how in ("quit", "vanish") else set()
        if gone:
            self.views[session.view].gone.update(session.numbers[at] for at in gone)
        if how != "fail":  # where the ledger is full, what was given is not noted either
            self.note(session, session.given | gone if session.others else session.given - gone)
        self.swept()

    def leave(self, session, how):
        """End a session; what the peer hears of it."""
        peer, ledger = session.peer, self.office.ledger
        limit = ledger._limit
        if how == "fail":
            ledger._limit = 0  # as where too much waits
        peer.say(b"QUIT" if how == "break off" else b"QUIT\r\n")  # without an end it is no command
        ledger._limit = limit
        if how in ("vanish", "break off"):
            peer.leave()
        if how == "vanish" and session.view is not None and session.marked:
            name = b"alice" if session.view == MAIN else b"alice#" + session.view.encode()
            other, answer = self.enter(name, SECRET)
            assert answer.startswith(b"-ERR [IN-USE]")  # until it is done
            other.leave()
        self.office.turn()
        answer = peer.heard()
        assert not peer.connected or peer.line.ending
        peer.leave()
        return answer

    # Of all that can be done the most is to be done in sessions.
    @rule(data=st.data())
    def open_another(self, data):
        self.open_view(data)

    @rule(data=st.data())
    def open_one_more(self, data):
        self.open_view(data)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def ask_again(self, data):
        self.ask(data)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), how=st.sampled_from(["quit", "vanish", "fail"]))
    def quit_another(self, data, how):
        self.quit(data, how)

    def days(self):
        """Half a day passes; no session is to last until its view lapses."""
        for session in list(self.sessions):
            if self.office.clock.seconds() - session.opened > DAY // 4:
                self.sessions.remove(session)
                self.leave(session, "break off")
                self.ended(session)
        super().days()

    @rule()
    def silence(self):
        """Nothing is heard for too long: nothing was deleted."""
        silent, self.sessions = self.sessions, []
        super().days()
        for session in silent:
            self.ended(session, later=DAY // 2)
        super().days()
        for session in silent:
            session.turned_out(b"-ERR nothing heard for too long")

    @rule(orderly=st.booleans())
    def restart(self, orderly):
        """The office ends under its sessions: nothing was deleted."""
        closed, self.sessions = self.sessions, []
        for session in closed:
            if orderly:
                session.peer.protocol.shut_down()
                session.turned_out(b"-ERR [SYS/TEMP]")
            session.peer.leave()
            self.ended(session)
        super().restart()

    def swept(self):
        """Time passes; who is logged in as a device that was taken away is turned out."""
        super().swept()
        for session in list(self.sessions):
            if session.device is None or session.device in self.views.values():
                assert session.peer.ask(b"NOOP\r\n").startswith(b"+OK")
            else:
                session.turned_out(b"-ERR [AUTH]")
                self.sessions.remove(session)

    # What each answer must be -------------------------------------------------------------------

    def stat(self, session, answers, _):
        sizes = [len(self.whole(session.numbers[at])) for at in session.left]
        assert answers.line() == b"+OK %d %d" % (len(sizes), sum(sizes))

    def list(self, session, answers, number):
        self.listed(session, answers, number, lambda n: b"%d" % len(self.whole(n)))

    def uidl(self, session, answers, number):
        self.listed(session, answers, number, lambda n: self.uidls.get(n, b""))

    def listed(self, session, answers, number, told):
        """One letter, or all that are left. A unique-id is learned when it is first heard."""
        if number is not None and number - 1 not in session.left:
            assert answers.line().startswith(b"-ERR")
            return
        line = answers.line()
        assert line.startswith(b"+OK")
        lines = answers.lines() if number is None else [line.removeprefix(b"+OK ")]
        which = session.left if number is None else [number - 1]
        assert [int(line.split()[0]) for line in lines] == [at + 1 for at in which]
        for at, line in zip(which, lines, strict=True):
            of, value = session.numbers[at], line.split()[1]
            if told(of) == b"":
                assert value not in self.uidls.values()
                self.uidls[of] = value
            assert value == told(of)

    def retr(self, session, answers, number):
        self.letter(session, answers, number, whole=True)

    def top(self, session, answers, number):
        self.letter(session, answers, number, whole=False)

    def letter(self, session, answers, number, *, whole):
        answer = answers.line()
        if number - 1 not in session.left:
            assert answer.startswith(b"-ERR")
            return
        of = session.numbers[number - 1]
        if of not in self.letters and answer.startswith(b"-ERR"):
            # A look at the latest holds nothing, and no view holds what is not kept any longer.
            assert session.view is None or self.retention.days
            assert answer.startswith(b"-ERR that letter has left")
            return
        assert answer.startswith(b"+OK")
        lines = answers.lines()
        right = self.whole(of).split(b"\r\n")[:-1]
        if whole:
            session.given.add(number - 1)
        elif b"" in right:
            right = right[: right.index(b"") + 2]  # the header, and one line of the body
        assert lines == right

    def dele(self, session, answers, number):
        there = number - 1 in session.left
        assert answers.line().startswith(b"+OK" if there else b"-ERR")
        if there:
            session.marked.add(number - 1)

    def rset(self, session, answers, _):
        assert answers.line().startswith(b"+OK")
        session.marked.clear()

    def noop(self, session, answers, _):
        assert answers.line().startswith(b"+OK")

    # ------------------------------------------------------------------------------------------

    def enter(self, login, secret):
        """Connect and log in: the peer, and the answer to PASS."""
        peer = Peer(self.factory, self.office.clock)
        assert peer.heard().startswith(b"+OK post.example.org ")
        user, answer, rest = peer.ask(b"USER %b\r\nPASS %b\r\n" % (login, secret)).split(b"\r\n")
        assert user.startswith(b"+OK")
        assert rest == b""
        return peer, answer

    def whole(self, number):
        body = self.bodies[number]
        return POSTMARK + body + (b"" if not body or body.endswith(b"\r\n") else b"\r\n")

    def ended(self, session, later=0):
        """Note what the session was given, as the office does."""
        self.note(session, session.given, later)

    def note(self, session, indexes, later=0):
        if session.view is not None:
            had = self.views[session.view].had
            for at in indexes:
                had.setdefault(session.numbers[at], int(self.office.clock.seconds()) + later)


class Answers:
    """What was heard, to be taken line by line."""

    def __init__(self, heard):
        self.left = heard.split(b"\r\n")

    @property
    def over(self):
        return self.left == [b""]

    def line(self):
        return self.left.pop(0)

    def lines(self):
        """A multi-line answer, without its end, its dots unstuffed (RFC 1939 §3)."""
        lines = []
        while (line := self.line()) != b".":
            lines.append(line.removeprefix(b"."))
        return lines


def password(name):
    return b"password of " + name.encode()


def line(verb, number):
    words = [verb] if number is None else [verb, str(number)]
    return " ".join([*words, "1"] if verb == "TOP" else words).encode() + b"\r\n"


TestDevices = Devices.TestCase
TestDevices.settings = settings(max_examples=50, stateful_step_count=50, deadline=None)
