"""The store's statements, in the SQL that SQLite and PostgreSQL share.

Each statement that takes many rows at once is written for one row and multiplied by :func:`times`: the
hand-over between two threads of Python costs more than SQLite's own work, and every step of a statement is
one. So a batch of letters is a handful of statements, however many letters are in it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

# Delivering ---------------------------------------------------------------------------------------
OPEN_MAILDROPS = "SELECT maildrop FROM maildrop WHERE closed = 0 AND maildrop IN (VALUES (?))"
POST = (
    "INSERT INTO posting (maildrop, entry_octets, arrived, postmark,"
    " trace, reverse_path, octets, flags, copies, parcel, digest, body)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"
)
POSTING = (
    # A row is one copy; the first copy of a letter brings the letter itself, the others have NULLs.
    """CREATE TEMP VIEW posting AS SELECT e.maildrop, e.octets AS entry_octets, e.arrived, e.postmark,
        l.trace, l.reverse_path, l.octets, l.flags, l.copies, l.parcel, l.digest, b.octets AS body
        FROM entry e JOIN letter l ON l.letter = e.letter LEFT JOIN body b ON b.letter = e.letter""",
    """CREATE TEMP TRIGGER post INSTEAD OF INSERT ON posting BEGIN
        SELECT RAISE(ABORT, 'no such maildrop') WHERE NOT EXISTS
            (SELECT 1 FROM maildrop WHERE maildrop = NEW.maildrop AND closed = 0);
        INSERT INTO letter (trace, reverse_path, octets, flags, copies, parcel, digest)
            SELECT NEW.trace, NEW.reverse_path, NEW.octets, NEW.flags, NEW.copies, NEW.parcel, NEW.digest
            WHERE NEW.trace IS NOT NULL;
        INSERT INTO body (letter, octets)
            SELECT last_insert_rowid(), NEW.body WHERE NEW.body IS NOT NULL;
        INSERT INTO entry (maildrop, number, letter, octets, arrived, postmark)
            SELECT maildrop, next, (SELECT max(letter) FROM letter),
                NEW.entry_octets, NEW.arrived, NEW.postmark
            FROM maildrop WHERE maildrop = NEW.maildrop;
        UPDATE maildrop SET next = next + 1, letters = letters + 1, octets = octets + NEW.entry_octets
            WHERE maildrop = NEW.maildrop;
    END""",
)
"""How SQLite carries :data:`POST` out: a whole batch of letters is one step of one statement."""

# Collecting ---------------------------------------------------------------------------------------
FLOOR = "SELECT floor FROM view WHERE view = ?"
EXCEPTIONS = "SELECT json_group_array(number) FROM exception WHERE view = ?"
PLACES = (
    "SELECT json_group_array(number), json_group_array(octets) FROM"
    " (SELECT number, octets FROM entry WHERE maildrop = ? AND number > ? ORDER BY number)"
)
OVERRIDES = "SELECT number, uidl FROM entry WHERE maildrop = ? AND number > ? AND uidl IS NOT NULL"
LETTERS = (
    "SELECT e.number, e.postmark, b.octets, l.flags, l.parcel FROM entry e"
    " JOIN letter l ON l.letter = e.letter LEFT JOIN body b ON b.letter = e.letter"
    " WHERE e.maildrop = ? AND e.number BETWEEN ? AND ? ORDER BY e.number"
)

# Letting go ---------------------------------------------------------------------------------------
LOWEST_AFTER = "SELECT min(number) FROM entry WHERE maildrop = ? AND number > ?"
NEXT_NUMBER = "SELECT next FROM maildrop WHERE maildrop = ?"
RAISE_FLOOR = "UPDATE view SET floor = ? WHERE view = ? AND floor < ?"
DROP_EXCEPTIONS = "DELETE FROM exception WHERE view = ? AND number <= ?"
ADD_EXCEPTION = "INSERT INTO exception (view, number) VALUES (?,?) ON CONFLICT DO NOTHING"

# Accounts -----------------------------------------------------------------------------------------
FIND_ACCOUNT = "SELECT account, name, password, maildrop, view FROM account WHERE name = ?"
ADD_MAILDROP = "INSERT INTO maildrop (next) VALUES (1) RETURNING maildrop"
ADD_VIEW = "INSERT INTO view (maildrop) VALUES (?) RETURNING view"
ADD_ACCOUNT = (
    "INSERT INTO account (name, password, maildrop, view) VALUES (?,?,?,?) RETURNING account"
)
SET_PASSWORD = "UPDATE account SET password = ? WHERE name = ? RETURNING account"  # noqa: S105
REMOVE_ACCOUNT = "DELETE FROM account WHERE name = ?"
REMOVE_EXCEPTIONS = "DELETE FROM exception WHERE view IN (SELECT view FROM view WHERE maildrop = ?)"
REMOVE_VIEWS = "DELETE FROM view WHERE maildrop = ?"
CLOSE_MAILDROP = "UPDATE maildrop SET closed = 1 WHERE maildrop = ?"
VIEWS_OF = "SELECT view FROM view WHERE maildrop = ?"
ALL_ACCOUNTS = (
    "SELECT a.account, a.name, a.password, a.maildrop, a.view, count(e.number),"
    " coalesce(sum(e.octets), 0) FROM account a JOIN view v ON v.view = a.view"
    " LEFT JOIN entry e ON e.maildrop = a.maildrop AND e.number > v.floor AND NOT EXISTS"
    " (SELECT 1 FROM exception x WHERE x.view = a.view AND x.number = e.number)"
    " GROUP BY a.account, a.name, a.password, a.maildrop, a.view ORDER BY a.name"
)

SIZES = (64, 48, 32, 24, *range(16, 0, -1))


@cache
def times(statement: str, count: int) -> str:
    """A statement with its row of ``VALUES (?,..)`` written ``count`` times."""
    head, row, tail = _split(statement)
    return f"{head}{','.join([row] * count)}{tail}"


@cache
def _split(statement: str) -> tuple[str, str, str]:
    start = statement.index("(?", statement.index("VALUES"))
    end = statement.index(")", start) + 1
    return statement[:start], statement[start:end], statement[end:]


def portions(total: int) -> Iterator[tuple[int, int]]:
    """Cut ``total`` rows into portions of few sizes, so that each size stays a prepared statement."""
    start = 0
    while start < total:
        size = next(size for size in SIZES if size <= total - start)
        yield start, start + size
        start += size


def each(
    execute: Callable[[str, Sequence[object]], object], statement: str, values: Sequence[object]
) -> None:
    """Execute a statement for many rows, whose values stand one after the other, in few steps."""
    columns = _split(statement)[1].count("?")
    for start, end in portions(len(values) // columns):
        portion = values if end - start == len(values) // columns else values[start * columns : end * columns]
        execute(times(statement, end - start), portion)
