r"""A file of aliases as Postfix and sendmail have it, aliases(5): read, and told where it is wrong.

::

    # a comment
    postmaster: root
    root:       alice,
                "bob"           a line that begins with a blank goes on
    team:       :include:/etc/mail/team, \carol
    old:        |/usr/bin/vacation dave, /var/mail/archive

A command and a file are no targets here: they are left out, and told of. A mistake spoils the whole; all
of them are told at once, each with its file and line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from mailpost.sorting.addresses import address, name
from mailpost.store import BadAddress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mailpost.envelope import Address

MAX_INCLUDED = 5  # files within files
_INCLUDE = ":include:"
_NAME = re.compile(r'(?:"((?:[^"\\]|\\.)*)"\s*|([^\s:"][^:"]*)):', re.DOTALL)
_ITEM = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+', re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ANGLE = re.compile(r"[^<>]*<([^<>]+)>")


@frozen
class Place:
    """Where something stands."""

    file: str
    line: int

    def __str__(self) -> str:
        """Tell it as mistakes in the configuration are told."""
        return f"{self.file}: line {self.line}"


@frozen
class LeftOut:
    """Something that cannot be a target here."""

    place: Place
    text: str
    why: str


@frozen
class Entry:
    """One alias of a file.

    :ivar name: a name without a domain, or an address.
    """

    place: Place
    name: Address
    targets: tuple[tuple[Place, Address], ...]


@frozen
class AliasesFile:
    """A file of aliases, as it was read."""

    entries: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...]


class AliasesError(Exception):
    """The file cannot be used.

    :ivar mistakes: each a line of its own, ready to be shown.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def read_aliases(path: Path) -> AliasesFile:
    """Read a file, and those that it includes.

    :raises AliasesError: it has mistakes, or one of them cannot be read.
    """
    reading = _Reading()
    reading.read(path)
    if reading.mistakes:
        raise AliasesError(*reading.mistakes)
    return AliasesFile(tuple(reading.entries), tuple(reading.left_out))


@define
class _Reading:
    """Reads a file, and gathers what there is to tell."""

    entries: list[Entry] = field(factory=list)
    left_out: list[LeftOut] = field(factory=list)
    mistakes: list[str] = field(factory=list)
    named: dict[Address, Place] = field(factory=dict)

    def read(self, path: Path) -> None:
        """Read a file's entries."""
        for place, text in self._logical_lines(path):
            match = _NAME.match(text)
            if match is None:
                self._wrong(place, "expected a name, a colon and its targets")
                continue
            alias = self._address(place, (match[2] or "").rstrip(), match[1])
            targets = list(self._targets(path, place, text, match.end(), 0))
            if alias is None:
                continue
            if alias in self.named:
                why = f"it is there already, in line {self.named[alias].line}"
                self.left_out.append(LeftOut(place, str(alias), why))
                continue
            self.named[alias] = place
            if targets:
                self.entries.append(Entry(place, alias, tuple(targets)))
            else:
                self.left_out.append(LeftOut(place, str(alias), "it has no target"))

    def _logical_lines(self, path: Path) -> Iterator[tuple[Place, str]]:
        """Each entry with the lines that continue it; a comment between them ends nothing."""
        begun: list[str] = []
        first = 0
        for number, line in self._lines(path):
            if begun and line[:1].isspace():
                begun += [""] * (number - first - len(begun)) + [line]
                continue
            if begun:
                yield Place(str(path), first), "\n".join(begun)
                begun = []
            if line[:1].isspace():
                self._wrong(Place(str(path), number), "begins with a blank, and continues nothing")
            else:
                begun, first = [line], number
        if begun:
            yield Place(str(path), first), "\n".join(begun)

    def _lines(self, path: Path) -> Iterator[tuple[int, str]]:
        """The lines that are neither blank nor comments."""
        try:
            octets = path.read_bytes()
        except OSError as error:
            self.mistakes.append(f"{path}: cannot be read: {error.strerror}")
            return
        for number, line in enumerate(octets.splitlines(), 1):
            try:
                text = line.decode()
            except UnicodeDecodeError:
                self._wrong(Place(str(path), number), "is not UTF-8")
                continue
            if text.strip() and not text.lstrip().startswith("#"):
                yield number, text

    def _targets(
        self, path: Path, place: Place, text: str, start: int, depth: int
    ) -> Iterator[tuple[Place, Address]]:
        """The targets behind a name, or in a line of an included file."""
        while start < len(text):
            match = _ITEM.match(text, start)
            if match is None:
                if text[start] != ",":
                    self._wrong(place, "has a quotation mark that is not closed")
                    return
                start += 1
                continue
            blank = len(match[0]) - len(match[0].lstrip())
            at = Place(place.file, place.line + text.count("\n", 0, start + blank))
            start = match.end()
            if item := match[0].strip():
                yield from self._target(path, at, item, depth)

    def _target(
        self, path: Path, place: Place, item: str, depth: int
    ) -> Iterator[tuple[Place, Address]]:
        whole = _QUOTED.fullmatch(item)
        plain = _ESCAPED.sub(r"\1", whole[1]) if whole else item
        if plain.startswith(_INCLUDE):
            yield from self._included(path, place, plain.removeprefix(_INCLUDE).strip(), depth)
        elif plain.startswith(("|", "/")):
            kind = "a command" if plain.startswith("|") else "a file"
            self.left_out.append(LeftOut(place, plain, f"{kind}, which is no target here"))
        else:
            angle = _ANGLE.fullmatch(item)
            bare = angle[1] if angle else item.removeprefix("\\")
            target = self._address(place, bare, whole[1] if whole else None)
            if target is not None:
                yield place, target

    def _included(
        self, path: Path, place: Place, named: str, depth: int
    ) -> Iterator[tuple[Place, Address]]:
        if depth >= MAX_INCLUDED:
            self._wrong(place, f"{_INCLUDE} within {_INCLUDE}, more than {MAX_INCLUDED} deep")
            return
        included = path.parent / named
        if not included.is_file():
            self._wrong(place, f"{_INCLUDE}{named}: there is no such file")
            return
        for number, line in self._lines(included):
            at = Place(str(included), number)
            yield from self._targets(included, at, line, 0, depth + 1)

    def _address(self, place: Place, bare: str, quoted: str | None) -> Address | None:
        try:
            if quoted is not None:
                return name(_ESCAPED.sub(r"\1", quoted))
            return address(bare)
        except BadAddress as error:
            self._wrong(place, str(error))
            return None

    def _wrong(self, place: Place, what: str) -> None:
        self.mistakes.append(f"{place}: {what}")
