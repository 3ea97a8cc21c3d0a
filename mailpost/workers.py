"""Workers: one office in several processes, so that it uses every core.

The supervisor binds the ports, serves nobody itself, and hands the ports to workers, each a whole
:class:`~mailpost.service.PostOffice` over the same store; newcomers go to those that have fewer connections
(:mod:`mailpost.accepting`). A worker that dies takes its own sessions with it and nothing else: its locks are
free at once, connections that wait for a listener wait for the others, and another is started in its place.

To read the configuration again the supervisor starts a new generation of workers, and only when all of
those are open lets the old ones finish what they have begun. So no connection is refused meanwhile, and a
mistake in the file changes nothing.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from mailpost import forkserver
from mailpost.config import load
from mailpost.control import Control, asked_elsewhere
from mailpost.control_client import beside
from mailpost.doors import Door
from mailpost.endpoint import place
from mailpost.generation import Generation
from mailpost.status import together
from mailpost.store import serving

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from mailpost.config import Config
    from mailpost.inheritance import Inheritance
    from mailpost.store.locks import LockFile
    from mailpost.worker import Worker

_log = Logger(namespace="mailpost.workers")

STOP_SECONDS = 8.0
"""How long workers may take to close; then they are killed. What had a 250 is kept."""


class Supervisor(Service):
    """An office of several processes.

    :param path: the configuration's file.
    :param config: what it said at the start.
    :param transcripts: as for an office of one process.
    :param relay: whether workers' logs go through ours; if not, they go to standard error as they are.
    :param fork: whether workers are forked from one process, and share what it has made ready.
    :ivar opened: fires when every worker serves; fails with why one does not.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        reactor: Any,
        *,
        transcripts: bool = False,
        relay: bool = False,
        fork: bool = forkserver.AVAILABLE,
    ) -> None:
        self.setName("mailpost")  # type: ignore[no-untyped-call]
        self._path = path.absolute()
        self._command = [sys.executable, "-m", "mailpost", "--config", str(self._path), "serve"]
        if transcripts:
            self._command.append("--verbose")
        self._log_to: int | str = "r" if relay else 2
        self._reactor = reactor
        self._starter = forkserver.ForkServer if fork else Programs
        self._generation = self._make(config)
        self._retired: list[Generation] = []
        self._binding: Deferred[Any] | None = None
        self._reloading = False
        self._serving: LockFile | None = None
        self._control: Control | None = None
        self._since = 0.0
        self.opened: Deferred[None] = Deferred()

    @property
    def doors(self) -> Sequence[Door]:
        """The listeners, in the order of the configuration."""
        return self._generation.doors

    def privilegedStartService(self) -> None:
        """Bind the ports, perhaps still as root."""
        self._binding = self._generation.bind()

    def startService(self) -> None:
        """Start the first workers."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._binding is None:
            self.privilegedStartService()
        assert self._binding is not None
        self._binding.addCallback(lambda _: self._generation.fill())
        self._binding.addCallback(lambda _: self._opened())
        self._binding.addCallbacks(lambda _: self.opened.callback(None), self.opened.errback)

    def _opened(self) -> None:
        self._tell()
        self._since = self._reactor.seconds()
        database = self._generation.config.office.database
        self._serving = serving(database)
        if self._serving is None:
            asked_elsewhere()
            return
        verbs = {"status": self._status, "reload": self._read_again}
        self._control = Control(beside(database), self._reactor, verbs)
        self._control.open()

    def _make(self, config: Config, old: Sequence[Door] = ()) -> Generation:
        """A generation; where a listener stays as it is, its port stays."""
        bound = {place(door.listen.description): door for door in old}
        doors = [Door(listen) for listen in config.listen]
        for door in doors:
            if (stays := bound.get(place(door.listen.description))) is not None:
                door.take_over(stays)
        starter = self._starter(self._reactor, self._command, self._log_to)
        return Generation(config, doors, starter, self._reactor)

    def _tell(self) -> None:
        for door in self.doors:
            _log.info("{protocol} on {where}", protocol=door.listen.protocol, where=door.where)
        _log.info("{count} workers serve", count=len(self._generation.workers))

    # Reading the configuration again --------------------------------------------------------------

    def reload(self) -> Deferred[tuple[str, ...]]:
        """Serve by what the configuration says now; what is wrong with it, in a sentence each."""
        return Deferred.fromCoroutine(self._reload())

    async def _reload(self) -> tuple[str, ...]:
        if self._reloading:
            return ("a reload is under way",)
        self._reloading = True
        old = self._generation
        try:
            new = self._make(load(self._path), old.doors)
            await self._open(new, old)
        except Exception as error:  # noqa: BLE001 - a mistake in the file, a port that is taken, a worker
            _log.error("nothing was changed by the reload: {why}", why=error)
            return tuple(str(error).splitlines())
        finally:
            self._reloading = False
        self._generation = new
        self._retired = [one for one in self._retired if one.workers] + [old]
        old.finish()
        _close_but(old.doors, new.doors)
        _log.info("the configuration was read again")
        self._tell()
        return ()

    async def _open(self, new: Generation, old: Generation) -> None:
        try:
            await new.bind()
            await new.fill()
            for door in new.doors:
                door.settle()
        except Exception:
            new.stop()
            _close_but(new.doors, old.doors)
            raise

    # At the control socket ------------------------------------------------------------------------

    def _status(self, _: object) -> Deferred[dict[str, Any]]:
        asked = DeferredList(
            [worker.ask("status") for worker in self._workers()], consumeErrors=True
        )
        return asked.addCallback(
            lambda told: together([one for ok, one in told if ok], self._since)
        )

    def _read_again(self, _: object) -> Deferred[dict[str, Any]]:
        def done(mistakes: tuple[str, ...]) -> dict[str, Any]:
            certificates = self._generation.config.certificate
            files = [str(one.chain) for one in certificates]
            workers = len(self._generation.workers)
            return {"workers": workers, "certificates": files, "mistakes": list(mistakes)}

        return self.reload().addCallback(done)

    def _workers(self) -> list[Worker]:
        return [one for each in (*self._retired, self._generation) for one in each.workers]

    # Closing --------------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Close the doors and every worker; fires when all have ended."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self._control is not None:
            self._control.close()
        workers = self._workers()
        for generation in (*self._retired, self._generation):
            generation.stop()
        kill = self._reactor.callLater(STOP_SECONDS, _kill, workers)
        await DeferredList([door.close() for door in self.doors])
        await DeferredList([worker.ended for worker in workers])
        if kill.active():
            kill.cancel()
        if self._serving is not None:
            self._serving.close()
        _log.info("closed")


class Programs:
    """Starts each worker as a program of its own, where the system has no fork server.

    :param command: what it is run by.
    :param log_to: where its standard error goes: a descriptor, or ``"r"`` to be logged here.
    """

    def __init__(self, reactor: Any, command: Sequence[str], log_to: int | str) -> None:
        self._reactor = reactor
        self._command = command
        self._log_to = log_to

    def start(self, worker: Worker, given: Inheritance) -> None:
        """Start a worker's process."""
        descriptors: Mapping[int, Any] = {0: "w", 1: "r", 2: self._log_to, **given.descriptors}
        environment = os.environ | given.environment
        self._reactor.spawnProcess(
            worker, self._command[0], self._command, env=environment, childFDs=descriptors
        )

    def end(self) -> None:
        """There is nothing to end."""


def _close_but(doors: Sequence[Door], kept: Sequence[Door]) -> None:
    """Close the doors whose port none of the others has."""
    ports = {door.port for door in kept}
    for door in doors:
        if door.port not in ports:
            door.close()


def _kill(workers: Sequence[Worker]) -> None:
    for worker in workers:
        worker.stop("KILL")
