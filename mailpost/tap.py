"""``twistd mailpost``: the office as a Twisted application plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from twisted.cred import credentials, strcred
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python import usage

from mailpost import config
from mailpost.service import PostOffice

if TYPE_CHECKING:
    from twisted.application.service import IService
    from twisted.python.failure import Failure

_log = Logger(namespace="mailpost.tap")


class Options(usage.Options, strcred.AuthOptionMixin):
    """The options of ``twistd mailpost``."""

    synopsis = "[--config FILE] [--auth CHECKER]..."
    longdesc = "A post office: letters in by SMTP, kept durably, out by POP3. Make one with `mailpost init`."
    supportedInterfaces = (
        credentials.IUsernamePassword,
        credentials.IUsernameHashedPassword,
    )
    optParameters: ClassVar[list[list[str | None]]] = [
        [
            "config",
            "c",
            None,
            f"The configuration; where not given: $MAILPOST_CONFIG, {', '.join(config.SEARCHED)}",
        ],
    ]
    optFlags: ClassVar[list[list[str | None]]] = [
        ["verbose", "v", "Log every line of every session, secrets masked"],
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
    office = PostOffice(
        found,
        reactor,
        checkers=options.get("credCheckers") or (),
        transcripts=bool(options["verbose"]),
    )
    office.opened.addErrback(_could_not_open, reactor)
    return office


def _could_not_open(failure: Failure, reactor: Any) -> None:
    _log.critical("the office cannot open: {why}", why=failure.getErrorMessage())
    reactor.callWhenRunning(reactor.stop)
