"""``twistd mailpost``: the office as a Twisted application plugin."""

from __future__ import annotations

import atexit
import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.cred import credentials, strcred
from twisted.internet import reactor
from twisted.logger import Logger
from twisted.python import usage

from mailpost import config
from mailpost.service import PostOffice
from mailpost.workers import Supervisor

if TYPE_CHECKING:
    from twisted.application.service import IService
    from twisted.python.failure import Failure

_log = Logger(namespace="mailpost.tap")

_FAILED = 1
_HEARD = 100


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
        path = config.find(given)
        found = config.load(path)
    except config.ConfigError as error:
        raise usage.UsageError(str(error)) from error
    checkers = options.get("credCheckers") or ()
    transcripts = bool(options["verbose"])
    office: PostOffice | Supervisor
    if found.office.workers == 1:
        office = PostOffice(found, reactor, checkers=checkers, transcripts=transcripts)
    elif checkers:
        raise usage.UsageError(
            "--auth goes with workers = 1: other processes have no such checkers"
        )
    else:
        office = Supervisor(path, found, reactor, transcripts=transcripts, relay=True)
    office.opened.addCallbacks(
        lambda _: signal.signal(signal.SIGHUP, partial(_reload, office, reactor)),
        partial(_could_not_open, reactor, options.parent),
    )
    return office


def _reload(office: PostOffice | Supervisor, reactor: Any, *_: object) -> None:
    reactor.callFromThread(office.reload)  # what is wrong is in the log


def _could_not_open(reactor: Any, twistd: usage.Options | None, failure: Failure) -> None:
    why = failure.getErrorMessage()
    _log.critical("the office cannot open: {why}", why=why)
    # twistd has no status of its own for this, and ends with 0: a supervisor would take it for success.
    # At the very end, so that the shutdown is in order and the pid file is gone.
    atexit.register(os._exit, _FAILED)
    _tell_parent(reactor, twistd, why)
    reactor.callWhenRunning(reactor.stop)


def _tell_parent(reactor: Any, twistd: usage.Options | None, why: str) -> None:
    """Have ``twistd`` itself, who waits for its daemon to have started, say what is wrong and end with 1.

    It hears of exceptions alone, at a pipe, in 100 octets; an exception would leave no orderly shutdown.
    """
    if twistd is None or reactor.running:  # later it has ended, with 0
        return
    pipe, twistd["statusPipe"] = twistd.get("statusPipe"), None  # or success would be told as well
    if pipe is not None:
        os.write(pipe, f"1 {why}".encode("ascii", "backslashreplace")[:_HEARD])
        os.close(pipe)
