"""The statements for bans (:mod:`mailpost.store.bans`) and for changes (:mod:`mailpost.store.changes`)."""

from __future__ import annotations

# Numbers that grow whenever the command line has changed something that the office holds in memory.
CHANGED = "SELECT name, value FROM office WHERE name IN (VALUES (?))"
CHANGE = (
    "INSERT INTO office (name, value) VALUES (?, '1')"
    " ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(office.value AS BIGINT) + 1 AS TEXT)"
)

IN_FORCE = (
    "SELECT json_group_array(json_array(network, until, made, reason, by_hand, guesses))"
    " FROM (SELECT * FROM ban WHERE until IS NULL OR until > ? ORDER BY made, network)"
)
# The guard's own never takes the place of one by hand.
KEEP = (
    "INSERT INTO ban (network, until, made, reason, by_hand, guesses) VALUES (?,?,?,?,0,?)"
    " ON CONFLICT (network) DO UPDATE SET until = excluded.until, made = excluded.made,"
    " reason = excluded.reason, guesses = excluded.guesses WHERE ban.by_hand = 0"
)
ADD = (
    "INSERT INTO ban (network, until, made, reason, by_hand, guesses) VALUES (?,?,?,?,1,?)"
    " ON CONFLICT (network) DO UPDATE SET until = excluded.until, made = excluded.made,"
    " reason = excluded.reason, by_hand = 1"
)
REMOVE = "DELETE FROM ban WHERE network = ? RETURNING network"
FORGET = "DELETE FROM ban WHERE until <= ?"
FORGET_OLDEST = (
    "DELETE FROM ban WHERE network IN (SELECT network FROM ban WHERE by_hand = 0"
    " ORDER BY made DESC LIMIT 9223372036854775807 OFFSET ?)"
)
