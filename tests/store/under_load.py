"""A process that delivers and lets go as fast as it can, and says what it was promised.

Run by the crash tests: ``python under_load.py STORE NAME SEED``. Its lines are those of a history
(tests.faults.history), each written before anything else happens.
"""

import json
import os
import queue
import random
import sys

from twisted.internet.defer import execute
from twisted.internet.task import Clock

from mailpost.envelope import Copy, Envelope, Traits
from mailpost.store import open_store
from mailpost.store.delivery import ROW
from tests.faults.history import Telling
from tests.faults.letters import body_of

SIZES = (20, 300, 4096, 20_000, ROW + 5_000, 600_000)
WEIGHTS = (5, 5, 20, 3, 1, 0.2)


class Told(Telling):
    """A history that is written to standard output."""

    def tell(self, event):
        os.write(1, json.dumps(event).encode() + b"\n")


class Load:
    def __init__(self, path, name, seed):
        self.answers = queue.SimpleQueue()
        self.chance = random.Random(seed)
        self.clock = Clock()
        self.store = open_store(
            path,
            clock=self.clock,
            call_in_reactor=lambda function, *args: self.answers.put((function, args)),
            defer_to_thread=execute,
        )
        self.account = self.store.accounts.find(name)
        self.user = name
        self.name = f"{name}-{seed}"
        self.told = Told(self.name + "-")
        self.serial = 0
        self.store.start()

    def deliver(self):
        self.serial += 1
        name = f"{self.name}-{self.serial}"
        (size,) = self.chance.choices(SIZES, WEIGHTS)
        whole = body_of(name, size)
        attempt = self.told.sending(name, [self.user], whole)
        draft = self.store.delivery.begin()
        for start in range(0, len(whole), 60_000):
            draft.write(whole[start : start + 60_000])
        copies = [Copy(self.account.maildrop, b"")]
        done = draft.commit(Envelope(name, None), copies, Traits(), atomic=True)
        done.addCallback(lambda outcomes: self.delivered(attempt, outcomes))

    def delivered(self, attempt, outcomes):
        self.told.answered(attempt, b"%d" % outcomes[0].reply.code)
        self.deliver()

    def collect(self):
        session = self.told.opening(self.user)
        snapshot = self.store.maildrop(self.account).open()
        assert not hasattr(snapshot, "addCallback") or snapshot.called
        snapshot = getattr(snapshot, "result", snapshot)
        uidls = [snapshot.uidl(index) for index in range(len(snapshot.sizes))]
        self.told.listed(session, uidls)
        chosen = [index for index in range(len(uidls)) if self.chance.random() < 0.7]
        for index in chosen:
            letter = snapshot.fetch(index)
            letter = getattr(letter, "result", letter)
            if not isinstance(letter, bytes):
                pieces = letter
                letter = b""
                while piece := getattr(read := pieces.read(), "result", read):
                    letter += piece
                pieces.close()
            self.told.read(session, uidls[index], letter)
        self.told.quitting(session, [uidls[index] for index in chosen])
        going = snapshot.let_go(chosen)

        def gone(_):
            self.told.quit(session, b"+OK")
            self.told.closed(session)
            snapshot.close()

        going.addCallback(gone)

    def run(self):
        for _ in range(12):
            self.deliver()
        turns = 0
        while True:
            function, args = self.answers.get()
            function(*args)
            self.clock.advance(0.02)
            turns += 1
            if turns % 20 == 0 and not self.store._locks._held & {self.account.view}:
                self.collect()


if __name__ == "__main__":
    Load(sys.argv[1], sys.argv[2], sys.argv[3]).run()
