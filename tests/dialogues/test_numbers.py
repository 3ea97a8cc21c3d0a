"""No behaviour that is asked for is without a dialogue or a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .numbers import POP3, SMTP
from .script import FOLDER, scripts

TESTS = Path(__file__).parents[1]
_FUNCTION = re.compile(r"def (test_(smtp|pop3)_(\d\d)\w*)")


def shown_in(protocol: str) -> dict[int, list[str]]:
    """By number: the dialogues and the tests that show it."""
    shown: dict[int, list[str]] = {}
    for script in scripts(protocol) + (scripts("lmtp") if protocol == "smtp" else []):
        numbers = re.match(r"(?:\d\d-)+", script.name.partition("/")[2])
        assert numbers is not None, f"{script.name} has no number"
        for number in numbers[0].rstrip("-").split("-"):
            shown.setdefault(int(number), []).append(f"dialogues/{script.name}.txt")
    for path in sorted(TESTS.rglob("test_*.py")):
        for name, kind, number in _FUNCTION.findall(path.read_text()):
            if kind == protocol:
                place = f"{path.relative_to(TESTS)}::{name}"
                shown.setdefault(int(number), []).append(place)
    return shown


@pytest.mark.parametrize(("protocol", "asked"), [("smtp", SMTP), ("pop3", POP3)])
def test_every_number_is_shown(protocol: str, asked: dict[int, str]) -> None:
    """Each behaviour has a dialogue or a named test, and no name bears an unknown number."""
    shown = shown_in(protocol)
    missing = {number: text for number, text in asked.items() if number not in shown}
    assert not missing
    assert set(shown) <= set(asked)


def test_every_file_is_a_dialogue() -> None:
    """Nothing lies among the dialogues that nobody runs."""
    for protocol in ("smtp", "lmtp", "pop3"):
        assert {path.suffix for path in (FOLDER / protocol).iterdir()} == {".txt"}
