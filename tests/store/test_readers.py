"""Connections that read, shared by threads."""

import pytest

from mailpost.outcome import TemporaryFailure
from mailpost.store.sqlite import Engine


def test_connections_are_used_again(office):
    """One who reads after another uses the same connection; two at once have one each."""
    readers = office.store._readers
    first = readers.call(lambda db: db)
    assert readers.call(lambda db: db) is first
    assert readers.call(lambda db: readers.call(lambda other: other is db)) is False


def test_closed_while_reading(office):
    """Who is reading when the store is closed reads on; then nobody does."""
    readers = office.store._readers

    def read(db):
        readers.close()
        return db.execute("SELECT 1").get

    assert readers.call(read) == 1
    with pytest.raises(TemporaryFailure):
        readers.call(read)


def test_store_that_has_gone(office, monkeypatch):
    """A database that cannot be opened any more is a temporary failure."""
    engine = Engine(office.path.with_name("gone.db"))
    monkeypatch.setattr(office.store._readers, "_engine", engine)
    with pytest.raises(TemporaryFailure, match="cannot be read"):
        office.store._readers.call(lambda db: None)
