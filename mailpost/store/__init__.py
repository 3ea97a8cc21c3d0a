"""The store: keeps letters durably, and decides who may open a maildrop, what is in it, what is gone.

A maildrop is a log; a view is a cursor. A letter is kept octet for octet as it came, once, however many
recipients it has; each recipient's copy adds its postmark. Start with :mod:`mailpost.store.store`, then
follow a letter: ``delivery`` gathers it, ``posting`` enters it, ``ledger`` commits it, ``views`` and
``snapshot`` show it, ``sweeper`` takes it away.
"""

from mailpost.store.accounts import Account, Listed
from mailpost.store.addresses import (
    SEPARATOR,
    AddressBook,
    Addresses,
    AddressRegister,
    Alias,
    Domain,
    Domains,
    Found,
)
from mailpost.store.bin import BIN, Binned
from mailpost.store.devices import Device, ListedDevice, Rights
from mailpost.store.errors import (
    BadAddress,
    DiskFull,
    DuplicateName,
    NewerStore,
    NoStore,
    NoSuchBan,
    NoSuchName,
    NotAStore,
    StoreError,
    UnusableStore,
)
from mailpost.store.fetched import Fetched
from mailpost.store.keeping import Rules
from mailpost.store.lapsing import DAY
from mailpost.store.overview import ListedMaildrop, ListedView
from mailpost.store.policy import Policy
from mailpost.store.store import Store, create_store, open_store, serving

__all__ = [
    "BIN",
    "DAY",
    "SEPARATOR",
    "Account",
    "AddressBook",
    "AddressRegister",
    "Addresses",
    "Alias",
    "BadAddress",
    "Binned",
    "Device",
    "DiskFull",
    "Domain",
    "Domains",
    "DuplicateName",
    "Fetched",
    "Found",
    "Listed",
    "ListedDevice",
    "ListedMaildrop",
    "ListedView",
    "NewerStore",
    "NoStore",
    "NoSuchBan",
    "NoSuchName",
    "NotAStore",
    "Policy",
    "Rights",
    "Rules",
    "Store",
    "StoreError",
    "UnusableStore",
    "create_store",
    "open_store",
    "serving",
]
