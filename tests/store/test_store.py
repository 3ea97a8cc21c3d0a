"""A store is made, opened, closed and opened again; what cannot be used is refused in one sentence."""

import os
import stat
from string import Template

import apsw
import pytest
from twisted.internet.defer import execute
from twisted.internet.task import Clock

from mailpost.store import (
    NewerStore,
    NoStore,
    NotAStore,
    StoreError,
    UnusableStore,
    create_store,
    open_store,
    schema,
    sqlite,
)
from mailpost.store.sqlite import Engine, file_system

from .conftest import Office


def files(folder):
    return sorted(folder.rglob("*"))


def test_new_store_has_a_postmaster(office):
    """Every office has a postmaster, who has no password (RFC 5321 §4.5.1)."""
    postmaster = office.accounts.find("postmaster")
    assert postmaster.password is None
    assert [listed.account for listed in office.accounts.all()] == [postmaster]


def test_files_are_the_owners_alone(office, alice, tmp_path):
    """Nobody but its owner can read anything of a store."""
    office.deliver(b"x" * 100_000, alice)
    for path in files(tmp_path):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_creating_leaves_nothing_else_behind(tmp_path):
    """Where a store is made there is one file."""
    create_store(tmp_path / "mail.db")
    assert files(tmp_path) == [tmp_path / "mail.db"]


def test_create_never_overwrites(tmp_path):
    """What is there already is refused and left as it is."""
    path = tmp_path / "mail.db"
    path.write_bytes(b"precious")
    with pytest.raises(UnusableStore, match="exists already"):
        create_store(path)
    assert path.read_bytes() == b"precious"
    assert files(tmp_path) == [path]


def test_creation_that_fails_leaves_nothing(tmp_path, monkeypatch):
    """A store that could not be finished does not exist."""

    def fail(db):
        raise apsw.FullError("no room")

    monkeypatch.setattr(sqlite, "_migrate", fail)
    with pytest.raises(UnusableStore, match="cannot be made"):
        create_store(tmp_path / "mail.db")
    assert files(tmp_path) == []


def test_missing_store(tmp_path):
    """A store that is not there is told, with what to run."""
    with pytest.raises(NoStore, match="run mailpost init"):
        Engine(tmp_path / "mail.db").check()


def test_missing_folder(tmp_path):
    """So is a folder that is not there."""
    with pytest.raises(UnusableStore, match="there is no folder"):
        create_store(tmp_path / "nowhere" / "mail.db")


def test_not_a_database(tmp_path):
    """A file of another kind is refused, and not touched."""
    path = tmp_path / "mail.db"
    path.write_bytes(b"Dear diary, " * 1000)
    with pytest.raises(NotAStore, match="not a mailpost store"):
        Engine(path).check()
    assert path.read_bytes() == b"Dear diary, " * 1000


def test_database_of_somebody_else(tmp_path):
    """A database that another program made is refused."""
    path = tmp_path / "mail.db"
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE diary (day)")
    db.close()
    with pytest.raises(NotAStore, match="not one of mailpost's"):
        Engine(path).check()


def test_newer_store(office):
    """A store from a newer mailpost is refused: this one does not know what it would break."""
    office.store.close()
    db = apsw.Connection(str(office.path))
    db.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    db.close()
    with pytest.raises(NewerStore, match="newer mailpost"):
        office.open_store()


def test_older_store_is_brought_up_to_date(office, alice, monkeypatch):
    """A store that lacks a step takes it when it is opened, and keeps what it has."""
    office.deliver(b"hello\r\n", alice)
    office.store.close()
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, ("CREATE TABLE later (x BIGINT)",)))
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 1)
    office.open_store()
    assert office.rows("SELECT * FROM later") == []
    assert len(office.letters(alice)) == 1


@pytest.mark.parametrize("refused", ["mail.db", ""])
def test_unreadable(office, monkeypatch, refused):
    """A store, or a folder, that this user may not write is told."""
    office.store.close()
    barred = office.path.parent / refused
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != barred and access(path, mode))
    with pytest.raises(UnusableStore, match="by this user"):
        office.open_store()


def test_old_library(tmp_path, monkeypatch):
    """A SQLite that can lose commits is refused."""
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: "3.51.2")
    with pytest.raises(UnusableStore, match=r"3\.51\.3 or newer"):
        create_store(tmp_path / "mail.db")


def test_network_file_system(tmp_path, monkeypatch):
    """Where locks cannot be trusted no store is kept."""
    monkeypatch.setattr(sqlite, "file_system", lambda folder: "nfs4")
    with pytest.raises(UnusableStore, match="network file system"):
        create_store(tmp_path / "mail.db")


def test_file_system_is_that_of_the_nearest_mount(tmp_path):
    """The type is that of the mount a folder is on, also where its name has a space."""
    mounts = tmp_path / "mountinfo"
    place = tmp_path / "my mail"
    place.mkdir()
    escaped = str(place).replace(" ", "\\040")
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"2 1 0:50 / {escaped} rw,relatime shared:1 - nfs4 server:/mail rw\n"
    )
    assert file_system(place, mounts) == "nfs4"
    assert file_system(tmp_path, mounts) == "ext4"
    assert file_system(tmp_path, tmp_path / "missing") == ""


def test_everything_is_there_after_a_restart(office, alice):
    """Letters, accounts and unique-ids outlive the process."""
    office.deliver(b"hello\r\n", alice)
    snapshot = office.open(alice)
    uidl = snapshot.uidl(0)
    office.restart()
    snapshot = office.open(office.accounts.find("alice"))
    assert snapshot.uidl(0) == uidl
    assert office.accounts.find("alice") == alice


def test_close_is_repeatable_and_leaves_no_log(office, alice):
    """Closing twice is harmless; the last to close leaves the database whole, in one file."""
    office.deliver(b"hello\r\n", alice)
    office.store.close()
    office.store.close()
    assert not office.path.with_name("mail.db-wal").exists()


def test_every_error_is_a_store_error():
    """The command line catches one class."""
    for error in (NewerStore, NoStore, NotAStore, UnusableStore):
        assert issubclass(error, StoreError)


def test_settings_of_the_database(office):
    """A commit is synced when it returns, and pages can be given back."""
    writer = office.ledger._writer._db
    assert writer.pragma("journal_mode") == "wal"
    assert writer.pragma("synchronous") == 2  # FULL
    assert writer.pragma("auto_vacuum") == 2  # INCREMENTAL


def test_no_statement_is_prepared_anew(office, alice):
    """A letter comes and is collected, and again: what is bound to a statement is no reason to plan anew."""
    prepared = []

    def preparing(*what):  # SQLite asks whether it may, whenever it prepares
        prepared.append(what)
        return apsw.SQLITE_OK

    def day():
        office.deliver(b"one\r\n", alice)
        office.accounts.devices_of(alice)
        office.let_go(alice, 0)

    for db in (office.store._finder, office.ledger._writer._db):
        db.authorizer = preparing
    day()
    assert len(prepared) > 50
    prepared.clear()
    day()
    assert prepared == []


def test_create_where_there_is_none(tmp_path):
    """A store may be made as it is opened."""
    settings = {"clock": Clock(), "call_in_reactor": print, "defer_to_thread": execute}
    for _ in range(2):
        store = open_store(tmp_path / "mail.db", create=True, **settings)
        assert store.accounts.find("postmaster") is not None
        store.close()


def test_start_and_close(office, alice):
    """A store that works by itself stops within a moment."""
    office.deliver(b"hello\r\n", alice)
    office.store.start()
    office.store.close()
    assert office.clock.getDelayedCalls() == []


def test_system_without_mountinfo(monkeypatch, tmp_path):
    """Where the system does not tell what a folder is on, it is taken to be local."""
    monkeypatch.setattr(sqlite, "file_system", lambda folder: "")
    create_store(tmp_path / "mail.db")


def test_a_store_of_the_first_version(tmp_path):
    """It gets what was added since, and its secret, once; what it had stays."""
    path = tmp_path / "mail.db"
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode=WAL").fetchall()
    for statement in schema.STEPS[0]:
        db.execute(Template(statement).substitute(sqlite.DIALECT))
    db.execute("INSERT INTO office VALUES ('epoch', 'abcd')")
    db.execute("INSERT INTO maildrop (next) VALUES (1)")
    db.execute("INSERT INTO view (maildrop) VALUES (1)")
    db.execute("INSERT INTO account (name, password, maildrop, view) VALUES ('alice', 'x', 1, 1)")
    db.execute(f"PRAGMA application_id={schema.APPLICATION}; PRAGMA user_version=1")
    db.close()
    office = Office(path)
    account = office.accounts.find("alice")
    assert (account.password, account.scram, account.secret) == ("x", None, None)
    assert office.accounts.devices_of(account) == []
    # Whether it was ever collected from is not known, so it holds its letters.
    assert office.rows("SELECT living, opened FROM view") == [(1, None)]
    secret = office.store.secret
    assert office.store._room.epoch == b"abcd"
    office.restart()
    assert office.store.secret == secret
    office.store.close()


def test_secret(office, tmp_path):
    """32 octets, the same in every process and after each start, another in every store."""
    other = Office(office.path)
    assert other.store.secret == office.store.secret
    other.store.close()
    secret = office.store.secret
    assert len(secret) == 32
    office.restart()
    assert office.store.secret == secret
    another = Office(tmp_path / "another.db")
    assert another.store.secret != secret
    another.store.close()


def test_scram_s_count_is_for_good(tmp_path, monkeypatch):
    """A mailpost that makes new stores with another count leaves this one's as it was."""
    office = Office(tmp_path / "mail.db")
    assert office.store.iterations == 65_536
    monkeypatch.setattr(sqlite, "ITERATIONS", 100_000)
    monkeypatch.setattr(schema, "STEPS", (*schema.STEPS, ("CREATE TABLE later (x BIGINT)",)))
    monkeypatch.setattr(schema, "VERSION", len(schema.STEPS))
    office.restart()
    assert office.store.iterations == 65_536
    office.store.close()
