"""What can be wrong with a store, each told in one sentence that says what to do.

::

    StoreError                    a person has to do something
     +-- NoStore                  there is none at this path
     +-- NotAStore                the file is something else
     +-- NewerStore               made by a newer mailpost
     +-- UnusableStore            folder, file system or library will not do
     +-- DuplicateName            an account of this name exists
     +-- NoSuchName               no account of this name exists
     +-- NoSuchBan                this network is not banned
     +-- BadAddress               an address, a domain or an alias that cannot be as it is asked for
    TemporaryFailure              (mailpost.outcome) it should work, and does not just now
     +-- DiskFull                 there is no room to write
     +-- InDoubt                  a write failed; after a crash it might be found done all the same
"""

from __future__ import annotations

from mailpost.outcome import TemporaryFailure


class StoreError(Exception):
    """Something about the store that a person has to put right."""


class NoStore(StoreError):  # noqa: N818 - reads as what it tells
    """There is no store at this path."""


class NotAStore(StoreError):  # noqa: N818
    """The file at this path is not a mailpost store."""


class NewerStore(StoreError):  # noqa: N818
    """The store was made, or last opened, by a newer mailpost."""


class UnusableStore(StoreError):  # noqa: N818
    """The folder, the file system or the SQLite library cannot keep what a store promises."""


class DuplicateName(StoreError):  # noqa: N818
    """An account of this name exists already."""


class NoSuchName(StoreError):  # noqa: N818
    """There is no account of this name."""


class NoSuchBan(StoreError):  # noqa: N818
    """This very network is not banned."""


class BadAddress(StoreError):  # noqa: N818
    """An address, a domain or an alias cannot be as it is asked for; nothing was changed."""


class DiskFull(TemporaryFailure):
    """There is no room on the disk to write this."""


class InDoubt(TemporaryFailure):
    """A write or a sync failed, and nobody knows what of it has reached the disk.

    It is not promised, and not to be counted on; but after a crash it might be found complete, so that
    nothing it would need may be thrown away.
    """
