"""The offices that faults strike are those of the river."""

from tests.river.conftest import make_office

__all__ = ["make_office"]
