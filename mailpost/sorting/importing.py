"""Taking over a file of aliases: all of it, or nothing of it.

Each alias of the file has exactly the targets that the file gives it, so that it can be taken over again
when it has changed; aliases that are not in it stay as they are. A target that nobody has is left out, and
so is an alias that has no other; whatever is left out is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field, frozen

from mailpost.sorting.addresses import shown, written
from mailpost.sorting.aliases import NO_WAY_OUT, UNKNOWN, Survey, key
from mailpost.sorting.aliases_file import LeftOut
from mailpost.store import Alias

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailpost.envelope import Address
    from mailpost.sorting.aliases_file import AliasesFile, Entry
    from mailpost.store import AddressRegister

NOT_OURS = "is in no domain of this office"


@frozen
class Imported:
    """What has come of a file of aliases.

    :ivar added: aliases that were not there.
    :ivar changed: aliases that had other targets.
    :ivar same: aliases that were there as they are.
    :ivar left_out: what could not be taken over.
    :ivar notes: what else is to be known, in sentences.
    """

    added: int
    changed: int
    same: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def install(
    register: AddressRegister, domains: Sequence[str], file: AliasesFile, domain: str = ""
) -> Imported:
    """Take over a file of aliases: each has exactly the targets that the file gives it.

    :param domain: where its names without a domain are aliases; ``""``: in every domain.
    :raises BadAddress: some of them would lead in a circle; the text has its place.
    """
    return _Installing(register, domains, file, domain).install()


@define
class _Installing:
    """Takes over a file of aliases."""

    register: AddressRegister
    domains: Sequence[str]
    file: AliasesFile
    domain: str
    left_out: list[LeftOut] = field(factory=list)

    def install(self) -> Imported:
        """Write all of it, look at each alias, and take out what leads nowhere until nothing does."""
        survey = Survey(self.register, self.domains)
        self.left_out += self.file.left_out
        before: dict[Address, set[str]] = {}
        entries: dict[Address, Entry] = {}
        for entry in self.file.entries:
            alias = entry.name if entry.name.domain else entry.name._replace(domain=self.domain)
            if survey.is_outside(alias):
                self.left_out.append(LeftOut(entry.place, str(alias), NOT_OURS))
                continue
            entries[alias] = entry
            before[alias] = self._write(survey, alias, entry)
        looked_at: Iterable[Address] = list(entries)
        while looked_at:
            looked_at = self._take_out(survey, entries, looked_at)
        notes = [note for alias in before for note in survey.shadowed_account(alias)]
        return self._told(before, notes)

    def _write(self, survey: Survey, alias: Address, entry: Entry) -> set[str]:
        """Give an alias its targets; those that it had."""
        old = self.register.alias(*key(alias))
        wanted = set()
        for place, target in entry.targets:
            if survey.is_outside(target):
                self.left_out.append(LeftOut(place, str(target), NO_WAY_OUT))
            else:
                wanted.add(written(target))
        for one in old:
            if one.target not in wanted:
                self.register.remove(one)
        for text in wanted:
            self.register.add(Alias(*key(alias), text))
        return {one.target for one in old}

    def _take_out(
        self, survey: Survey, entries: dict[Address, Entry], aliases: Iterable[Address]
    ) -> list[Address]:
        """Take out targets that are nobody's; the aliases that are to be looked at again."""
        again: dict[Address, None] = {}
        for alias in aliases:
            entry = entries[alias]
            unknown = survey.unknown(alias, f"{entry.place}: {shown(*key(alias))}")
            for place, target in entry.targets:
                if target in unknown:
                    self.register.remove(Alias(*key(alias), written(target)))
                    self.left_out.append(LeftOut(place, str(target), UNKNOWN))
            if unknown and not self.register.alias(*key(alias)):
                pointing = self.register.aliases_of(alias.local)
                again |= dict.fromkeys(
                    address
                    for one in pointing
                    if (address := alias._replace(domain=one.domain, local=one.local)) in entries
                )
        return list(again)

    def _told(self, before: dict[Address, set[str]], notes: list[str]) -> Imported:
        added = changed = same = 0
        for alias, old in before.items():
            now = {one.target for one in self.register.alias(*key(alias))}
            added += bool(now) and not old
            changed += bool(old) and now != old
            same += bool(old) and now == old
        return Imported(added, changed, same, tuple(self.left_out), tuple(notes))
