"""``mailpost serve``: open the office, close it when told to."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

import click

from mailpost.cli.failures import BAD_CONFIG, FAILED, NOT_PERMITTED, UNAVAILABLE, Failed, explain
from mailpost.cli.office import open_office, read_config
from mailpost.cli.options import config_option
from mailpost.cli.supervisor import tell_supervisor

if TYPE_CHECKING:
    from twisted.internet.error import CannotListenError
    from twisted.python.failure import Failure

    from mailpost.config import Config
    from mailpost.inheritance import Inheritance
    from mailpost.service import PostOffice
    from mailpost.workers import Supervisor

CLOSING_SECONDS = 9.5
"""When the office has not closed by then, the process ends all the same; what had a 250 is kept."""


@click.command(
    epilog="""\b
Examples:
  mailpost --config office/mailpost.toml serve
  mailpost serve --verbose 2>mailpost.log"""
)
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Log every line of every session, too, its secrets masked.",
)
@config_option
def serve(verbose: bool) -> None:  # noqa: FBT001 - click's flag
    """Open the office and serve until SIGTERM or Ctrl-C.

    Where it listens and what to try next goes to standard output, the log to standard error. Run as
    root it binds its ports, then becomes the owner of the store. SIGHUP has it read its certificates
    again; an office of several workers reads its whole configuration again, and refuses nobody meanwhile.
    """
    path, config = read_config()
    from mailpost.inheritance import inherited  # noqa: PLC0415 - all of Twisted
    from mailpost.service import PostOffice  # noqa: PLC0415 - as above
    from mailpost.workers import Supervisor  # noqa: PLC0415 - as above

    inheritance = inherited()
    if inheritance is not None:
        inheritance = _forked(inheritance)
    _install_reactor()
    from twisted.internet import reactor  # noqa: PLC0415 - importing it installs it

    if inheritance is not None:
        _work(config, inheritance, verbose=verbose)
    office: PostOffice | Supervisor
    if config.office.workers == 1:
        office = PostOffice(config, reactor, transcripts=verbose)
    else:
        office = Supervisor(path, config, reactor, transcripts=verbose)
    from mailpost.cli.welcome import welcome  # noqa: PLC0415 - as above

    office.privilegedStartService()
    with open_office(config) as (_, store):  # from here on this is the store's owner
        names = [one.account.name for one in store.accounts.all() if one.account.password]

    def opened(_: None) -> None:
        # Only now: where the office does not open, the reason alone is told.
        _begin_logging(verbose=verbose)
        tell_supervisor("READY=1")
        reactor.callWhenRunning(click.echo, welcome(path, config, office.doors, names))

    office.opened.addCallback(opened)
    office.startService()
    failure = _run(reactor, office)
    if failure is not None:
        raise _reason(failure) from None


def _install_reactor() -> None:
    with suppress(ImportError):  # no epoll on this system: Twisted knows what there is instead
        from mailpost.reactor import install  # noqa: PLC0415 - all of Twisted

        install()


def _forked(inheritance: Inheritance) -> Inheritance:
    """Where this process is a fork server, fork workers, and return in each of them."""
    from mailpost.forkserver import forks  # noqa: PLC0415 - as above

    if not forks():
        return inheritance
    import mailpost.cli.work  # noqa: PLC0415 - what workers need is to be here before they are
    import mailpost.reactor  # noqa: F401, PLC0415 - likewise
    from mailpost.cli.forking import fork_workers  # noqa: PLC0415 - as above

    return fork_workers(inheritance)


def _work(config: Config, inheritance: Inheritance, *, verbose: bool) -> NoReturn:
    """Be one of several processes; what goes wrong is told to the supervisor alone."""
    from twisted.internet import reactor  # noqa: PLC0415 - as above

    from mailpost.cli.work import work  # noqa: PLC0415 - as above

    office = work(config, inheritance, reactor, _reason, transcripts=verbose)
    office.opened.addCallback(lambda _: _begin_logging(verbose=verbose))
    office.startService()
    raise SystemExit(FAILED if _run(reactor, office) else 0)


def _run(reactor: Any, office: PostOffice | Supervisor) -> Exception | None:
    """Run until the office has closed; tell what kept it from opening, if anything did."""
    failures: list[Exception] = []
    told_to_close: list[bool] = []

    def failed(failure: Failure) -> None:
        if told_to_close:  # before it had opened, which then is no failure
            return
        if isinstance(failure.value, Exception):
            failures.append(failure.value)
        reactor.callWhenRunning(reactor.stop)

    def closing() -> object:
        told_to_close.append(True)
        late = threading.Timer(CLOSING_SECONDS, os._exit, (FAILED,))
        late.daemon = True
        late.start()
        return office.stopService()

    def reload(*_: object) -> None:
        reactor.callFromThread(office.reload)  # what is wrong is in the log

    office.opened.addErrback(failed)
    signal.signal(signal.SIGHUP, reload)
    reactor.addSystemEventTrigger("before", "shutdown", closing)
    reactor.run()
    return failures[0] if failures else None


def _begin_logging(*, verbose: bool) -> None:
    from twisted.logger import LogLevel, globalLogBeginner  # noqa: PLC0415 - as above

    from mailpost.logs import LineObserver  # noqa: PLC0415 - as above

    observer = LineObserver(sys.stderr, LogLevel.debug if verbose else LogLevel.info)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def _reason(error: Exception) -> Exception:
    from twisted.internet.error import CannotListenError  # noqa: PLC0415 - as above

    from mailpost.tls import TLSError  # noqa: PLC0415 - as above
    from mailpost.worker import WorkerFailed  # noqa: PLC0415 - as above

    if isinstance(error, CannotListenError):
        return _not_listening(error)
    if isinstance(error, WorkerFailed):
        return Failed(error.status, str(error))
    if isinstance(error, TLSError):
        return Failed(BAD_CONFIG, str(error))
    return explain(error) or error


def _not_listening(error: CannotListenError) -> Failed:
    if not isinstance(error.port, int):
        return _no_socket(str(error.port), error.socketError)
    where = f"{error.interface or '*'}:{error.port}"
    number = getattr(error.socketError, "errno", None)
    if number == errno.EADDRINUSE:
        return Failed(UNAVAILABLE, _IN_USE.format(where=where))
    if number in (errno.EACCES, errno.EPERM):
        return Failed(
            NOT_PERMITTED,
            f"{where} may not be opened by this user; ports below 1024 are root's: "
            "run this as root, who then becomes the store's owner, or choose a higher port",
        )
    if number == errno.EADDRNOTAVAIL:
        return Failed(UNAVAILABLE, f"{where} is not an address of this machine")
    return Failed(UNAVAILABLE, f"{where} cannot be listened on: {error.socketError}")


_IN_USE = "{where} is in use by another program; end that one, or change the endpoint"


def _no_socket(where: str, error: OSError) -> Failed:
    """Say what is wrong with a UNIX socket, or one of systemd's."""
    if error.errno == errno.EADDRINUSE:
        return Failed(UNAVAILABLE, _IN_USE.format(where=where))
    if error.errno == errno.EEXIST:
        return Failed(UNAVAILABLE, f"{where} is there, and it is no socket: move it away")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return Failed(UNAVAILABLE, f"{where} cannot be made: its folder is not there, make it")
    if error.errno in (errno.EACCES, errno.EPERM):
        return Failed(
            NOT_PERMITTED,
            f"{where} may not be made by this user; choose a folder that belongs to the store's owner",
        )
    return Failed(UNAVAILABLE, f"{where} cannot be listened on: {error.strerror or error}")
