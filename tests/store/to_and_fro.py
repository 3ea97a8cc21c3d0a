"""A process that moves all letters of an account into the bin and back, as fast as it can.

Run by the crash tests: ``python to_and_fro.py STORE NAME SEED``. It says ``D round`` after each round.
"""

import itertools
import os
import sys

from twisted.internet.defer import execute
from twisted.internet.task import Clock

from mailpost.retention import Retention
from mailpost.store import open_store
from mailpost.store.lapsing import DAY


def main(path, name, seed):
    clock = Clock()
    clock.advance(2_000_000_000 + 1000 * int(seed) * DAY)
    store = open_store(
        path,
        clock=clock,
        call_in_reactor=lambda function, *args: function(*args),
        defer_to_thread=execute,
    )
    account = store.accounts.find(name)
    for turn in itertools.count():
        clock.advance(2 * DAY)
        store.keeping.expire(account, Retention(1))
        store.bin.undelete(account)
        os.write(1, b"D %d\n" % turn)


if __name__ == "__main__":
    main(*sys.argv[1:])
