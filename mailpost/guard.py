"""The guard before the logins: whoever guesses passwords is slowed down, then banned for a while.

The rooms ask it when a connection comes and around every login. What it counts it keeps in memory, under
digests that are keyed for this process, so it holds no password and no name; and all it keeps is bounded.
Bans alone are there in the clear, and outlive the process: the owner sees and lifts them (``mailpost ban``).

**What is counted.** Distinct guesses, each a name and a password, for each :func:`neighbourhood`. A
mail program with an outdated password offers the same one every five minutes for weeks: that is one
guess, however often it comes, and the office behind the same address notices nothing of it.

**A wrong proof says nothing of the password** (SCRAM, APOP): an outdated one looks different each time. So
eight wrong proofs for one name from one neighbourhood count as one guess. Three programs that come every five
minutes are five guesses an hour then, of the thirty that get a ban. A guesser who uses SCRAM gains by it
eight guesses for one: some 240 before the ban in place of 30, each of them held back as if it counted whole.
That finds a password which is among the first few hundred that everybody tries, and no other. Cheaper
would be dangerous: a count for so many minutes, say, would let hundreds of sessions guess side by side.

**The victim is never locked out.** An account cannot be locked: nothing that others do makes a right
password wrong. Where many addresses guess at one name, each once (a botnet), no address stands out, and
only the name does. So a login for that name is held back for some seconds *before* its password is
looked at, except from neighbourhoods that lately logged in to it rightly: the victim's own programs
notice nothing, and the victim on a new network waits those seconds once. It is held back before, and
not in its answer, because a guesser who takes silence for a no would hang up and lose nothing; and
because then the wait tells nothing of the password. A name that does not exist is counted the same, so
it tells nothing of who exists either. This slows each guess; it does not stop a wide botnet, whose
guesses wait side by side. A queue would, with the victim in it. And where guessers fill the office, the
last tenth of its connections is for neighbourhoods from which somebody has lately logged in
(:mod:`mailpost.limits`).

**One account of his own does not help a guesser.** A right login forgives the guesses at that very
name, and no other; and it makes a neighbourhood known for that name alone.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from hashlib import blake2b
from ipaddress import ip_network
from typing import TYPE_CHECKING

from attrs import frozen
from twisted.logger import Logger

from mailpost.bans import Address, Ban, Bans, Network, address_of, named
from mailpost.limits import is_loopback, neighbourhood

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

_log = Logger(namespace="mailpost.guard")

PROOFS = 8
"""Wrong proofs for one name, from one neighbourhood, that count as one guess."""

_DIGEST = 16
_MOST_DOUBLINGS = 32

WRONG_LOGINS = "wrong logins"  # the reason of the guard's own bans


@frozen
class GuardRules:
    """What is borne, and what is done about more.

    :ivar window: seconds after which a wrong guess is forgotten.
    :ivar free: wrong guesses of a neighbourhood whose answers come at once.
    :ivar longest_delay: seconds that an answer is held back at most; before that they double, from 1.
    :ivar guesses: distinct wrong guesses of a neighbourhood within the window that get it banned.
    :ivar ban: seconds that a ban lasts; 0: nobody is banned.
    :ivar name_free: neighbourhoods that may guess wrongly at one name before it is guarded.
    :ivar name_delay: seconds that a login to a guarded name is held back at most, from 1 likewise.
    :ivar known: seconds for which a neighbourhood stays known after a right login.
    :ivar known_places: neighbourhoods that are known for one name; the longest unused is forgotten.
    :ivar room: neighbourhoods, names and bans remembered, of each so many; the oldest is forgotten.
    :ivar allow: networks that are never slowed down or banned.
    """

    window: float = 3600.0
    free: int = 2
    longest_delay: float = 16.0
    guesses: int = 30
    ban: float = 3600.0
    name_free: int = 5
    name_delay: float = 4.0
    known: float = 30 * 86_400.0
    known_places: int = 16
    room: int = 10_000
    allow: tuple[Network, ...] = ()


class _Recent(OrderedDict[bytes, float]):
    """Digests and when each was last seen, the longest unseen first; never more than are asked for."""

    def see(self, what: bytes, now: float, most: int) -> None:
        """Note one; it is the newest now."""
        self[what] = now
        self.move_to_end(what)
        if len(self) > most:
            self.popitem(last=False)

    def forget_until(self, time: float) -> None:
        """Forget those not seen since."""
        while self and next(iter(self.values())) <= time:
            self.popitem(last=False)


class Guard:
    """Counts wrong logins, and says who has to wait and who may not come.

    :param clock: its ``seconds()`` are taken, for the time of day as well.
    :param keep: told each ban that the guard makes; None: it is kept in memory alone.
    :ivar bans: those in force, the owner's too.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rules: GuardRules | None = None,
        keep: Callable[[Ban], object] | None = None,
    ) -> None:
        self._clock = clock
        self._rules = rules or GuardRules()
        self._keep = keep
        self.bans = Bans(self._rules.room)
        self._key = os.urandom(32)
        self._guesses: OrderedDict[bytes, _Recent] = OrderedDict()  # by neighbourhood
        self._guessers: OrderedDict[bytes, _Recent] = OrderedDict()  # by name
        self._known: OrderedDict[bytes, _Recent] = OrderedDict()  # by name
        self._places = _Recent()  # neighbourhoods known for some name
        # Wrong proofs, and when the last one came: by neighbourhood and name.
        self._proofs: OrderedDict[bytes, tuple[int, float]] = OrderedDict()

    def banned(self, peer: str) -> bool:
        """Whether a peer may not come, or log in, just now. Loopback and the allowed always may.

        :param peer: an IP address; ``""`` for a peer without one.
        """
        return self.ban_on(peer) is not None

    def ban_on(self, peer: str) -> Ban | None:
        """The ban that a peer comes under; None: it may come."""
        if not self.bans or is_loopback(peer):
            return None
        address = address_of(peer)
        found = self.bans.on(address, self._clock.seconds())
        return None if found is None or self._allowed(address) else found

    def knows(self, peer: str) -> bool:
        """Whether somebody has lately logged in from a peer's neighbourhood: it is no stranger's."""
        if self._exempt(peer):
            return True
        self._places.forget_until(self._clock.seconds() - self._rules.known)
        return self._digest(neighbourhood(peer)) in self._places

    def slow(self, peer: str, name: str) -> float:
        """Seconds to wait before the password of a login is looked at, however right it may be.

        :param name: as whom its logins are counted.

        More than 0 only where many neighbourhoods guess at this name and this is none of its known ones.
        """
        rules, now = self._rules, self._clock.seconds()
        account = self._digest(name.lower())
        guessers = self._guessers.get(account)
        if guessers is None or self._exempt(peer):
            return 0.0
        guessers.forget_until(now - rules.window)
        if not guessers:
            del self._guessers[account]
            return 0.0
        known = self._known.get(account)
        if known is not None:
            known.forget_until(now - rules.known)
            if self._digest(neighbourhood(peer)) in known:
                return 0.0
        return _growing(len(guessers) - rules.name_free, rules.name_delay)

    def wrong(self, peer: str, name: str, password: bytes | None, counted: str = "") -> float:
        """A login was wrong: count and log it, perhaps ban its neighbourhood.

        :param password: what was offered; None: a proof, which does not tell.
        :param counted: as whom it is counted, where that is not the name that was typed.
        :return: seconds that the answer is to be held back.
        """
        # The name stands last and escaped: whatever it holds, the line's begin is ours (fail2ban).
        _log.info("wrong login from {peer} as {user}", peer=peer, user=ascii(name))
        if self._exempt(peer):
            return 0.0
        rules, now = self._rules, self._clock.seconds()
        near = neighbourhood(peer)
        place, account = self._digest(near), self._digest((counted or name).lower())
        guessers = _touch(self._guessers, account, rules.room)
        guessers.see(place, now, rules.name_free + _MOST_DOUBLINGS)
        if self.banned(peer):  # another session of the same peer
            return rules.longest_delay
        if password is None:
            proofs = self._proof(place + account, now)
            guess = self._digest(account, b"%d " % (proofs // PROOFS))
            repeated = proofs - proofs // PROOFS
        else:
            guess, repeated = self._digest(password, account), 0
        guesses = _touch(self._guesses, place, rules.room)
        guesses.forget_until(now - rules.window)
        guesses.see(account + guess, now, rules.guesses)
        count = len(guesses)
        if count >= rules.guesses and rules.ban:
            del self._guesses[place]
            self._ban(Ban(ip_network(near), now + rules.ban, now, WRONG_LOGINS, False, count))
            return rules.longest_delay
        return _growing(count + repeated - rules.free, rules.longest_delay)

    def right(self, peer: str, name: str) -> None:
        """A login was right: forgive the neighbourhood its guesses at this name, and know it from now on.

        :param name: as whom its logins are counted.
        """
        if self._exempt(peer):
            return
        rules, now = self._rules, self._clock.seconds()
        place, account = self._digest(neighbourhood(peer)), self._digest(name.lower())
        known = _touch(self._known, account, rules.room)
        known.see(place, now, rules.known_places)
        self._places.see(place, now, rules.room)
        self._proofs.pop(place + account, None)
        guesses = self._guesses.get(place)
        if guesses is not None:
            for guess in [one for one in guesses if one.startswith(account)]:
                del guesses[guess]
            if not guesses:
                del self._guesses[place]
        guessers = self._guessers.get(account)
        if guessers is not None:
            guessers.pop(place, None)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many are remembered: who guesses, names guessed at and known, known places, proofs, bans."""
        tables = (self._guesses, self._guessers, self._known, self._places, self._proofs)
        return (*[len(table) for table in tables], len(self.bans))

    def _proof(self, whose: bytes, now: float) -> int:
        """A wrong proof came: how many did before it."""
        before, last = self._proofs.pop(whose, (0, now))
        if last <= now - self._rules.window:
            before = 0
        self._proofs[whose] = (before + 1, now)
        if len(self._proofs) > self._rules.room:
            self._proofs.popitem(last=False)
        return before

    def _ban(self, ban: Ban) -> None:
        self.bans.add(ban)
        _log.warn(
            "{peer} is banned for {seconds:.0f} s: {count} wrong logins",
            peer=named(ban.network),
            seconds=self._rules.ban,
            count=ban.guesses,
        )
        if self._keep is not None:
            self._keep(ban)

    def _exempt(self, peer: str) -> bool:
        return is_loopback(peer) or self._allowed(address_of(peer))

    def _allowed(self, address: Address) -> bool:
        return address.is_loopback or any(address in network for network in self._rules.allow)

    def _digest(self, what: str | bytes, more: bytes = b"") -> bytes:
        octets = what.encode("utf-8", "surrogatepass") if isinstance(what, str) else what
        return blake2b(more + octets, key=self._key, digest_size=_DIGEST).digest()


def _touch(table: OrderedDict[bytes, _Recent], key: bytes, room: int) -> _Recent:
    """The entry of a table, made if need be, as its newest; the oldest gives way."""
    recent = table.get(key)
    if recent is None:
        recent = table[key] = _Recent()
        if len(table) > room:
            table.popitem(last=False)
    table.move_to_end(key)
    return recent


def _growing(count: int, longest: float) -> float:
    """0 up to a count of 0, then 1, 2, 4, and so on, to the longest."""
    if count <= 0:
        return 0.0
    return float(min(longest, 2.0 ** min(count - 1, _MOST_DOUBLINGS)))
