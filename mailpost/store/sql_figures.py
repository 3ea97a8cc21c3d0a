"""The statement that tells how large a store is."""

FIGURES = (
    "SELECT (SELECT count(*) FROM account), (SELECT coalesce(sum(letters), 0) FROM maildrop),"
    " (SELECT coalesce(sum(octets), 0) FROM maildrop), (SELECT count(*) FROM bin)"
)
