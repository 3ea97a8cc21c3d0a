"""Carrying: letters come here from elsewhere, and are carried away again.

``incoming`` brings what a source has into a maildrop: a Maildir (``maildir``, with the lists of unique-ids
that Dovecot and Courier keep beside it, ``uidlists``), an mbox (``mbox``), ``.eml`` files (``eml``), or
another POP3 server (``pop3``); ``looking`` finds out which it is. ``outgoing`` writes what a view shows in
the same formats. Nothing comes twice, in either direction, and what was broken off goes on.

All of it blocks: it serves the command line, where no reactor runs.
"""

from mailpost.carrying.source import Letter, Source, SourceError, SourceGone

__all__ = ["Letter", "Source", "SourceError", "SourceGone"]
