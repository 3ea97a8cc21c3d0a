"""Which kind of source a path is, found by looking."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.carrying.eml import Eml, in_folder
from mailpost.carrying.maildir import Maildir, is_maildir
from mailpost.carrying.mbox import Mbox
from mailpost.carrying.sidecar import Sidecar
from mailpost.carrying.source import SourceError
from mailpost.carrying.uidlists import UidlFormat

if TYPE_CHECKING:
    from pathlib import Path

    from mailpost.carrying.source import Source


def source_at(path: Path, *, uidl_format: str, quoting: str, folders: bool) -> Source:
    """Open what is there: a Maildir, a folder of ``.eml`` files, one of them, or an mbox.

    :param uidl_format: for a Maildir of Dovecot's: its ``pop3_uidl_format``.
    :param quoting: for an mbox: one of :data:`mailpost.carrying.mbox.FORMATS`.
    :param folders: of a Maildir: its folders' letters, too.
    :raises SourceError: it is none of these, or cannot be understood.
    :raises OSError: it cannot be read.
    """
    if not path.is_dir():
        if path.suffix.lower() == ".eml":
            return Eml([path], Sidecar.of_folder(path.parent))
        return Mbox(path, quoting)
    if is_maildir(path):
        return Maildir(path, UidlFormat(uidl_format), folders=folders)
    letters = in_folder(path)
    if letters:
        return Eml(letters, Sidecar.of_folder(path))
    below = [place.name for place in path.iterdir() if place.is_dir() and is_maildir(place)]
    hint = f"; there is a Maildir below: {path / min(below)}" if below else ""
    raise SourceError(f"{path} is neither a Maildir nor a folder of .eml files{hint}")
