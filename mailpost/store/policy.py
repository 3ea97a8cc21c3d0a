"""The policy of a store: what the office's configuration says of how letters are kept."""

from __future__ import annotations

from attrs import frozen

from mailpost.retention import NEVER, Retention
from mailpost.store.bin import BIN
from mailpost.store.lapsing import LAPSE
from mailpost.store.space import RESERVE


@frozen
class Policy:
    """What holds where nothing else is set.

    :ivar reserve: octets of disk that intake leaves free.
    :ivar lapse: seconds unopened, after which a view holds no letters while another one does.
    :ivar bin_keeps: seconds that deleted letters can come back; 0: there is no bin.
    :ivar quota: octets that a maildrop may hold; 0: any number.
    :ivar retention: for how long letters are kept.
    """

    reserve: int = RESERVE
    lapse: int = LAPSE
    bin_keeps: int = BIN
    quota: int = 0
    retention: Retention = NEVER


AS_IT_SHIPS = Policy()
