"""A maildrop against a model of a few lines, whatever is done in whatever order."""

import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mailpost.store.delivery import ROW
from mailpost.store.sweeper import PAUSE, SOON

from .conftest import Office, now

SIZES = st.sampled_from([0, 3, 500, ROW - 20, ROW + 1])


class Maildrop(RuleBasedStateMachine):
    """The model: letters in their order, by unique-id; a session sees those of its beginning."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.office = Office(Path(self.folder.name) / "mail.db")
        self.account = self.office.accounts.add("alice", None)
        self.office.store.sweeper.start()
        self.sweep()
        self.letters = []
        self.session = None
        self.seen = []
        self.uidls = {}
        self.serial = 0

    def sweep(self):
        self.office.turn()
        self.office.clock.advance(SOON)
        for _ in range(8):
            self.office.turn()
            self.office.clock.advance(PAUSE)

    @rule(sizes=st.lists(SIZES, min_size=1, max_size=5))
    def deliver(self, sizes):
        waiting = []
        for size in sizes:
            self.serial += 1
            whole = b"%d %s\r\n" % (self.serial, b"x" * size)
            waiting.append(self.office.commit(whole, self.account, postmark=b""))
            self.letters.append(whole)
        self.office.turn()
        assert all(now(each)[0].reply.code == 250 for each in waiting)

    @precondition(lambda self: self.session is None)
    @rule()
    def open(self):
        self.session = self.office.open(self.account)
        self.seen = list(self.letters)

    @precondition(lambda self: self.session is not None)
    @rule(chance=st.randoms(use_true_random=False))
    def fetch(self, chance):
        if self.seen:
            index = chance.randrange(len(self.seen))
            assert self.office.fetch(self.session, index) == self.seen[index]

    @precondition(lambda self: self.session is not None)
    @rule()
    def compare(self):
        assert list(self.session.sizes) == [len(letter) for letter in self.seen]
        for index, letter in enumerate(self.seen):
            uidl = self.session.uidl(index)
            assert self.uidls.setdefault(uidl, letter) == letter

    @precondition(lambda self: self.session is not None)
    @rule(share=st.sampled_from([0.1, 0.5, 1.0]), chance=st.randoms(use_true_random=False))
    def quit(self, share, chance):
        gone = [index for index in range(len(self.seen)) if chance.random() < share]
        going = self.session.let_go(gone)
        self.office.turn()
        now(going)
        for index in gone:
            self.letters.remove(self.seen[index])
        self.hang_up()

    @precondition(lambda self: self.session is not None)
    @rule()
    def hang_up(self):
        self.session.close()
        self.session = None

    @rule()
    def restart(self):
        if self.session is not None:
            self.hang_up()
        self.office.restart()
        self.office.store.sweeper.start()
        self.sweep()

    @rule()
    def sweep_now(self):
        self.sweep()

    @precondition(lambda self: self.session is None)
    @invariant()
    def same_as_the_model(self):
        assert self.office.letters(self.account) == self.letters

    def teardown(self):
        self.office.store.close()
        self.folder.cleanup()


TestMaildrop = Maildrop.TestCase
TestMaildrop.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
