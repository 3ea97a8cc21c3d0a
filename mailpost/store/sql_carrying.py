"""Statements of what is brought from elsewhere, shown to be carried away, and copied as a backup.

In the SQL that SQLite and PostgreSQL share. No reactor runs where these are used, so they may come in many
steps; :mod:`mailpost.store.sql` says why its own do not.
"""

from __future__ import annotations

# Bringing -----------------------------------------------------------------------------------------
KNOWN = "SELECT key FROM brought WHERE maildrop = ?"
PLACE = "SELECT next, closed FROM maildrop WHERE maildrop = ?"
NOTE = "INSERT INTO brought (maildrop, key) VALUES (?,?) ON CONFLICT DO NOTHING RETURNING 1"
BRING_LETTER = (
    "INSERT INTO letter (trace, reverse_path, octets, flags, copies, parcel, digest)"
    " VALUES (?,?,?,?,1,?,?) RETURNING letter"
)
BRING_BODY = "INSERT INTO body (letter, octets) VALUES (?,?)"
BRING_ENTRY = (
    "INSERT INTO entry (maildrop, number, letter, octets, plain, arrived, uidl, postmark, brought)"
    " VALUES (?,?,?,?,?,?,?,?,?)"
)
MOVE_ON = (
    "UPDATE maildrop SET next = ?, letters = letters + ?, octets = octets + ? WHERE maildrop = ?"
)
FORGET_BROUGHT = "DELETE FROM brought WHERE maildrop = ?"

_SHOWN = (  # by one of the maildrop's views at least
    " AND EXISTS (SELECT 1 FROM view v WHERE v.maildrop = e.maildrop AND v.floor < e.number"
    " AND NOT EXISTS (SELECT 1 FROM exception x WHERE x.view = v.view AND x.number = e.number))"
)
_WHOLE = (
    "SELECT e.octets, e.postmark, b.octets, l.parcel, l.flags FROM entry e"
    " JOIN letter l ON l.letter = e.letter LEFT JOIN body b ON b.letter = e.letter WHERE e.maildrop = ?"
)
HOLDER = f"{_WHOLE} AND e.uidl = ?{_SHOWN}"
HOLDER_BY_NUMBER = f"{_WHOLE} AND e.number = ? AND e.uidl IS NULL{_SHOWN}"

# Since when -----------------------------------------------------------------------------------------
# What was brought keeps the date of its arrival, and so numbers and dates need not grow together there.
OUT_OF_ORDER = "SELECT EXISTS (SELECT 1 FROM brought WHERE maildrop = ?)"
FLOOR_OF_FIRST = (
    "SELECT coalesce((SELECT min(number) - 1 FROM entry WHERE maildrop = ? AND arrived >= ?),"
    " (SELECT next - 1 FROM maildrop WHERE maildrop = ?))"
)
OLDER = (
    "SELECT json_group_array(number) FROM entry WHERE maildrop = ? AND number > ? AND arrived < ?"
)

# Carrying away ------------------------------------------------------------------------------------
SHOWN = (
    "SELECT e.number, e.octets, e.uidl, e.arrived, l.reverse_path FROM view v"
    " JOIN entry e ON e.maildrop = v.maildrop AND e.number > v.floor"
    " JOIN letter l ON l.letter = e.letter WHERE v.view = ?"
    " AND NOT EXISTS (SELECT 1 FROM exception x WHERE x.view = v.view AND x.number = e.number)"
    " ORDER BY e.number"
)

# Backups ------------------------------------------------------------------------------------------
PARCELS = "SELECT parcel, max(octets) FROM letter WHERE parcel IS NOT NULL GROUP BY parcel ORDER BY parcel"
BODIES = (
    "SELECT l.letter, l.octets, l.digest, l.parcel, b.octets FROM letter l"
    " LEFT JOIN body b ON b.letter = l.letter ORDER BY l.letter"
)
MISFITS = (  # entries that are not as long as their parts, or have no letter
    "SELECT e.maildrop, e.number FROM entry e LEFT JOIN letter l ON l.letter = e.letter"
    " WHERE l.letter IS NULL OR e.octets <> length(e.postmark) + l.octets"
    " + CASE WHEN l.flags & 4 THEN 2 ELSE 0 END"
)
COUNTS = (
    "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM letter),"
    " (SELECT coalesce(sum(octets), 0) FROM letter)"
)
EPOCH = "SELECT value FROM office WHERE name = 'epoch'"
NEW_EPOCH = "UPDATE office SET value = ? WHERE name = 'epoch'"
KEEP_UIDLS = (
    "UPDATE entry SET uidl = ? || '.' || printf('%x', maildrop) || '.' || printf('%x', number)"
    " WHERE uidl IS NULL"
)
ACCOUNT = "SELECT maildrop FROM account WHERE name = ?"
_LETTERS = (
    "SELECT e.number, e.octets, e.uidl, e.arrived, e.plain, e.postmark, l.trace, l.reverse_path, l.octets,"
    " l.flags, l.digest, l.parcel, b.octets FROM entry e JOIN letter l ON l.letter = e.letter"
    " LEFT JOIN body b ON b.letter = e.letter WHERE e.maildrop = ?"
)
LETTERS_OF = f"{_LETTERS}{_SHOWN} ORDER BY e.number"
