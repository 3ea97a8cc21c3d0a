"""The statements about how long letters are kept: what was fetched, and when; the bin."""

# Fetched ------------------------------------------------------------------------------------------
# The runs of a view that meet first to last.
FETCHED_THERE = (
    "SELECT json_group_array(json_array(first, last)) FROM"
    " (SELECT first, last FROM fetched WHERE view = ? AND last >= ? AND first <= ? ORDER BY last)"
)
# But not for a view that has been removed meanwhile, nor of letters that have all gone.
ADD_FETCHED = (
    "INSERT INTO fetched (view, first, last, at) SELECT v.column1, v.column2, v.column3, v.column4"
    " FROM (VALUES (?,?,?,?)) AS v WHERE EXISTS (SELECT 1 FROM view w JOIN entry e"
    " ON e.maildrop = w.maildrop AND e.number BETWEEN v.column2 AND v.column3 WHERE w.view = v.column1)"
)
# (maildrop, lowest, highest, maildrop): what is left of runs that met letters which are gone now.
FORGET_FETCHED = (
    "DELETE FROM fetched WHERE view IN (SELECT v.view FROM view v WHERE v.maildrop = ?)"
    " AND last >= ? AND first <= ? AND NOT EXISTS (SELECT 1 FROM entry e"
    " WHERE e.maildrop = ? AND e.number BETWEEN fetched.first AND fetched.last)"
)
REMOVE_FETCHED = "DELETE FROM fetched WHERE view = ?"
REMOVE_ALL_FETCHED = "DELETE FROM fetched WHERE view IN (SELECT view FROM view WHERE maildrop = ?)"
# Of one letter, (number, number, number, number, maildrop): each view, the device it is of, whether it holds
# letters, whether it has let go of this one, and when it had it.
FETCHED_BY = (
    "SELECT d.name, v.view, v.living = (SELECT max(w.living) FROM view w WHERE w.maildrop = v.maildrop),"
    " v.floor >= ? OR EXISTS (SELECT 1 FROM exception x WHERE x.view = v.view AND x.number = ?),"
    " (SELECT CASE WHEN f.first <= ? THEN f.at END FROM fetched f WHERE f.view = v.view AND f.last >= ?"
    " ORDER BY f.last LIMIT 1)"
    " FROM view v LEFT JOIN device d ON d.view = v.view WHERE v.maildrop = ? ORDER BY v.view"
)

# The bin ------------------------------------------------------------------------------------------
CLOSED = "SELECT closed FROM maildrop WHERE maildrop = ?"
THROW_AWAY = (
    "INSERT INTO bin (maildrop, number, letter, octets, plain, arrived, uidl, postmark, gone)"
    " SELECT maildrop, number, letter, octets, plain, arrived, uidl, postmark, ? FROM entry"
    " WHERE maildrop = ? AND number IN (VALUES (?))"
)
OLDEST_IN_BIN = (
    "SELECT json_group_array(json_array(place, letter, octets)) FROM"
    " (SELECT place, letter, octets FROM bin WHERE gone < ? ORDER BY gone, place LIMIT ?)"
)
BIN_OF = (
    "SELECT json_group_array(json_array(place, letter, octets)) FROM"
    " (SELECT place, letter, octets FROM bin WHERE maildrop = ? AND gone >= ? ORDER BY number LIMIT ?)"
)
LEAVE_BIN = "DELETE FROM bin WHERE place IN (VALUES (?))"
# (arrived, place, ...): under new numbers, in their former order.
COME_BACK = (
    "INSERT INTO entry (maildrop, number, letter, octets, plain, arrived, postmark)"
    " SELECT b.maildrop, m.next + row_number() OVER (ORDER BY b.number) - 1, b.letter, b.octets,"
    " b.plain, ?, b.postmark FROM bin b JOIN maildrop m ON m.maildrop = b.maildrop AND m.closed = 0"
    " WHERE b.place IN (VALUES (?))"
)
ADD_BACK = (
    "UPDATE maildrop SET next = next + ?, letters = letters + ?, octets = octets + ?"
    " WHERE maildrop = ?"
)
IN_BIN = (
    "SELECT b.letter, b.number, b.arrived, b.gone, b.octets, l.trace, l.reverse_path FROM bin b"
    " JOIN letter l ON l.letter = b.letter WHERE b.maildrop = ? AND b.gone >= ? ORDER BY b.number"
)
LETTER_IN_BIN = (
    "SELECT e.postmark, b.octets, l.flags, l.parcel FROM bin e JOIN letter l ON l.letter = e.letter"
    " LEFT JOIN body b ON b.letter = e.letter WHERE e.maildrop = ? AND e.number = ?"
)

# What people know a letter by -----------------------------------------------------------------------
HEAD = (
    "SELECT substr(b.octets, 1, ?), l.parcel FROM letter l LEFT JOIN body b ON b.letter = l.letter"
    " WHERE l.letter = ?"
)

# Quotas and retention ---------------------------------------------------------------------------------
ANY_QUOTA = "SELECT EXISTS (SELECT 1 FROM maildrop WHERE quota > 0)"
# On the hot path: octets held, and the quota.
ROOM = "SELECT octets, quota FROM maildrop WHERE maildrop = ?"
SET_QUOTA = "UPDATE maildrop SET quota = ? WHERE maildrop = ?"
RULES = (
    "SELECT a.name, m.maildrop, m.octets, m.quota, m.retention, m.collected FROM account a"
    " JOIN maildrop m ON m.maildrop = a.maildrop ORDER BY a.name"
)
# Maildrops that may be so full that their owners are to be told, and those whose owners were told.
FILLING = (
    "SELECT a.name, m.maildrop, m.octets, coalesce(m.quota, ?), m.warned FROM account a"
    " JOIN maildrop m ON m.maildrop = a.maildrop"
    " WHERE m.warned > 0 OR (coalesce(m.quota, ?) > 0 AND m.octets > coalesce(m.quota, ?) / 2)"
)
WARN = "UPDATE maildrop SET warned = ? WHERE maildrop = ? AND warned < ? AND closed = 0"
CALM = "UPDATE maildrop SET warned = ? WHERE maildrop = ? AND warned > ?"

# Retention --------------------------------------------------------------------------------------------
SET_RETENTION = "UPDATE maildrop SET retention = ?, collected = ? WHERE maildrop = ?"
RETENTIONS = "SELECT maildrop, retention, collected FROM maildrop WHERE closed = 0"
DAYS_SET = "SELECT DISTINCT retention FROM maildrop WHERE retention IS NOT NULL"
DAYS_OF = "SELECT retention FROM maildrop WHERE maildrop = ?"
# How far a portion of a maildrop reaches.
PORTION_END = (
    "SELECT max(number) FROM (SELECT number FROM entry WHERE maildrop = ? AND number > ?"
    " ORDER BY number LIMIT ?)"
)
_ARRIVED = (
    "SELECT json_group_array(json_array(e.number, e.letter, e.octets, e.arrived)) FROM entry e"
    " WHERE e.maildrop = ? AND coalesce(e.brought, e.arrived) < ?"
)
# Each view that holds letters had it before, or has let go of it.
_COLLECTED = (
    " AND NOT EXISTS (SELECT 1 FROM view v WHERE v.maildrop = e.maildrop"
    " AND v.living = (SELECT max(w.living) FROM view w WHERE w.maildrop = v.maildrop)"
    " AND coalesce((SELECT CASE WHEN f.first <= e.number THEN f.at END FROM fetched f"
    " WHERE f.view = v.view AND f.last >= e.number ORDER BY f.last LIMIT 1),"
    " CASE WHEN e.number <= v.floor OR EXISTS (SELECT 1 FROM exception x WHERE x.view = v.view"
    " AND x.number = e.number) THEN 0 ELSE 9223372036854775807 END) >= ?)"
)
_BETWEEN = " AND e.number > ? AND e.number <= ?"
_AMONG = " AND e.number IN (VALUES (?))"
ARRIVED_BETWEEN, ARRIVED_AMONG = f"{_ARRIVED}{_BETWEEN}", f"{_ARRIVED}{_AMONG}"
COLLECTED_BETWEEN = f"{_ARRIVED}{_COLLECTED}{_BETWEEN}"
COLLECTED_AMONG = f"{_ARRIVED}{_COLLECTED}{_AMONG}"
