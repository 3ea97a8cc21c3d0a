"""Statements for many rows."""

from hypothesis import given
from hypothesis import strategies as st

from mailpost.store import sql


def test_times():
    """The row of values is multiplied, the rest stays."""
    assert sql.times("UPDATE t SET a = b FROM (VALUES (?,?)) AS v", 2) == (
        "UPDATE t SET a = b FROM (VALUES (?,?),(?,?)) AS v"
    )


@given(st.integers(0, 1000))
def test_portions_cover_all_in_few_sizes(total):
    """Every row is in exactly one portion, and all portions are of sizes that stay prepared."""
    portions = list(sql.portions(total))
    assert [row for start, end in portions for row in range(start, end)] == list(range(total))
    assert all(end - start in sql.SIZES for start, end in portions)


@given(st.integers(0, 300))
def test_each_hands_over_every_value(rows):
    """All values are executed with, in their order."""
    seen = []

    def execute(statement, values):
        assert statement.count("?") == len(values)
        seen.extend(values)

    sql.each(execute, "INSERT INTO t VALUES (?,?)", list(range(2 * rows)))
    assert seen == list(range(2 * rows))
