"""From an address to the maildrops that it leads to, through aliases of aliases.

What an address comes to, the first of these that there is:

1. the alias that it is in its domain,
2. the alias that its local part is in every domain,
3. the account of that name, where accounts' names are addresses in that domain,
4. the same three without the detail, the longest name first: ``alice+shop`` is ``alice``,
5. for ``abuse`` the postmaster of that domain (RFC 2142 §2),
6. whatever the domain's catch-all says.

An alias goes before the account of its name, so that ``alice: alice, bob`` gives bob a copy: where an alias
leads straight to itself, the next meaning counts. Every other way back is a circle. Each alias is followed
once, so a route ends; and it is bounded in depth and in breadth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from mailpost.envelope import Address, Destination
from mailpost.sorting.addresses import ALWAYS, POSTMASTER, read, shown
from mailpost.sorting.steps import CIRCLE, Step
from mailpost.store import Domain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailpost.store import Found

MAX_DEPTH = 10  # aliases of aliases
MAX_ALIASES = 200  # that one address leads through
MAX_TARGETS = 2000  # that these aliases have

EVERYWHERE = Domain("", ours=False, separator="")
"""What holds of a name without a domain."""


class Book(Protocol):
    """What is asked of the store's addresses here."""

    def find(self, domain: str, local: str) -> Found:
        """Find what is known of an address."""

    def find_all(self, addresses: Sequence[tuple[str, str]]) -> list[Found]:
        """Find many, given as domain and local part; each bears what was asked for."""


class AliasMet(NamedTuple):
    """An address is an alias.

    :ivar key: its domain and local part, as the store has them.
    """

    key: tuple[str, str]
    targets: tuple[str, ...]


class Directory:
    """What the addresses of an office come to.

    :param domains: those of the configuration; the first is the office's home.
    :param postmaster: the account that gets postmaster's mail.
    """

    def __init__(self, book: Book, domains: Sequence[str], postmaster: str = POSTMASTER) -> None:
        self.book = book
        self.home = domains[0]
        self.domains = {name: Domain(name, ours=False) for name in domains}
        self._postmaster = postmaster

    def settings(self, found: Found) -> Domain | None:
        """What is set for the domain of an address; None: it is none of the office's."""
        if not found.domain:
            return EVERYWHERE
        if found.settings is None:
            return self.domains.get(found.domain)
        return found.settings if found.settings.ours or found.domain in self.domains else None

    def postmaster(self) -> tuple[str, int] | None:
        """Who is postmaster, by name and maildrop; None: nobody is."""
        for name in dict.fromkeys((self._postmaster, POSTMASTER)):
            if (maildrop := self.book.find("", name).maildrop) is not None:
                return name, maildrop
        return None


def meaning(
    found: Found, settings: Domain, leading: tuple[str, str] | None = None
) -> AliasMet | int | None:
    """What an address is by itself: an alias, an account's maildrop, or nothing.

    :param leading: the alias that has led to it, and does not count for that.
    """
    if found.here or found.everywhere:
        for key, targets in (
            ((found.domain, found.local), found.here),
            (("", found.local), found.everywhere),
        ):
            if targets and key != leading:
                return AliasMet(key, targets)
    return found.maildrop if settings.accounts else None


class Route:
    """The way of one recipient, as far as it has been followed.

    :param at: the domain in which a name without one is delivered to.
    :param steps: hears of every step; None: nobody listens.
    :ivar destinations: where copies go, by maildrop.
    :ivar nobodys: what was met that nobody has, by domain and local part.
    :ivar trouble: the step at which it was stopped through somebody's mistake; None: it was not.
    """

    def __init__(self, directory: Directory, at: str, steps: list[Step] | None = None) -> None:
        self._directory = directory
        self._at = at
        self._steps = steps
        self._path: list[tuple[str, str]] = []  # the aliases that lead to where it is
        self._followed: set[tuple[str, str]] = set()
        self._targets = 0
        self.destinations: dict[int, Destination] = {}
        self.nobodys: set[tuple[str, str]] = set()
        self.trouble: Step | None = None

    @property
    def whole(self) -> bool:
        """Whether everybody to whom it leads was found; a circle hides nobody."""
        return self.trouble is None or self.trouble.kind == CIRCLE

    def follow(self, found: Found, named: str) -> None:
        """Follow an address to all that it leads to.

        :param named: its local part as it was written, of which the detail is kept.
        """
        settings = self._directory.settings(found)
        if settings is None:
            self._tell("outside", shown(found.domain, found.local))
            return
        leading = self._path[-1] if self._path else None
        base, met = found, meaning(found, settings, leading)
        if met is None and found.local not in ALWAYS:
            read_as = self._without_detail(found, settings, leading)
            if read_as is None:
                self._follow_unknown(found, leading)
                return
            base, met = read_as
            self._tell("detail", shown(*found[:2]), shown(*base[:2]))
        if isinstance(met, AliasMet):
            self._follow_alias(shown(*base[:2]), met)
        elif base.local == POSTMASTER:
            self.reach_postmaster(found.domain or self._at)
        elif met is None:
            self._tell("abuse", shown(*base[:2]), shown(found.domain, POSTMASTER))
            self.follow(self._directory.book.find(found.domain, POSTMASTER), POSTMASTER)
        else:
            domain, detail = found.domain or self._at, named[len(base.local) :]
            # The name of an account needs no quoting; what stands behind it may.
            whole = Address(base.local + detail, domain) if detail else f"{base.local}@{domain}"
            self._keep("account", met, str(whole), base.local)

    def _without_detail(
        self, found: Found, settings: Domain, leading: tuple[str, str] | None
    ) -> tuple[Found, AliasMet | int | None] | None:
        """What an address is without a detail, the longest name first; None: nothing."""
        parts = found.local.split(settings.separator) if settings.separator else []
        bases = [settings.separator.join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]
        bases = [base for base in bases if base]
        known = self._directory.book.find_all([(found.domain, base) for base in bases])
        by_name = {one.local: one for one in known}
        for base in bases:
            met = meaning(by_name[base], settings, leading)
            if met is not None or base in ALWAYS:
                return by_name[base], met
        return None

    def _follow_unknown(self, found: Found, leading: tuple[str, str] | None) -> None:
        """An address that nobody has."""
        address, rest = shown(found.domain, found.local), (found.domain, "")
        targets: tuple[str, ...] = ()
        if found.domain and rest != leading:
            targets = self._directory.book.find(*rest).here
        if targets:
            self._follow_alias(address, AliasMet(rest, targets))
        else:
            self.nobodys.add((found.domain, found.local))
            self._tell("nobody", address)

    def _follow_alias(self, address: str, met: AliasMet) -> None:
        key, targets = met.key, [read(target) for target in met.targets]
        if key in self._path:
            circle = [*self._path[self._path.index(key) :], key]
            self._stop(CIRCLE, address, *[shown(*each) for each in circle])
        elif key in self._followed:
            self._tell("again", address)
        elif len(self._path) >= MAX_DEPTH:
            self._stop("too deep", address, MAX_DEPTH)
        elif len(self._followed) >= MAX_ALIASES:
            self._stop("too many", address, f"{MAX_ALIASES} aliases")
        elif self._targets + len(targets) > MAX_TARGETS:
            self._stop("too many", address, f"{MAX_TARGETS} targets")
        else:
            kind = "alias" if key[0] else "alias everywhere"
            self._tell(kind if key[1] else "catch-all", address, *targets)
            self._path.append(key)
            self._followed.add(key)
            self._targets += len(targets)
            wanted = [(target.domain, target.local) for target in targets]
            for target in self._directory.book.find_all(wanted):
                if self.whole:
                    self.follow(target, target.local)
            self._path.pop()

    def reach_postmaster(self, domain: str) -> None:
        """Lead to the postmaster, whoever that is."""
        address, who = Address(POSTMASTER, domain), self._directory.postmaster()
        if who is None:
            self._tell("nobody", str(address))
        else:
            self._keep("postmaster", who[1], str(address), who[0])

    def _keep(self, kind: str, maildrop: int, delivered_to: str, name: str) -> None:
        self._tell("once" if maildrop in self.destinations else kind, delivered_to, name)
        # "Every reasonable effort" is owed to letters for postmaster (RFC 5321 §4.5.1).
        always = kind == "postmaster"
        self.destinations.setdefault(maildrop, Destination(maildrop, delivered_to, always))

    def _tell(self, kind: str, address: str, *to: object) -> None:
        if self._steps is not None:
            self._steps.append(Step.of(kind, address, *to))

    def _stop(self, kind: str, address: str, *to: object) -> None:
        """It goes no further here, through somebody's mistake."""
        self._tell(kind, address, *to)
        self.trouble = Step.of(kind, address, *to)
