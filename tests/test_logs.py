"""The log's lines: what is written of an event, and that the short way to it tells the same."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

import pytest
from twisted.logger import Logger, LogLevel

from mailpost.logs import EventLogger, LineObserver, told

if TYPE_CHECKING:
    from twisted.logger import LogEvent

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4} ")


class Lines:
    """A LineObserver, and what it has written."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        self.observer = LineObserver(self._stream)

    def last(self) -> str:
        """The last event's text, its time taken away."""
        line = self._stream.getvalue()
        self._stream.seek(0)
        self._stream.truncate()
        return STAMP.sub("", line, count=1)


def test_an_event_is_told_as_twisted_tells_it() -> None:
    """Whoever observes cannot say by which logger it came."""
    events: list[LogEvent] = []
    for kind in (Logger, EventLogger):
        logger: Any = kind(namespace="mailpost.test", source=7, observer=events.append)
        logger.info("{who} has {count}", who="alice", count=3)
    short, long = events[1], events[0]
    assert short.keys() == long.keys()
    assert 0 <= short["log_time"] - long["log_time"] < 60
    for key in long.keys() - {"log_time", "log_logger"}:
        assert short[key] == long[key]


@pytest.mark.parametrize(
    ("level", "form", "values", "line"),
    [
        (LogLevel.info, "{who} came", {"who": "alice"}, "alice came\n"),
        (LogLevel.warn, "{who} came", {"who": "alice"}, "warn: alice came\n"),
        (LogLevel.info, "{who()} came", {"who": lambda: "alice"}, "alice came\n"),
        (LogLevel.debug, "not shown", {}, ""),
    ],
)
def test_a_line(level: Any, form: str, values: dict[str, Any], line: str) -> None:
    """The level is named from a warning up; a form that only Twisted knows is left to it."""
    lines = Lines()
    Logger(namespace="mailpost.test", observer=lines.observer).emit(level, form, **values)
    assert lines.last() == line


def test_a_failure_has_its_traceback() -> None:
    """Below its line."""
    lines = Lines()
    logger = Logger(namespace="mailpost.test", observer=lines.observer)
    with logger.failuresHandled("that went wrong"):
        raise ZeroDivisionError("of course")
    line = lines.last()
    assert line.startswith("critical: that went wrong\nTraceback")
    assert line.endswith("ZeroDivisionError: of course\n")


@pytest.mark.parametrize(
    ("name", "text"), [("alice", "alice"), ("a\nb", r"'a\nb'"), ("ä", r"'\xe4'"), ("a b", "'a b'")]
)
def test_a_name_that_somebody_gave(name: str, text: str) -> None:
    """It can never look like a line of ours."""
    assert told(name) == text
