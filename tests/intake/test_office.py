"""The rooms that these tests put around intake are what intake is made for."""

from __future__ import annotations

from zope.interface.verify import verifyObject

from mailpost.interfaces import IDelivery, ILetterDraft, ISorter

from .office import Office


def test_interfaces() -> None:
    """Sorter, delivery and draft provide the interfaces that they stand in for."""
    office = Office()
    assert verifyObject(ISorter, office.sorter)
    assert verifyObject(IDelivery, office.delivery)
    assert verifyObject(ILetterDraft, office.delivery.begin())
