"""The rooms that these tests put around collection are what collection is made for."""

from __future__ import annotations

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.portal import IRealm
from zope.interface.verify import verifyObject

from mailpost.interfaces import IMaildrop, IPieces, ISnapshot

from .office import Office, Pieces


def test_interfaces() -> None:
    """Maildrop, snapshot, pieces, realm and checker provide what they stand in for."""
    office = Office()
    assert verifyObject(IMaildrop, office.maildrop)
    assert verifyObject(ISnapshot, office.maildrop.open())
    assert verifyObject(IPieces, Pieces())
    assert verifyObject(IRealm, office.realm)
    assert verifyObject(ICredentialsChecker, office.checker)
