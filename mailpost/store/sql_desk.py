"""Statements of the desk: what maildrops there are, how each is seen, and which are locked."""

LOCK = (
    "INSERT INTO locked (maildrop, since, reason) VALUES (?,?,?)"
    " ON CONFLICT (maildrop) DO UPDATE SET reason = excluded.reason"
)
UNLOCK = "DELETE FROM locked WHERE maildrop = ? RETURNING maildrop"
ACCOUNT_LOCKED = (
    "SELECT l.reason FROM locked l JOIN account a ON a.maildrop = l.maildrop WHERE a.account = ?"
)

MAILDROPS = (
    "SELECT a.name, m.letters, m.octets,"
    " (SELECT e.arrived FROM entry e WHERE e.maildrop = m.maildrop ORDER BY e.number LIMIT 1),"
    # A device's opening is noted when it is made: of one that was never seen it tells nothing.
    " (SELECT max(v.opened) FROM view v LEFT JOIN device d ON d.view = v.view"
    " WHERE v.maildrop = m.maildrop AND (d.device IS NULL OR d.seen IS NOT NULL)),"
    " (SELECT max(f.at) FROM view v JOIN fetched f ON f.view = v.view WHERE v.maildrop = m.maildrop),"
    " l.since, l.reason FROM account a JOIN maildrop m ON m.maildrop = a.maildrop"
    " LEFT JOIN locked l ON l.maildrop = m.maildrop ORDER BY a.name"
)
VIEWS = (
    "SELECT d.name, d.rights, d.seen, v.floor, v.living, v.opened,"
    " (SELECT max(f.at) FROM fetched f WHERE f.view = v.view),"
    " (SELECT count(*) FROM entry e WHERE e.maildrop = v.maildrop AND e.number > v.floor AND NOT EXISTS"
    " (SELECT 1 FROM exception x WHERE x.view = v.view AND x.number = e.number))"
    " FROM view v LEFT JOIN device d ON d.view = v.view WHERE v.maildrop = ?"
    " ORDER BY coalesce(d.device, 0)"
)

# Letters: (octets of a body to give, maildrop, number ...).
TRACED = "SELECT letter FROM letter WHERE trace = ?"
WHICH = "SELECT number, letter FROM entry WHERE maildrop = ? AND number > ? ORDER BY number LIMIT ?"
_HEAD = (
    "SELECT e.number, e.octets, e.arrived, e.uidl, e.postmark, l.trace, l.reverse_path, l.parcel,"
    " substr(b.octets, 1, ?) FROM entry e JOIN letter l ON l.letter = e.letter"
    " LEFT JOIN body b ON b.letter = e.letter WHERE e.maildrop = ? AND"
)
HEAD = f"{_HEAD} e.number = ?"
HEADS = f"{_HEAD} e.number > ? ORDER BY e.number LIMIT ?"
LATEST_HEADS = f"{_HEAD} e.number < ? ORDER BY e.number DESC LIMIT ?"

# Looking over ---------------------------------------------------------------------------------------
MOMENTS = (
    "SELECT json_array((SELECT max((SELECT e.arrived FROM entry e WHERE e.maildrop = m.maildrop"
    " ORDER BY e.number DESC LIMIT 1)) FROM maildrop m),"
    " (SELECT CAST(value AS BIGINT) FROM office WHERE name = 'looked'))"
)
ALL_LETTERS = "SELECT count(*) FROM letter"
LETTER_THERE = "SELECT 1 FROM letter WHERE letter = ?"
DIGESTS = (
    "SELECT l.letter, l.trace, l.octets, l.parcel, l.digest, b.octets FROM letter l"
    " LEFT JOIN body b ON b.letter = l.letter WHERE l.letter > ? ORDER BY l.letter LIMIT ?"
)

# Completing -----------------------------------------------------------------------------------------
NAMES = (
    "SELECT name, '' FROM account UNION ALL"
    " SELECT a.name, d.name FROM account a JOIN device d ON d.account = a.account ORDER BY 1, 2"
)
