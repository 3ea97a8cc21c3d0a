"""What is logged while a test runs."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Self

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

if TYPE_CHECKING:
    from twisted.python.failure import Failure


class Logbook:
    """Notes every event that is logged.

    :ivar events: all but failures.
    :ivar failures: exceptions that were logged.
    """

    def __init__(self) -> None:
        self.events: list[LogEvent] = []
        self.failures: list[Failure] = []

    def __enter__(self) -> Self:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        gc.collect()  # a Deferred that failed, and that nobody looked at, tells so at its end
        globalLogPublisher.removeObserver(self)

    def __call__(self, event: LogEvent) -> None:
        if "log_failure" in event:
            self.failures.append(event["log_failure"])
        else:
            self.events.append(event)

    def take_failures(self, kind: type[BaseException]) -> list[Failure]:
        """The failures of a kind, which are no failure of the test then."""
        taken = [failure for failure in self.failures if failure.check(kind)]
        self.failures = [failure for failure in self.failures if not failure.check(kind)]
        return taken

    def lines(self, begin: str = "") -> list[str]:
        """The events as a person reads them, those that begin so."""
        return [line for line in map(formatEvent, self.events) if line.startswith(begin)]

    def fields(self, namespace: str, *names: str) -> list[dict[str, Any]]:
        """The events of a namespace that have all these fields: the fields alone."""
        return [
            {name: value for name, value in event.items() if not name.startswith("log_")}
            for event in self.events
            if event["log_namespace"] == namespace and {*names} <= {*event}
        ]
