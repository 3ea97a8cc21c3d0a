"""Every seam between two rooms, as a small interface.

What may fail, and what a crash means, stands with each. A result written ``T | Deferred[T]`` may be
known at once: on the hot path a decision from memory costs no Deferred.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zope.interface import Attribute, Interface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.internet.defer import Deferred

    from mailpost.envelope import Address, Copy, Destination, Envelope, Group, Report, Traits
    from mailpost.outcome import Outcome, Sorted


class ISorter(Interface):
    """Sorting's face to intake: where does a letter for this address go?"""

    def sort(recipient: Address) -> Sorted | Deferred[Sorted]:
        """Decide at RCPT, so that what cannot be delivered is refused before it is sent.

        A Destination; a Group, where one recipient stands for several; Refused, or TryLater.
        Never raises; a Deferred never fails.
        """


class IDelivery(Interface):
    """The store's face to intake."""

    def has_room() -> bool:
        """Whether the reserve of free disk is untouched; if not, MAIL is answered 452 4.3.1."""

    def room_for(sorted_to: Destination | Group, octets: int) -> bool:
        """Whether a recipient's maildrop has room for a letter of so many octets; if not, 452 4.2.2 to RCPT.

        Never raises. A group has room where one of its maildrops has.

        :param octets: as the sender announced; 0: it did not.
        """

    def begin() -> ILetterDraft:
        """Begin to take a letter in. A draft that is never committed leaves nothing behind."""


class ILetterDraft(Interface):
    """A letter on its way into the store: nothing of it exists before :meth:`commit` has answered."""

    def write(chunk: bytes) -> Deferred[None] | None:
        """Take the next octets of the body.

        None: give more at once. A Deferred: the disk is behind, give no more until it fires; it fires
        with None also where writing failed, which :meth:`commit` then tells.
        """

    def commit(
        envelope: Envelope,
        copies: Sequence[Copy],
        traits: Traits,
        *,
        atomic: bool,
        report: Report | None = None,
    ) -> Deferred[Sequence[Outcome]]:
        """Keep the letter and its copies durably, in one transaction.

        Fires after the commit is synced, with one outcome per copy, in their order. With ``atomic``
        (SMTP) all are Delivered or none is, and then all are TryLater; without (LMTP) each stands for
        itself. Never fails. After a crash either all that was Delivered is there, or - where no
        outcome had been told - all or nothing of it.

        A report (RFC 3461) on an atomic letter is kept in the same transaction, so that there is one
        exactly where there is the letter. Its copies' outcomes are the last: where the maildrop that one
        is for has gone it is Refused, and the letter does not suffer for it.
        """

    def abort() -> None:
        """Forget the draft. Harmless after :meth:`commit` and when repeated."""


class ISender(Interface):
    """What a login for handing letters in gives: whose name may stand on them (RFC 6409 §6.1)."""

    name: str = Attribute("""The account's name, for the log.""")

    def may_send_as(address: Address) -> bool:
        """Whether a letter may come from this address."""


class IMaildrop(Interface):
    """What a POP3 login gives (an avatar in the sense of ``twisted.cred``): the right to open it."""

    def open() -> ISnapshot | Deferred[ISnapshot]:
        """Lock the maildrop and take a snapshot of what is in it (RFC 1939 §4).

        :raises MaildropInUse: another session has it open.
        :raises TemporaryFailure: it cannot be read just now. Both also through the Deferred.
        """


class ISnapshot(Interface):
    """An open maildrop, as it was when it was opened; letters are counted from 0 here."""

    sizes: Sequence[int] = Attribute("""Octets of each letter exactly as :meth:`fetch` gives it.""")

    def uidl(index: int) -> bytes:
        """The unique-id of a letter: 1 to 70 octets of 0x21 to 0x7E, for ever its own (RFC 1939 §7)."""

    def fetch(index: int) -> bytes | IPieces | Deferred[bytes | IPieces]:
        """A letter as it is to be sent: postmark and body, ending with CRLF, dots not stuffed.

        :raises TemporaryFailure: it cannot be read just now (also through the Deferred).
        :raises LetterGone: it has left the maildrop meanwhile (likewise).
        """

    def at_hand(indexes: Sequence[int]) -> Sequence[bytes]:
        """Those of these letters, from the first on, that are in memory: what :meth:`fetch` would give.

        Nothing is read. Where one is not in memory, none is given that comes after it.
        """

    def let_go(indexes: Sequence[int]) -> Deferred[None]:
        """Delete these letters from this view, in one synced transaction (RFC 1939 §6, UPDATE).

        Fires after the commit. Fails with TemporaryFailure, and then nothing was let go.
        """

    def close() -> None:
        """Release the lock. Harmless when repeated. Nothing is deleted by it."""


class IDowngrading(ISnapshot):
    """An open maildrop that has its letters for clients without UTF8, too (RFC 6856 §2).

    A snapshot that does not provide it is handed out as it is.
    """

    def downgrade() -> None:
        """From here on letters are given, and counted in ``sizes``, for a peer that did not say UTF8.

        Called once at most, before anything else is asked.
        """


class IRemembering(ISnapshot):
    """An open maildrop that keeps in mind which of its letters were collected, and when.

    A snapshot that does not provide it is not told, and keeps its letters until they are deleted.
    """

    days: int = Attribute(
        """For how many days letters are kept at least, whoever has collected them; 0: for ever."""
    )

    def given(marks: bytearray) -> None:
        """These letters were given whole, whatever was let go of; told once, before :meth:`close`.

        :param marks: an octet for each letter, 1 where it was given, else 0; the snapshot's from here on.

        Nobody waits for it; it never raises.
        """


class IPieces(Interface):
    """A letter too large to be held in memory, read piece by piece."""

    def read() -> bytes | Deferred[bytes]:
        """The next octets; ``b""`` after the last.

        :raises TemporaryFailure: they cannot be read just now (also through the Deferred).
        """

    def close() -> None:
        """Read no further. Harmless when repeated."""
