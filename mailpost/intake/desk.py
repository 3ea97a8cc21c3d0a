"""The desk: what every connection of a listener takes letters in with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define

if TYPE_CHECKING:
    from mailpost.accounts.entrance import Entrance
    from mailpost.intake.allowance import Allowance
    from mailpost.intake.postmarks import Postmarks
    from mailpost.intake.reports import Reports
    from mailpost.interfaces import IDelivery, ISorter


@define
class Desk:
    """Shared by the connections of a listener.

    :ivar sorter: decides at RCPT.
    :ivar delivery: keeps what is handed in.
    :ivar entrance: where a login is asked; None: nobody can log in.
    :ivar atomic: whether all recipients of a letter are served, or none is.
    :ivar submission: whether letters come from their authors: what they lack is added (RFC 6409).
    :ivar allowance: how much those who log in may hand in; None: as much as they like.
    """

    sorter: ISorter
    delivery: IDelivery
    postmarks: Postmarks
    reports: Reports
    entrance: Entrance | None
    atomic: bool
    submission: bool
    allowance: Allowance | None = None
