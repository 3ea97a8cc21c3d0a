"""The post office as a service: the one place where the rooms are joined.

Read top to bottom: :class:`PostOffice` opens the store, hands it to sorting, to the Portal and to the
listeners' factories, opens the doors, and closes all of it again in the opposite order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, FirstError, gatherResults
from twisted.logger import Logger

from mailpost import malloc
from mailpost.accounts.portal import make_portal
from mailpost.accounts.tokens import make_checker
from mailpost.collection import POP3Factory
from mailpost.control import Control, asked_elsewhere
from mailpost.control_client import beside
from mailpost.doors import Door
from mailpost.guard import Guard, GuardRules
from mailpost.intake import Allowance, LMTPFactory, Notices, SMTPFactory, SubmissionFactory
from mailpost.limits import ConnectionLimits, connection_rates
from mailpost.open_files import SPARE, room_for
from mailpost.rota import Rota
from mailpost.sorting.local import LocalSorter
from mailpost.status import report
from mailpost.store import DAY, Domains, Policy, Store, open_store
from mailpost.threads import Threads
from mailpost.tls import CertificateFiles, ServerTLS
from mailpost.wire.smtp import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twisted.cred.checkers import ICredentialsChecker
    from twisted.cred.portal import Portal
    from twisted.internet.task import LoopingCall
    from twisted.python.failure import Failure

    from mailpost.accounts.tokens import IntrospectionChecker
    from mailpost.config import Config
    from mailpost.connection import Connection
    from mailpost.inheritance import Inheritance
    from mailpost.listener import ConnectionFactory

_log = Logger(namespace="mailpost.service")

STOP_SECONDS = 4.0
"""How long sessions may take to end when the office closes; then they are cut off."""

SWITCH_SECONDS = 0.0005
"""How long the reactor's thread may keep the interpreter from the ledger's, which commits."""

_THREADS = 8


class PostOffice(Service):
    """A running post office.

    :ivar opened: fires when every door is open; fails with why one is not, or the store.
    :ivar doors: the listeners, in the order of the configuration.
    :param portal: another Portal than the office's own, whose realm gives ``IMaildrop`` or ``IMailbox``.
    :param checkers: who checks passwords in place of the office's own accounts (``twistd --auth``).
    :param transcripts: whether every line of every session is logged, at debug, secrets masked.
    :param inheritance: of one of several workers; None: this office is one process.
    """

    def __init__(
        self,
        config: Config,
        reactor: Any,
        portal: Portal | None = None,
        checkers: Sequence[ICredentialsChecker] = (),
        *,
        transcripts: bool = False,
        inheritance: Inheritance | None = None,
    ) -> None:
        self.setName("mailpost")  # type: ignore[no-untyped-call]
        self._config = config
        self._reactor = reactor
        self._portal = portal
        self._checkers = checkers
        self._transcripts = transcripts
        self._inheritance = inheritance
        self._threads: Threads | None = None
        self._giving_back: LoopingCall | None = None
        self._store: Store | None = None
        self._tls: ServerTLS | None = None
        self._control: Control | None = None
        self._since = 0.0
        self._binding: list[Deferred[None]] | None = None
        self.doors = [Door(listen) for listen in config.listen]
        self.opened: Deferred[None] = Deferred()

    # Opening --------------------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Bind the ports, perhaps still as root."""
        given = self._inheritance
        if given is None:
            self._binding = [door.bind(self._reactor) for door in self.doors]
            return
        self._binding = []
        for number, (door, listener) in enumerate(zip(self.doors, given.listeners, strict=True)):
            door.adopt(self._reactor, listener, given.occupancy.share(given.place, number))

    def startService(self) -> None:
        """Open the store, join the rooms, let people in."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._binding is None:
            self.privilegedStartService()
        bound = gatherResults(self._binding or [], consumeErrors=True)
        bound.addCallback(lambda _: self._open())
        bound.addErrback(first_cause)
        bound.addCallbacks(lambda _: self.opened.callback(None), self.opened.errback)

    def _open(self) -> None:
        """Join the rooms, from the store up."""
        config, reactor = self._config, self._reactor
        sys.setswitchinterval(SWITCH_SECONDS)
        malloc.set_limits()
        self._threads = threads = Threads(reactor.callFromThread, _THREADS, "mailpost")
        self._giving_back = malloc.keep_small(reactor, threads.defer)
        self._store = store = open_store(
            config.office.database,
            clock=reactor,
            call_in_reactor=reactor.callFromThread,
            defer_to_thread=threads.defer,
            policy=Policy(
                reserve=config.office.disk_reserve,
                lapse=config.office.device_lapse * DAY,
                bin_keeps=config.keeping.bin * DAY,
                quota=config.keeping.quota,
                retention=config.keeping.retention,
            ),
        )
        store.warnings.write = Notices(config.office.hostname, config.office.domains[0]).filling
        store.logins.there = self._sessions
        store.start()
        sorter = LocalSorter(store.addresses, config)
        domains = Domains(config.office.domains, store.addresses)
        portal = self._portal or make_portal(
            store,
            config.office,
            threads.defer,
            self._checkers,
            self._token_checker(domains),
            domains,
            sorter.belongs,
        )
        guard = Guard(reactor, GuardRules(**config.guard.model_dump()), store.bans.keep)
        store.bans.fill(guard.bans, lambda: self._turn_away(guard))
        rota = Rota(reactor)
        limits = ConnectionLimits(
            self._connections(),
            config.limits.connections_per_address,
            loopback_exempt=config.limits.exempt_loopback,
            per_minute=connection_rates(reactor, config.limits.connections_per_minute),
        )
        allowance = Allowance(
            reactor,
            config.limits.letters_per_hour,
            config.limits.recipients_per_hour,
            loopback_exempt=config.limits.exempt_loopback,
        )
        if config.certificate:
            files = [CertificateFiles(Path(one.chain), Path(one.key)) for one in config.certificate]
            tickets = None if self._inheritance is None else self._inheritance.tickets
            self._tls = ServerTLS(files, reactor, tickets=tickets)
        for door in self.doors:
            room = self._room(door.listen.protocol, store, sorter, portal, limits)
            if isinstance(room, SMTPFactory):
                room.desk.allowance = allowance
            room.transcripts = self._transcripts
            room.guard, room.rota = guard, rota
            door.open_to(room, self._tls if door.listen.tls != "none" else None, reactor)
            if self._inheritance is None:
                _log.info("{protocol} on {where}", protocol=door.listen.protocol, where=door.where)
        self._since = reactor.seconds()
        if self._inheritance is None:
            self._open_control(store)

    def _connections(self) -> int:
        """How many are let in: what the configuration says, where the system allows as many open files."""
        wanted = self._config.limits.connections
        room = room_for(wanted)
        if room < wanted:
            _log.warn(
                "the system allows too few open files: {room} connections are let in, not {wanted};"
                " raise the hard limit to {needed} (LimitNOFILE in systemd's unit, ulimit -Hn in a shell)",
                room=room,
                wanted=wanted,
                needed=wanted + SPARE,
            )
        return room

    def _open_control(self, store: Store) -> None:
        """Be asked how this office fares, unless another process is asked already."""
        if not store.sole():
            asked_elsewhere()
            return
        verbs = {"status": self.report, "reload": self._read_again}
        self._control = Control(beside(store.path), self._reactor, verbs)
        self._control.open()

    def _sessions(self) -> list[Connection]:
        rooms = [door.room for door in self.doors if door.room is not None]
        return [connection for room in rooms for connection in room.connections]

    def _turn_away(self, guard: Guard) -> None:
        """The owner has changed the bans: whoever is banned by hand now has to go."""
        rooms = [door.room for door in self.doors if door.room is not None]
        ended = sum(room.turn_away() for room in rooms)
        _log.info(
            "bans were changed by hand: {count} are in force, {ended} sessions were ended",
            count=len(guard.bans),
            ended=ended,
        )

    def _token_checker(self, domains: Domains) -> IntrospectionChecker | None:
        oauth = self._config.oauth
        return None if oauth is None else make_checker(oauth, domains, self._reactor)

    def _room(
        self,
        protocol: str,
        store: Store,
        sorter: LocalSorter,
        portal: Portal,
        limits: ConnectionLimits,
    ) -> ConnectionFactory:
        """The room that speaks a protocol."""
        config = self._config
        if protocol == "pop3":
            collecting = POP3Factory(
                config.office.hostname,
                portal,
                self._reactor,
                limits,
                config.limits.pop3_idle,
                config.limits.errors_per_session,
                config.limits.login_delay,
                apop=config.office.apop,
            )
            collecting.expire = store.expiry.announced
            return collecting
        settings = Settings(
            hostname=config.office.hostname,
            max_octets=config.office.max_letter_size,
            max_recipients=config.office.max_recipients,
            max_errors=config.limits.errors_per_session,
            needs_login=protocol == "submission",
        )
        return _INTAKES[protocol](
            settings,
            sorter,
            store.delivery,
            self._reactor,
            limits,
            config.limits.smtp_idle,
            None if protocol == "lmtp" else portal,
        )

    def reload(self) -> tuple[str, ...]:
        """Read the certificates again; what is wrong with them, in a sentence each."""
        return self._tls.reload() if self._tls is not None else ()

    # At the control socket ------------------------------------------------------------------------

    def report(self, _: object = None) -> dict[str, Any]:
        """How the office fares, as JSON can say it."""
        assert self._store is not None
        return report(self.doors, self._store, self._since)

    def _read_again(self, _: object) -> dict[str, Any]:
        files = [str(one.chain) for one in self._config.certificate]
        return {"certificates": files, "mistakes": list(self.reload())}

    # Closing --------------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Close the doors, and wait for the sessions there are to end by themselves."""
        await DeferredList([door.close() for door in self.doors])
        await DeferredList([door.room.emptied() for door in self.doors if door.room is not None])

    def stopService(self) -> Deferred[None]:
        """Close the doors, end the sessions, write what was accepted; fires when all is done."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._close())

    async def _close(self) -> None:
        if self._control is not None:
            self._control.close()
        await DeferredList([door.close() for door in self.doors])
        rooms = [door.room for door in self.doors if door.room is not None]
        ended = DeferredList([room.shut_down() for room in rooms])
        cut_off = self._reactor.callLater(STOP_SECONDS, _cut_off, rooms)
        await ended
        if cut_off.active():
            cut_off.cancel()
        if self._store is not None:
            self._store.close()
            self._store = None
        if self._giving_back is not None:
            self._giving_back.stop()
            self._giving_back = None
        if self._threads is not None:
            self._threads.stop()
        _log.info("closed")


_INTAKES = {"smtp": SMTPFactory, "submission": SubmissionFactory, "lmtp": LMTPFactory}


def _cut_off(rooms: Sequence[ConnectionFactory]) -> None:
    for room in rooms:
        room.cut_off()


def first_cause(failure: Failure) -> Failure:
    """What went wrong first, out of what was waited for together."""
    return failure.value.subFailure if isinstance(failure.value, FirstError) else failure
