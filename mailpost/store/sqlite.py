"""The SQLite engine: how a database is made, checked and opened, and what is set on each connection.

SQLite comes through ``apsw``, which bundles a current one: before 3.51.3 a race when the write-ahead
log was reset could lose commits of several writers (https://sqlite.org/wal.html#walresetbug).
Write-ahead log and ``synchronous=FULL``: a commit has been synced when it returns
(https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).

The process never opens the database's files itself: closing any descriptor of a file drops every POSIX
lock that SQLite holds on it (https://sqlite.org/howtocorrupt.html §2.2).
"""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import apsw

from mailpost.store import schema, sql
from mailpost.store.errors import NewerStore, NoStore, NotAStore, UnusableStore
from mailpost.store.recopying import Recopying
from mailpost.wire.scram_keys import ITERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OLDEST_SQLITE = (3, 51, 3)
PAGE_SIZE = 4096  # measured with 4 KB letters: least CPU, and 5.4 KB a letter against 9.1 (8192)
STATEMENTS = 256
READER_CACHE = 256  # KiB of pages; more has made nothing faster, and each thread has a reader
SECRET = 32  # octets of the office's secret
WAITS_MS = 5_000
LOG_LIMIT = 16 * 1024 * 1024  # octets the write-ahead log keeps on the disk when it is empty
NETWORK = re.compile(
    r"9p|afs|beegfs|(fuse\.)?ceph|cifs|coda|fuse\.(s3fs|sshfs)|gfs2|(fuse\.)?glusterfs|lustre|ncpfs"
    r"|nfs[34]?|ocfs2|prl_fs|smb[23]|smbfs|vboxsf"
)
DIALECT = {
    "key": "INTEGER PRIMARY KEY",
    "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "octets": "BLOB",
}


class Engine:
    """Opens connections to one database file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recopying = Recopying(path)

    def create(self) -> None:
        """Make an empty store; what exists already is left as it is, and refused.

        It is made under another name, and gets its own when it is whole and on the disk.
        """
        self._check_place()
        unfinished = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}.new")
        try:
            # Made empty and closed before SQLite opens it, so that it is its owner's from the start.
            os.close(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
            _fill(unfinished)
            os.link(unfinished, self.path)  # unlike rename(2), never over another
            sync_folder(self.path.parent)
        except FileExistsError:
            raise UnusableStore(f"{self.path} exists already: choose another place") from None
        except (OSError, apsw.Error) as error:
            raise UnusableStore(f"{self.path} cannot be made: {error}") from error
        finally:
            unfinished.unlink(missing_ok=True)

    def check(self) -> None:
        """Refuse what cannot be used, and bring an older store up to date."""
        self._check_place()
        if not self.path.is_file():
            raise NoStore(f"there is no store at {self.path}: run mailpost init")
        if not os.access(self.path, os.R_OK | os.W_OK):
            raise UnusableStore(f"{self.path} cannot be read and written by this user")
        try:
            self._check_database()
        except (apsw.NotADBError, apsw.CorruptError) as error:
            raise NotAStore(f"{self.path} is not a mailpost store: {error}") from error
        except apsw.Error as error:
            raise UnusableStore(f"{self.path} cannot be opened: {error}") from error

    def writer(self) -> apsw.Connection:
        """A connection that writes; every commit is synced."""
        db = self._open()
        db.execute("PRAGMA synchronous=FULL")
        db.execute(f"PRAGMA journal_size_limit={LOG_LIMIT}")
        db.execute("PRAGMA temp_store=MEMORY")
        for statement in sql.POSTING:
            db.execute(statement)
        db.wal_autocheckpoint(0)  # see mailpost.store.checkpoints
        return db

    def reader(self) -> apsw.Connection:
        """A connection that only reads.

        Not by mmap: it would take a tenth off a letter, but a disk that fails to read would end the process.
        """
        db = self._open()
        db.execute(f"PRAGMA cache_size=-{READER_CACHE}")
        return db

    def copy_log_anew(self) -> None:
        """A sync has failed: what was copied from the write-ahead log may be lost, and is copied again.

        :raises OSError: that could not be told to SQLite.
        """
        self._recopying.demand()

    def office(self) -> dict[str, str]:
        """What is known of the store as a whole.

        ``epoch`` goes before the number in every unique-id. ``secret`` keys the office's digests, in hex.
        ``iterations`` is the count of SCRAM, the same for everybody and for good.
        """
        db = self.reader()
        try:
            rows = db.execute("SELECT name, value FROM office").fetchall()
            return {str(name): str(value) for name, value in rows}
        finally:
            db.close()

    def _check_database(self) -> None:
        db = self._open()
        try:
            found = _version(db)
            if db.pragma("application_id") != schema.APPLICATION:
                raise NotAStore(f"{self.path} is a database, but not one of mailpost's")
            if found > schema.VERSION:
                raise NewerStore(
                    f"{self.path} was made by a newer mailpost (store version {found}, this one knows"
                    f" {schema.VERSION}): install that, or restore an older backup"
                )
            if found < schema.VERSION:
                _migrate(db)
        finally:
            db.close()

    def _open(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READWRITE
        db = apsw.Connection(str(self.path), flags=flags, statementcachesize=STATEMENTS)
        try:
            db.set_busy_timeout(WAITS_MS)
            # Plans do not hang on what is bound: otherwise SQLite prepares a statement with LIMIT ? anew
            # each time, which takes six times as long as what opening a maildrop reads.
            db.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            db.pragma("user_version")  # the first read: without one a checkpoint does nothing
        except BaseException:
            db.close()
            raise
        return db

    def _check_place(self) -> None:
        version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
        if version < OLDEST_SQLITE:
            raise UnusableStore(
                f"SQLite {apsw.sqlite_lib_version()} can lose commits, 3.51.3 or newer is needed:"
                " install a current apsw"
            )
        folder = self.path.parent
        if not folder.is_dir():
            raise UnusableStore(f"there is no folder {folder}: make it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UnusableStore(f"the folder {folder} cannot be written by this user")
        kind = file_system(folder)
        if NETWORK.fullmatch(kind):
            raise UnusableStore(
                f"{folder} is on a network file system ({kind}), where locks cannot be trusted:"
                " keep the store on a local disk"
            )


def execute_large(db: apsw.Connection, statement: str, values: Sequence[object]) -> None:
    """Execute a statement with large values, which are not held any longer.

    What is kept for the next time, in the cache of statements, would keep its values too: for each number of
    rows those of the last letters that were as many.
    """
    db.execute(statement, values)
    # It comes out of the cache without values, and goes back there, since none is no number that it takes.
    with suppress(apsw.BindingsError):
        db.execute(statement, ())


def new_epoch() -> str:
    """Eight characters that no store had before, in all likelihood."""
    return secrets.token_hex(4)


def file_system(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system a folder is on; ``""`` where the system does not tell (proc(5))."""
    place = folder.resolve()
    best, kind = -1, ""
    for point, named in _mounts(mounts):
        if len(point.parts) >= best and place.is_relative_to(point):
            best, kind = len(point.parts), named
    return kind


def _mounts(mounts: Path) -> Iterator[tuple[Path, str]]:
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    for line in lines:
        left, _, right = line.partition(" - ")
        point = (
            left.split(" ")[4].replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        )
        yield Path(point), right.split(" ")[0]


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable (fsync(2))."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _fill(path: Path) -> None:
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        db.execute(f"PRAGMA page_size={PAGE_SIZE}; PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL").fetchall()
        db.execute(f"PRAGMA application_id={schema.APPLICATION}")
        _migrate(db)
        with db:
            db.execute("INSERT INTO office VALUES ('epoch', ?)", (new_epoch(),))
            maildrop = db.execute(sql.ADD_MAILDROP).get
            view = db.execute(sql.ADD_VIEW, (maildrop,)).get
            postmaster = (schema.POSTMASTER, None, None, None, maildrop, view)
            db.execute(sql.ADD_ACCOUNT, postmaster).fetchall()
    finally:
        db.close()  # the last to close it leaves no write-ahead log behind


def _migrate(db: apsw.Connection) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        for step in schema.STEPS[_version(db) :]:  # another process may have taken some
            for statement in step:
                db.execute(Template(statement).substitute(DIALECT))
        for known in (("secret", secrets.token_hex(SECRET)), ("iterations", str(ITERATIONS))):
            db.execute("INSERT INTO office VALUES (?, ?) ON CONFLICT DO NOTHING", known)
        db.execute(f"PRAGMA user_version={schema.VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _version(db: apsw.Connection) -> int:
    return int(db.pragma("user_version"))
