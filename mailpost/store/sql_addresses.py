"""The statements of domains and aliases, in the SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

# All that is known of an address, by four looks into indexes; a row for each of many addresses.
FIND = (
    "SELECT v.column1, v.column2,"
    " (SELECT json_array(d.domain, d.ours, d.accounts, d.separator) FROM domain d"
    " WHERE d.domain = v.column1),"
    " (SELECT string_agg(a.target, '\n') FROM alias a"
    " WHERE a.domain = v.column1 AND a.local = v.column2),"
    " (SELECT string_agg(a.target, '\n') FROM alias a WHERE a.domain = '' AND a.local = v.column2),"
    " (SELECT maildrop FROM account WHERE name = v.column2) FROM (VALUES (?,?)) AS v"
)

DOMAINS = "SELECT domain, ours, accounts, separator FROM domain ORDER BY domain"
DOMAIN = "SELECT domain, ours, accounts, separator FROM domain WHERE domain = ?"
SET_DOMAIN = (
    "INSERT INTO domain (domain, ours, accounts, separator) VALUES (?,?,?,?) ON CONFLICT (domain)"
    " DO UPDATE SET ours = excluded.ours, accounts = excluded.accounts, separator = excluded.separator"
)
REMOVE_DOMAIN = "DELETE FROM domain WHERE domain = ?"

ALIASES = "SELECT domain, local, target FROM alias ORDER BY domain, local, target"
ALIASES_AT = "SELECT domain, local, target FROM alias WHERE domain = ? ORDER BY local, target"
ALIAS = "SELECT domain, local, target FROM alias WHERE domain = ? AND local = ? ORDER BY target"
# Whose target is a name, or an address that begins with it: "A" follows upon "@".
ALIASES_OF = (
    "SELECT domain, local, target FROM alias WHERE target = ? OR (target >= ? AND target < ?)"
    " ORDER BY domain, local, target"
)
ALIASES_TO = (
    "SELECT domain, local, target FROM alias WHERE target LIKE ? ESCAPE '\\'"
    " ORDER BY domain, local, target"
)
ADD_ALIAS = (
    "INSERT INTO alias (domain, local, target) VALUES (?,?,?) ON CONFLICT DO NOTHING"
    " RETURNING alias"
)
REMOVE_TARGET = "DELETE FROM alias WHERE domain = ? AND local = ? AND target = ? RETURNING alias"
REMOVE_ALIASES_AT = "DELETE FROM alias WHERE domain = ?"
