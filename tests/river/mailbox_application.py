"""An application of its own around mailpost's POP3 server: a realm written for ``twisted.mail.pop3``.

Usage: ``python mailbox_application.py PORT``. Each letter is a file with the line ends of UNIX; what is
deleted is a file less, at QUIT. Nothing of mailpost's but :class:`~mailpost.collection.POP3Factory` is used.
"""

from __future__ import annotations

import io
import sys

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import endpoints, reactor
from twisted.mail.pop3 import IMailbox
from zope.interface import implementer

from mailpost.collection import POP3Factory

LETTERS = (b"Subject: one\n\nfirst\n.\n..\n", b"Subject: two\n\nsecond, without an end of line")


@implementer(IMailbox)
class Mailbox:
    """Letters in memory, in the manner of ``twisted.mail.pop3.Mailbox``."""

    def __init__(self) -> None:
        self.letters: list[bytes | None] = [*LETTERS]
        self._marked: set[int] = set()

    def listMessages(self, index=None):
        """Sizes; 0 is a letter that is deleted."""
        sizes = [
            0 if letter is None or n in self._marked else len(letter)
            for n, letter in enumerate(self.letters)
        ]
        return sizes if index is None else sizes[index]

    def getMessage(self, index):
        """A letter, as a file."""
        letter = self.letters[index]
        if letter is None:
            raise ValueError(index)
        return io.BytesIO(letter)

    def getUidl(self, index):
        """A letter's unique-id."""
        return b"letter-%d" % index

    def deleteMessage(self, index):
        """Mark one."""
        self._marked.add(index)

    def undeleteMessages(self):
        """Mark none."""
        self._marked.clear()

    def sync(self):
        """Delete what is marked."""
        for index in self._marked:
            self.letters[index] = None
        self._marked.clear()


@implementer(IRealm)
class Realm:
    """Gives each user the mailbox that is theirs."""

    def __init__(self) -> None:
        self._mailboxes: dict[bytes, Mailbox] = {}

    def requestAvatar(self, avatarId, mind, *interfaces):
        """A mailbox, if one is asked for."""
        if IMailbox not in interfaces:
            raise NotImplementedError("this realm has mailboxes only")
        return IMailbox, self._mailboxes.setdefault(avatarId, Mailbox()), lambda: None


def main() -> None:
    """Serve until the end."""
    portal = Portal(Realm(), [InMemoryUsernamePasswordDatabaseDontUse(alice=b"wonderland")])
    factory = POP3Factory("pop.example.org", portal, reactor)
    endpoint = endpoints.TCP4ServerEndpoint(reactor, int(sys.argv[1]), interface="127.0.0.1")
    endpoint.listen(factory)
    reactor.run()


if __name__ == "__main__":
    main()
