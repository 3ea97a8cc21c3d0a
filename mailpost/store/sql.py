"""The store's statements, in the SQL that SQLite and PostgreSQL share.

Each statement that takes many rows at once is written for one row and multiplied by :func:`times`: the
hand-over between two threads of Python costs more than SQLite's own work, and every step of a statement
is one. So a batch of letters is a handful of statements, however many letters are in it.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import apsw

# Delivering ---------------------------------------------------------------------------------------
OPEN_MAILDROPS = (
    "SELECT maildrop, octets, quota FROM maildrop WHERE closed = 0 AND maildrop IN (VALUES (?))"
)
POST = (
    "INSERT INTO posting (maildrop, entry_octets, plain, arrived, postmark, quota,"
    " trace, reverse_path, octets, flags, copies, parcel, digest, body)"
    " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
)
POSTING = (
    # A row is one copy; the first copy of a letter brings the letter itself, the others have NULLs. quota:
    # what holds of a maildrop that has none of its own, 0: none; NULL: however full it is.
    """CREATE TEMP VIEW posting AS SELECT e.maildrop, e.octets AS entry_octets, e.plain, e.arrived,
        e.postmark, 0 AS quota, l.trace, l.reverse_path, l.octets, l.flags, l.copies, l.parcel, l.digest,
        b.octets AS body
        FROM entry e JOIN letter l ON l.letter = e.letter LEFT JOIN body b ON b.letter = e.letter""",
    """CREATE TEMP TRIGGER post INSTEAD OF INSERT ON posting BEGIN
        SELECT RAISE(ABORT, 'no such maildrop, or no room there') WHERE NOT EXISTS
            (SELECT 1 FROM maildrop WHERE maildrop = NEW.maildrop AND closed = 0
            AND (NEW.quota IS NULL OR coalesce(quota, NEW.quota) = 0
            OR octets + NEW.entry_octets <= coalesce(quota, NEW.quota)));
        INSERT INTO letter (trace, reverse_path, octets, flags, copies, parcel, digest)
            SELECT NEW.trace, NEW.reverse_path, NEW.octets, NEW.flags, NEW.copies, NEW.parcel, NEW.digest
            WHERE NEW.trace IS NOT NULL;
        INSERT INTO body (letter, octets)
            SELECT last_insert_rowid(), NEW.body WHERE NEW.body IS NOT NULL;
        INSERT INTO entry (maildrop, number, letter, octets, plain, arrived, postmark)
            SELECT maildrop, next, (SELECT max(letter) FROM letter),
                NEW.entry_octets, NEW.plain, NEW.arrived, NEW.postmark
            FROM maildrop WHERE maildrop = NEW.maildrop;
        UPDATE maildrop SET next = next + 1, letters = letters + 1, octets = octets + NEW.entry_octets
            WHERE maildrop = NEW.maildrop;
    END""",
)
"""How SQLite carries :data:`POST` out: a whole batch of letters is one step of one statement."""

# Collecting ---------------------------------------------------------------------------------------
# Answers of many letters come as one row, for the same reason.
LOOK = (
    "SELECT (SELECT json_array(v.living, v.opened, EXISTS (SELECT 1 FROM view w"
    " WHERE w.maildrop = v.maildrop AND w.view <> v.view)) FROM view v WHERE v.view = ?),"
    " (SELECT json_group_array(number) FROM exception WHERE view = ?),"
    " (SELECT json_group_object(e.number, e.uidl) FROM view v JOIN entry e ON e.maildrop = v.maildrop"
    " AND e.number > v.floor AND e.uidl IS NOT NULL WHERE v.view = ?),"
    " (SELECT json_group_object(e.number, e.plain) FROM view v JOIN entry e ON e.maildrop = v.maildrop"
    " AND e.number > v.floor AND e.plain IS NOT NULL WHERE v.view = ?),"
    " json_group_array(number), json_group_array(octets) FROM (SELECT e.number, e.octets FROM view v"
    " JOIN entry e ON e.maildrop = v.maildrop AND e.number > v.floor WHERE v.view = ?"
    " ORDER BY e.number LIMIT ?)"
)
LOOK_ABOVE = (
    "SELECT (SELECT json_group_object(number, uidl) FROM entry"
    " WHERE maildrop = ? AND number > ? AND uidl IS NOT NULL),"
    " (SELECT json_group_object(number, plain) FROM entry"
    " WHERE maildrop = ? AND number > ? AND plain IS NOT NULL),"
    " json_group_array(number), json_group_array(octets) FROM"
    " (SELECT number, octets FROM entry WHERE maildrop = ? AND number > ? ORDER BY number)"
)
LETTERS = (
    "SELECT json_group_array(number), CAST(string_agg(octets, '') AS BLOB) FROM (SELECT e.number,"
    " e.postmark || b.octets || CASE WHEN l.flags & 4 THEN x'0D0A' ELSE x'' END AS octets FROM entry e"
    " JOIN letter l ON l.letter = e.letter JOIN body b ON b.letter = e.letter"
    " WHERE e.maildrop = ? AND e.number BETWEEN ? AND ? ORDER BY e.number)"
)
LETTER = (
    "SELECT e.postmark, b.octets, l.flags, l.parcel FROM entry e JOIN letter l ON l.letter = e.letter"
    " LEFT JOIN body b ON b.letter = e.letter WHERE e.maildrop = ? AND e.number = ?"
)

# Letting go ---------------------------------------------------------------------------------------
# (view, floor, last): without a floor, all up to last goes, and the floor is below what came since.
RAISE_FLOORS = (
    "UPDATE view SET floor = coalesce(v.column2,"
    " (SELECT min(e.number) - 1 FROM entry e WHERE e.maildrop = view.maildrop AND e.number > v.column3),"
    " (SELECT m.next - 1 FROM maildrop m WHERE m.maildrop = view.maildrop))"
    " FROM (VALUES (?,?,?)) AS v WHERE view.view = v.column1"
    " AND (v.column2 IS NULL OR v.column2 > view.floor)"
)
DROP_EXCEPTIONS = (
    "DELETE FROM exception WHERE view IN (VALUES (?))"
    " AND number <= (SELECT v.floor FROM view v WHERE v.view = exception.view)"
)
ADD_EXCEPTIONS = (  # but not for a view that has been removed meanwhile, nor of a letter that has left
    "INSERT INTO exception (view, number) SELECT v.column1, v.column2 FROM (VALUES (?,?)) AS v"
    " WHERE EXISTS (SELECT 1 FROM view w JOIN entry e ON e.maildrop = w.maildrop"
    " AND e.number = v.column2 WHERE w.view = v.column1) ON CONFLICT DO NOTHING"
)

# Sweeping -----------------------------------------------------------------------------------------
# The views that hold letters are those that live; where none does, all: those that are living = max(living).
LITTERED = (
    "SELECT json_group_array(m.maildrop) FROM maildrop m WHERE m.closed = 1"
    " OR EXISTS (SELECT 1 FROM entry e WHERE e.maildrop = m.maildrop"
    " AND e.number <= (SELECT min(v.floor) FROM view v WHERE v.maildrop = m.maildrop"
    " AND v.living = (SELECT max(w.living) FROM view w WHERE w.maildrop = m.maildrop)))"
    " OR EXISTS (SELECT 1 FROM view v JOIN exception x ON x.view = v.view WHERE v.maildrop = m.maildrop)"
)
BELOW_FLOORS = (
    "SELECT json_group_array(json_array(number, letter, octets)) FROM (SELECT number, letter, octets"
    " FROM entry WHERE maildrop = ? AND number <="
    " (SELECT coalesce(min(v.floor), 9223372036854775807) FROM view v WHERE v.maildrop = ?"
    " AND v.living = (SELECT max(w.living) FROM view w WHERE w.maildrop = ?))"
    " ORDER BY number LIMIT ?)"
)
# What lies above the lowest floor and is let go of by all is an exception of the view that has this floor,
# so only those are looked at: of several such views, the one with the fewest.
EXCEPTED_BY_ALL = (
    "SELECT json_group_array(json_array(number, letter, octets)) FROM (SELECT"
    " e.number, e.letter, e.octets FROM view v CROSS JOIN exception x CROSS JOIN entry e"
    " WHERE v.maildrop = ? AND v.view = (SELECT b.view FROM view b WHERE b.maildrop = v.maildrop"
    " AND b.living = (SELECT max(u.living) FROM view u WHERE u.maildrop = b.maildrop)"
    " ORDER BY b.floor, (SELECT count(*) FROM exception c WHERE c.view = b.view) LIMIT 1)"
    " AND x.view = v.view AND e.maildrop = v.maildrop AND e.number = x.number"
    " AND NOT EXISTS (SELECT 1 FROM view w WHERE w.maildrop = v.maildrop AND w.floor < e.number"
    " AND w.living = v.living AND w.view <> v.view"
    " AND NOT EXISTS (SELECT 1 FROM exception y WHERE y.view = w.view AND y.number = e.number))"
    " LIMIT ?)"
)
TAKE_ENTRIES = "DELETE FROM entry WHERE maildrop = ? AND number IN (VALUES (?))"
TAKE_EXCEPTIONS = (
    "DELETE FROM exception WHERE view IN (SELECT v.view FROM view v WHERE v.maildrop = ?)"
    " AND number IN (VALUES (?))"
)
TAKE_COPIES = "UPDATE letter SET copies = copies - ? WHERE letter IN (VALUES (?))"
PARCELS_LEFT = (
    "SELECT json_group_array(parcel) FROM letter"
    " WHERE copies <= 0 AND parcel IS NOT NULL AND letter IN (VALUES (?))"
)
TAKE_BODIES = (
    "DELETE FROM body WHERE letter IN"
    " (SELECT l.letter FROM letter l WHERE l.copies <= 0 AND l.letter IN (VALUES (?)))"
)
TAKE_LETTERS = "DELETE FROM letter WHERE copies <= 0 AND letter IN (VALUES (?))"
LESSEN = "UPDATE maildrop SET letters = letters - ?, octets = octets - ? WHERE maildrop = ?"
TAKE_MAILDROP = (
    "DELETE FROM maildrop WHERE maildrop = ? AND closed = 1"
    " AND NOT EXISTS (SELECT 1 FROM entry e WHERE e.maildrop = maildrop.maildrop)"
    " AND NOT EXISTS (SELECT 1 FROM bin b WHERE b.maildrop = maildrop.maildrop)"
)
NAMED_PARCELS = "SELECT json_group_array(parcel) FROM letter WHERE parcel IN (VALUES (?))"

# Accounts -----------------------------------------------------------------------------------------
FIND_ACCOUNT = (
    "SELECT a.account, a.name, a.password, a.maildrop, a.view, a.scram, a.secret, l.reason"
    " FROM account a LEFT JOIN locked l ON l.maildrop = a.maildrop WHERE a.name = ?"
)
ADD_MAILDROP = "INSERT INTO maildrop (next) VALUES (1) RETURNING maildrop"
ADD_VIEW = (  # of a main password: it lives once it has been opened
    "INSERT INTO view (maildrop, living) VALUES (?, 0) RETURNING view"
)
ADD_ACCOUNT = (
    "INSERT INTO account (name, password, scram, secret, maildrop, view) VALUES (?,?,?,?,?,?)"
    " RETURNING account"
)
SET_PASSWORD = (
    "UPDATE account SET password = ?, scram = ?, secret = ? WHERE name = ? RETURNING account"  # noqa: S105
)
REMOVE_ACCOUNT = "DELETE FROM account WHERE name = ?"
REMOVE_EXCEPTIONS = "DELETE FROM exception WHERE view IN (SELECT view FROM view WHERE maildrop = ?)"
REMOVE_VIEWS = "DELETE FROM view WHERE maildrop = ?"
CLOSE_MAILDROP = "UPDATE maildrop SET closed = 1 WHERE maildrop = ?"
ALL_ACCOUNTS = (
    "SELECT a.account, a.name, a.password, a.maildrop, a.view, a.scram, a.secret, count(e.number),"
    " coalesce(sum(e.octets), 0) FROM account a JOIN view v ON v.view = a.view"
    " LEFT JOIN entry e ON e.maildrop = a.maildrop AND e.number > v.floor AND NOT EXISTS"
    " (SELECT 1 FROM exception x WHERE x.view = a.view AND x.number = e.number)"
    " GROUP BY a.account, a.name, a.password, a.maildrop, a.view, a.scram, a.secret ORDER BY a.name"
)

# Devices ------------------------------------------------------------------------------------------
DEVICES_OF = (
    "SELECT device, name, view, digest, scram, rights FROM device WHERE account = ? ORDER BY device"
)
# Where a view begins: above the latest letter that came before. Read from the end, for most have come later.
FLOOR_BEFORE = (
    "SELECT coalesce((SELECT number FROM entry WHERE maildrop = ? AND arrived < ?"
    " ORDER BY number DESC LIMIT 1), 0)"
)
FLOOR_OF_ALL = "SELECT next - 1 FROM maildrop WHERE maildrop = ?"
ADD_DEVICE_VIEW = (
    "INSERT INTO view (maildrop, floor, living, opened) VALUES (?,?,?,?) RETURNING view"
)
ADD_DEVICE = (
    "INSERT INTO device (account, name, view, digest, scram, rights, made) VALUES (?,?,?,?,?,?,?)"
    " RETURNING device"
)
REMOVE_DEVICE = "DELETE FROM device WHERE device = ?"
REMOVE_VIEW = "DELETE FROM view WHERE view = ?"
REMOVE_VIEW_EXCEPTIONS = "DELETE FROM exception WHERE view = ?"
REMOVE_DEVICES = "DELETE FROM device WHERE account = ?"
SEEN = "UPDATE device SET seen = ? WHERE device = ? AND (seen IS NULL OR seen < ?)"
RENAME_DEVICE = "UPDATE device SET name = ? WHERE device = ?"
ALL_DEVICES = (
    "SELECT a.name, d.device, d.name, d.view, d.digest, d.scram, d.rights, d.made, d.seen, v.living,"
    " (SELECT count(*) FROM entry e WHERE e.maildrop = v.maildrop AND e.number > v.floor AND NOT EXISTS"
    " (SELECT 1 FROM exception x WHERE x.view = v.view AND x.number = e.number))"
    " FROM device d JOIN account a ON a.account = d.account JOIN view v ON v.view = d.view"
    " ORDER BY a.name, d.device"
)
# Whether logins that were good are good no longer: see mailpost.store.changes.
REVOKE = (
    "INSERT INTO office (name, value) VALUES ('revoked', '1')"
    " ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(office.value AS BIGINT) + 1 AS TEXT)"
)
ACCOUNT_THERE = "SELECT 1 FROM account WHERE account = ?"
DEVICE_THERE = "SELECT 1 FROM device WHERE device = ?"

# Lapsing ------------------------------------------------------------------------------------------
OPENED = "UPDATE view SET living = 1, opened = ? WHERE view = ?"
CLOCK = "SELECT name, value FROM office WHERE name IN ('looked', 'steady')"
KEEP = (
    "INSERT INTO office (name, value) VALUES (?, ?)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
COUNT_FROM = (
    "UPDATE view SET opened = ? WHERE living = 1 AND opened IS NULL AND maildrop IN"
    " (SELECT a.maildrop FROM device d JOIN account a ON a.account = d.account)"
)
COUNT_ANEW = "UPDATE view SET opened = ? WHERE maildrop = ? AND living = 1 AND (opened IS NULL OR opened < ?)"
LAPSE = (
    "UPDATE view SET living = 0 WHERE living = 1 AND opened < ? AND maildrop IN"
    " (SELECT a.maildrop FROM device d JOIN account a ON a.account = d.account)"
    " AND EXISTS (SELECT 1 FROM view w WHERE w.maildrop = view.maildrop AND w.living = 1"
    " AND w.opened >= ?)"
)

SIZES = (64, 48, 32, 24, *range(16, 0, -1))

_decoded = json.JSONDecoder().raw_decode  # a quarter of what json.loads takes for so little


def told(db: apsw.Connection, statement: str, values: Sequence[object] = ()) -> Any:
    """What a statement tells in its one row: JSON in each column, octets as they are."""
    row = db.execute(statement, tuple(values)).fetchall()[0]
    found = [_decoded(column)[0] if isinstance(column, str) else column for column in row]
    return found[0] if len(found) == 1 else found


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
        portion = (
            values
            if end - start == len(values) // columns
            else values[start * columns : end * columns]
        )
        execute(times(statement, end - start), portion)
