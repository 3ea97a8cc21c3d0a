"""The end of a letter's way through intake: it is kept, with the report on it, and logged."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from mailpost.envelope import Report, Traits, new_trace
from mailpost.logs import EventLogger
from mailpost.outcome import Delivered, Outcome, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Destination, Group
    from mailpost.intake.desk import Desk
    from mailpost.intake.letter import LetterUnderWay
    from mailpost.outcome import TryLater
    from mailpost.wire.reply import Reply
    from mailpost.wire.smtp_events import LetterReceived

_log = EventLogger(namespace="mailpost.intake")


@frozen
class Kept:
    """What became of a letter.

    :ivar outcomes: one for each recipient that was accepted, in their order.
    :ivar reported: what became of the report on it; None: none was asked for.
    """

    outcomes: Sequence[Outcome]
    reported: Outcome | None = None

    @property
    def failed(self) -> TryLater | Refused | None:
        """The first outcome that is none."""
        return next((one for one in self.outcomes if not isinstance(one, Delivered)), None)


def keep(
    letter: LetterUnderWay,
    event: LetterReceived,
    desk: Desk,
    now: float,
    sender: Destination | Group | Refused | None = None,
) -> Deferred[Kept]:
    """Have a letter kept, and in the same transaction the report on it, if one was asked for.

    :param now: seconds since the epoch.
    :param sender: where the report is to go; Refused: its account has been removed meanwhile.
    """
    added = b""
    if desk.submission and not (event.dated and event.identified):
        added = desk.postmarks.complete(
            letter.envelope, now, dated=event.dated, identified=event.identified
        )
    traits = Traits(
        eight_bit=event.eight_bit,
        utf8=letter.envelope.protocol.startswith("UTF8"),
        final_crlf=event.final_crlf,
    )
    told: Report | Refused | None = None
    if isinstance(sender, Refused):
        told = sender
    elif letter.report is not None:
        assert sender is not None
        told = desk.reports.write(new_trace(), letter.envelope, sender, letter.report, added, now)
    report = told if isinstance(told, Report) else None
    committed = letter.commit(desk.postmarks, added, now, traits, atomic=desk.atomic, report=report)
    return committed.addCallback(_kept, told)


def _kept(outcomes: Sequence[Outcome], told: Report | Refused | None) -> Kept:
    if not isinstance(told, Report):
        return Kept(outcomes, told)
    of_letter = len(outcomes) - len(told.copies)
    of_report = outcomes[of_letter:]
    reported = next((one for one in of_report if isinstance(one, Delivered)), of_report[-1])
    return Kept(outcomes[:of_letter], reported)


def log_letter(letter: LetterUnderWay, peer: str, octets: int, kept: Kept) -> None:
    """Write a letter's line, and its report's."""
    failed, reported, envelope = kept.failed, kept.reported, letter.envelope
    _log.info(
        "letter {trace} from <{sender}> to {recipients}, {octets} octets, by {peer}: {outcome}",
        trace=envelope.trace,
        sender=envelope.reverse_path or "",
        recipients=letter.names,
        octets=octets,
        peer=peer,
        outcome="kept" if failed is None else _why(failed),
    )
    if failed is None and reported is not None:
        _log.info(
            "report on letter {trace} to <{sender}>: {outcome}",
            trace=envelope.trace,
            sender=envelope.reverse_path,
            outcome="kept" if isinstance(reported, Delivered) else _why(reported),
        )


def log_refusal(letter: LetterUnderWay, peer: str, refusal: Reply) -> None:
    """Write the line of a letter that was refused for what it is."""
    _log.info(
        "letter {trace} from <{sender}> to {recipients}, by {peer}: {outcome}",
        trace=letter.envelope.trace,
        sender=letter.envelope.reverse_path or "",
        recipients=letter.names,
        peer=peer,
        outcome=str(refusal),
    )


def _why(outcome: TryLater | Refused) -> str:
    return f"{outcome.reply} ({outcome.reason})"
