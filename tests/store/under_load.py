"""A process that delivers and lets go as fast as it can, and says what it was promised.

Run by the crash tests: ``python under_load.py STORE NAME SEED``. Each line it writes was true before:
``D id``, the letter was accepted; ``T id``, it is about to be let go; ``G id``, it was let go.
"""

import os
import queue
import random
import sys

from twisted.internet.defer import execute
from twisted.internet.task import Clock

from mailpost.envelope import Copy, Envelope, Traits
from mailpost.store import open_store

SIZES = (20, 300, 4096, 20_000, 70_000, 600_000)
WEIGHTS = (5, 5, 20, 3, 1, 0.2)


def body(name):
    """The letter of this name: its size and all its octets follow from it."""
    chance = random.Random(name)
    (size,) = chance.choices(SIZES, WEIGHTS)
    return b"%s\r\n%s\r\n" % (name.encode(), chance.randbytes(size // 2).hex().encode())


def tell(what, names):
    os.write(1, "".join(f"{what} {name}\n" for name in names).encode())


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
        self.name = f"{name}-{seed}"
        self.serial = 0
        self.store.start()

    def deliver(self):
        self.serial += 1
        name = f"{self.name}-{self.serial}"
        whole = body(name)
        draft = self.store.delivery.begin()
        for start in range(0, len(whole), 60_000):
            draft.write(whole[start : start + 60_000])
        copies = [Copy(self.account.maildrop, b"")]
        done = draft.commit(Envelope(name, None), copies, Traits(), atomic=True)
        done.addCallback(lambda outcomes: self.delivered(name, outcomes))

    def delivered(self, name, outcomes):
        if outcomes[0].reply.code == 250:
            tell("D", [name])
        self.deliver()

    def collect(self):
        snapshot = self.store.maildrop(self.account).open()
        assert not hasattr(snapshot, "addCallback") or snapshot.called
        snapshot = getattr(snapshot, "result", snapshot)
        number = len(snapshot.sizes)
        chosen = [index for index in range(number) if self.chance.random() < 0.7]
        names = []
        for index in chosen:
            letter = snapshot.fetch(index)
            letter = getattr(letter, "result", letter)
            if not isinstance(letter, bytes):
                pieces = letter
                letter = pieces.read().result
                pieces.close()
            names.append(letter.split(b"\r\n")[0].decode())
        tell("T", names)
        going = snapshot.let_go(chosen)

        def gone(_):
            tell("G", names)
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
            if turns % 40 == 0 and not self.store._locks._held & {self.account.view}:
                self.collect()


if __name__ == "__main__":
    Load(sys.argv[1], sys.argv[2], sys.argv[3]).run()
