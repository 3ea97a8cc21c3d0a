"""For how long letters are kept, as people write it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.retention import MOST, NEVER, Retention


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("never", NEVER),
        ("30d", Retention(30)),
        ("1 day", Retention(1)),
        ("30 days", Retention(30)),
        ("30d after collected", Retention(30, collected=True)),
        ("7 days after collected", Retention(7, collected=True)),
    ],
)
def test_what_people_write(text, meant):
    """It is read in the ways that are obvious."""
    assert Retention.read(text) == meant


@pytest.mark.parametrize(
    "text",
    [" ", "0d", "-1d", "30", "d", "30h", "36501d", "99999d", "30d after", "٣d", "30d\n", "Never"],
)
def test_what_cannot_be(text):
    """Anything else is refused, and nothing is deleted by a slip of the pen."""
    with pytest.raises(ValueError, match=re.escape(text)):
        Retention.read(text)


@given(st.builds(Retention, st.integers(1, MOST), st.booleans()) | st.just(NEVER))
def test_there_and_back(retention):
    """What is written is read as the same."""
    assert Retention.read(str(retention)) == retention
