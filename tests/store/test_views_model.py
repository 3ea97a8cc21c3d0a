"""Whatever is done to the views of a maildrop: no letter is lost, and none is kept for nobody."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailpost.retention import NEVER, Retention
from mailpost.store import sweeper
from mailpost.store.lapsing import DAY

from .conftest import Office, now
from .test_sweeper import sweep

LAPSE = 2 * DAY
BIN = 3 * DAY
MAIN = "main"


class View:
    """What the model knows of a view: which letters it has let go of, and had when; whether it holds any."""

    def __init__(self, view, gone, opened):
        self.view = view
        self.gone = set(gone)
        self.had = {}
        self.opened = opened
        self.living = opened is not None


class Maildrop(RuleBasedStateMachine):
    """A maildrop of several views, beside a model in which a letter is a number in a set."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self.folder.name) / "mail.db", lapse=LAPSE, bin_keeps=BIN)
        self.again, sweeper.AGAIN = sweeper.AGAIN, DAY // 2
        self.start()
        self.account = self.office.accounts.add("alice")
        self.letters = {}  # number: when it arrived
        self.bin = {}  # number: when it went there
        self.bodies = {}
        self.retention = NEVER
        self.count = 0
        self.views = {MAIN: View(self.account.view, (), None)}
        self.open = {}  # view's name: snapshot, the numbers that it shows, whether there are other views
        for _ in range(16):
            self.days()  # until the clock is believed

    def start(self):
        # What a crash leaves is tested elsewhere; thousands of syncs would take a minute.
        self.office.ledger._writer._db.execute("PRAGMA synchronous=OFF")
        self.office.store.sweeper.start()

    def teardown(self):
        self.office.store.close()
        sweeper.AGAIN = self.again
        self.folder.cleanup()

    def digest(self, name):
        """What is kept of a device's password; nobody logs in here."""
        return b""

    def holding(self):
        views = list(self.views.values())
        return [view for view in views if view.living] or views

    def expired(self, number):
        """Whether the maildrop's retention does not keep a letter any more."""
        before = int(self.office.clock.seconds()) - self.retention.days * DAY
        if not self.retention.days or self.letters[number] >= before:
            return False
        return not self.retention.collected or all(
            view.had.get(number, 0 if number in view.gone else before) < before
            for view in self.holding()
        )

    def swept(self):
        sweep(self.office)
        holding = self.holding()
        gone = {number for number in self.letters if all(number in view.gone for view in holding)}
        self.letters = {
            number: arrived for number, arrived in self.letters.items() if number not in gone
        }
        for number, when in self.office.rows("SELECT number, gone FROM bin"):
            if number in gone:  # to a second or two: the sweeper takes its time
                assert 0 <= self.office.clock.seconds() - when < 5
                self.bin[number] = when

    def shown(self, view):
        return [number for number in sorted(self.letters) if number not in view.gone]

    @rule()
    def deliver(self):
        self.office.deliver(b"%d\r\n" % self.count, self.account)
        self.count += 1
        self.letters[self.count] = int(self.office.clock.seconds())
        self.bodies[self.count] = b"%d\r\n" % (self.count - 1)

    @rule(days=st.sampled_from([0, 1, 2, None]))
    def undelete(self, days):
        """What was deleted within so many days, or ever, is there again, below a new number."""
        now_ = int(self.office.clock.seconds())
        since = 0 if days is None else now_ - days * DAY
        back = sorted(number for number, gone in self.bin.items() if gone >= since)
        assert [one.number for one in self.office.store.bin.of(self.account, since)] == back
        assert self.office.store.bin.undelete(self.account, since) == len(back)
        for number in back:
            del self.bin[number]
            self.count += 1
            self.letters[self.count] = now_
            self.bodies[self.count] = self.bodies[number]

    @precondition(lambda self: len(self.views) < 5)
    @rule(days=st.sampled_from([None, 0, 2, 1000]), name=st.sampled_from("abcdef"))
    def add_device(self, days, name):
        if name in self.views:
            return
        made = int(self.office.clock.seconds())
        since = None if days is None else made - days * DAY
        digest = self.digest(name)
        device = self.office.store.devices.add(self.account, name, digest=digest, since=since)
        before = made + 1 if since is None else since
        gone = {number for number, arrived in self.letters.items() if arrived < before}
        for view in self.views.values():
            if view.living:
                view.opened = max(view.opened, made)
        self.views[name] = View(device.view, gone, made)
        # The first view that lives lets go of what the main one, never opened, does not hold.
        self.office.store.sweeper.search()
        self.lapsed()

    @precondition(lambda self: len(self.views) > 1)
    @rule(data=st.data())
    def remove_device(self, data):
        name = data.draw(st.sampled_from(sorted(set(self.views) - {MAIN})))
        self.office.store.devices.remove(self.account, name)
        del self.views[name]
        if name in self.open:
            self.open.pop(name)[0].close()
        self.office.store.sweeper.search()
        self.lapsed()

    @rule(data=st.data())
    def open_view(self, data):
        name = data.draw(st.sampled_from(sorted(self.views)))
        if name in self.open:
            return
        view = self.views[name]
        snapshot = now(self.office.store.maildrop(self.account, view.view).open())
        numbers = [int(snapshot.uidl(n).split(b".")[2], 16) for n in range(len(snapshot.sizes))]
        assert numbers == self.shown(view)
        self.office.turn()
        opened = int(self.office.clock.seconds())
        if not view.living or opened - view.opened > DAY:
            view.opened = opened
        returned = not view.living
        view.living = True
        for index, number in enumerate(numbers):
            assert self.office.fetch(snapshot, index).endswith(b"\r\n" + self.bodies[number])
        self.open[name] = snapshot, numbers, len(self.views) > 1
        if (
            returned
        ):  # where none lived it is the only one that holds letters now: the next search sees it
            self.office.store.sweeper.search()
            self.lapsed()
        else:
            self.swept()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), commit=st.booleans())
    def quit(self, data, commit):
        name = data.draw(st.sampled_from(sorted(self.open)))
        snapshot, numbers, others = self.open.pop(name)
        everything = st.just(range(len(numbers)))
        some = st.lists(
            st.integers(0, max(0, len(numbers) - 1)), max_size=len(numbers), unique=True
        )
        given = data.draw(everything | some)
        gone = data.draw(everything | some) if commit else ()
        if given:
            snapshot.given(bytearray(index in given for index in range(len(numbers))))
        going = snapshot.let_go(gone)
        self.office.turn()
        now(going)
        snapshot.close()
        self.office.turn()
        view = self.views[name]
        view.gone.update(numbers[index] for index in gone)
        for index in {*given, *gone} if others else {*given}.difference(gone):
            view.had.setdefault(numbers[index], int(self.office.clock.seconds()))
        self.swept()

    @rule()
    def days(self):
        """Half a day passes; what was not opened for long lapses."""
        self.office.clock.advance(DAY // 2)
        self.office.turn()
        self.lapsed()

    def lapsed(self):
        binned = int(self.office.clock.seconds()) - BIN
        self.bin = {number: gone for number, gone in self.bin.items() if gone >= binned}
        before = int(self.office.clock.seconds()) - LAPSE
        living = [view for view in self.views.values() if view.living]
        if any(view.opened >= before for view in living):
            for view in living:
                view.living = view.opened >= before
        for number in [number for number in self.letters if self.expired(number)]:
            self.bin[number] = int(self.office.clock.seconds())
            del self.letters[number]
        self.swept()

    @rule(
        retention=st.sampled_from([NEVER, Retention(2), Retention(4), Retention(2, collected=True)])
    )
    def keep_for(self, retention):
        self.office.store.keeping.set_retention(self.account, retention)
        self.retention = retention

    @rule()
    def many_days(self):
        for _ in range(4):
            self.days()

    @rule()
    def restart(self):
        """The office is closed and opened: sessions have ended without QUIT."""
        for snapshot, _, _ in self.open.values():
            snapshot.close()
        self.open.clear()
        self.office.restart()
        self.start()
        self.lapsed()

    @invariant()
    def what_is_kept_is_what_somebody_still_has(self):
        kept = {number for (number,) in self.office.rows("SELECT number FROM entry")}
        assert kept == set(self.letters)
        counted = self.office.rows(
            "SELECT letters FROM maildrop WHERE maildrop = ?", self.account.maildrop
        )
        assert counted == [(len(kept),)]

    @invariant()
    def what_has_left_is_in_the_bin(self):
        assert dict(self.office.rows("SELECT number, gone FROM bin")) == self.bin
        copies = self.office.rows("SELECT count(*), sum(copies) FROM letter")
        assert copies[0][0] == len(self.letters) + len(self.bin)
        assert copies[0][1] in (None, copies[0][0])

    @invariant()
    def every_view_shows_what_it_has_not_let_go_of(self):
        for view in self.views.values():
            snapshot_of = self.office.rows(
                "SELECT e.number FROM entry e JOIN view v ON v.maildrop = e.maildrop"
                " WHERE v.view = ? AND e.number > v.floor AND e.number NOT IN"
                " (SELECT number FROM exception WHERE view = v.view) ORDER BY e.number",
                view.view,
            )
            assert [number for (number,) in snapshot_of] == self.shown(view)

    @invariant()
    def nothing_lists_what_is_gone(self):
        orphans = self.office.rows(
            "SELECT count(*) FROM exception WHERE number NOT IN (SELECT number FROM entry)"
            " OR view NOT IN (SELECT view FROM view)"
        )
        assert orphans == [(0,)]

    @invariant()
    def what_was_collected_is_known(self):
        names = {view.view: view for view in self.views.values()}
        for number in self.letters:
            told = self.office.store.fetched_by(self.account, number)
            assert {one.view for one in told} == set(names)
            for one in told:
                view = names[one.view]
                assert one.let_go == (number in view.gone)
                assert one.holds == (view in self.holding())
                if number in view.had or not one.let_go:
                    assert one.when == view.had.get(number)
        kept = max(1, len(self.letters)) * len(names)
        assert self.office.rows("SELECT count(*) <= ? FROM fetched", kept) == [(1,)]


TestMaildrop = Maildrop.TestCase
TestMaildrop.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
