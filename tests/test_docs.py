"""The documents say what is true: they are well-formed, and name events and files that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from docutils.core import publish_doctree

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.rst"), *ROOT.glob("docs/*.rst")])
LEVELS = {"debug", "info", "warn", "error", "critical", "failure"}
ROW = re.compile(r"^   \* - ``([a-z.]+)``\n     - (\w+)\n     - ``(.+?)``\n     - \S", re.MULTILINE)

Event = tuple[str, str, str]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_is_well_formed(document: Path) -> None:
    """docutils has nothing to remark on it."""
    publish_doctree(
        document.read_text(encoding="utf-8"),
        str(document),
        settings_overrides={"halt_level": 1, "report_level": 1, "syntax_highlight": "none"},
    )


def test_the_table_of_log_events() -> None:
    """It has every event of the code, word by word, and no other."""
    table = ROW.findall((ROOT / "docs" / "log.rst").read_text(encoding="utf-8"))
    assert len(table) == len(set(table)), "an event is there twice"
    assert sorted(table) == sorted(set(events()))


def test_files_that_the_architecture_names() -> None:
    """Each of them is there."""
    text = (ROOT / "docs" / "architecture.rst").read_text(encoding="utf-8")
    named = set(re.findall(r"``([a-z_]+(?:/[a-z_0-9]+)*\.py)``", text))
    there = {str(path.relative_to(ROOT / "mailpost")) for path in ROOT.glob("mailpost/**/*.py")}
    assert named - there == set()


def events() -> Iterator[Event]:
    """The log events of the code: namespace, level, text."""
    for path in ROOT.glob("mailpost/**/*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        namespace = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for call in calls:
            if isinstance(call.func, ast.Name) and call.func.id in {"Logger", "EventLogger"}:
                for keyword in call.keywords:
                    namespace = ast.literal_eval(keyword.value)
        for call in calls:
            if isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS:
                logger = ast.unparse(call.func.value)
                if logger in {"_log", "log", "self.log", "self._log"}:
                    level = {"failure": "critical"}.get(call.func.attr, call.func.attr)
                    yield namespace, level, ast.literal_eval(call.args[0])
