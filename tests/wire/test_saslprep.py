"""SASLprep, by the examples of RFC 4013 §3 and by each of its rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.wire.saslprep import Prohibited, saslprep


@pytest.mark.parametrize(
    ("typed", "prepared"),
    [
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),
        ("e\u0301", "\u00e9"),
        ("\u0627\u0031\u0628", "\u06271\u0628"),
        ("\u00ad", ""),
        ("", ""),
    ],
)
def test_brings_text_to_its_one_form(typed, prepared):
    """Soft hyphens vanish, foreign spaces become spaces, compatibility forms what they stand for."""
    assert saslprep(typed) == prepared


@pytest.mark.parametrize(
    "typed",
    [
        "\u0007",
        "a\nb",
        "a\u007f",
        "\u0085",
        "\u0627\u0031",  # from the right, but ends with a digit
        "\u0627a\u0628",  # both directions
        "\ue000",  # private use
        "\ufdd0",  # no character
        chr(0xD800),  # a surrogate
        "\ufffd",  # not for plain text
        "\u2ff0",  # not for canonical representation
        "\u200e",  # changes how it is shown
        "\U000e0041",  # a tag
    ],
)
def test_refuses_what_no_name_may_have(typed):
    """Control characters, mixed directions and what is no character at all are refused."""
    with pytest.raises(Prohibited):
        saslprep(typed)


def test_a_character_newer_than_unicode_3_2_may_be_asked_about_but_not_kept():
    """RFC 3454 §7: a query may hold unassigned code points, a stored string may not."""
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(Prohibited):
        saslprep("\u0221", kept=True)


def test_a_refusal_does_not_quote_the_text():
    """The text may be a password, and the message may be logged."""
    with pytest.raises(Prohibited) as caught:
        saslprep("secret\n")
    assert "secret" not in str(caught.value)


@given(st.text())
def test_what_is_prepared_stays_as_it_is(text):
    """Preparing twice is preparing once."""
    try:
        prepared = saslprep(text)
    except Prohibited:
        return
    assert saslprep(prepared) == prepared
