"""``twistd mailpost``: the office as a Twisted application plugin."""

from __future__ import annotations

from typing import Any, ClassVar

from twisted.application.service import IService
from twisted.cred import credentials, strcred
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python import usage
from twisted.python.failure import Failure

from mailpost import config
from mailpost.service import PostOffice

_log = Logger(namespace="mailpost.tap")


class Options(usage.Options, strcred.AuthOptionMixin):  # type: ignore[misc]  # untyped in twisted
    """The options of ``twistd mailpost``."""

    synopsis = "[--config FILE] [--auth CHECKER]..."
    longdesc = (
        "A post office: letters in by SMTP, kept durably, out by POP3. Make one with `mailpost init`."
    )
    supportedInterfaces = (
        credentials.IUsernamePassword,
        credentials.IUsernameHashedPassword,
    )
    optParameters: ClassVar[list[list[str | None]]] = [
        ["config", "c", None, "The configuration; if not given: $MAILPOST_CONFIG, ./mailpost.toml,"
         " /etc/mailpost/mailpost.toml"],
    ]


def makeService(options: Options) -> IService:
    """Make the office that the options describe.

    :raises usage.UsageError: the configuration cannot be used; every mistake is named.
    """
    given: str | None = options["config"]
    try:
        found = config.load(config.find(given))
    except config.ConfigError as error:
        raise usage.UsageError(str(error)) from error
    office = PostOffice(found, reactor, checkers=options.get("credCheckers") or ())
    office.opened.addErrback(_could_not_open, reactor)
    return office


def _could_not_open(failure: Failure, reactor: Any) -> None:
    _log.critical("the office cannot open: {why}", why=failure.getErrorMessage())
    reactor.callWhenRunning(reactor.stop)
