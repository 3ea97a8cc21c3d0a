"""Reads a golden dialogue; README.rst beside this file tells how one is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent
CLOSES, HANGS_UP, BEGINS_TLS = "<closes>", "<hangs up>", "<begins TLS>"

_TIMES = re.compile(r"\((\d+) times\) (.*)", re.DOTALL)
_REPEAT = re.compile(r"\\\{(\d+) ([^}]*)\}")
_ESCAPE = re.compile(r"\\(x[0-9a-f]{2}|.)")
_NAMED = {"r": "\r", "n": "\n", "0": "\0", "t": "\t", "\\": "\\", "*": "*", "c": ""}


@dataclass
class Turn:
    """What the client says, and what it should hear then."""

    said: list[bytes] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    then_tls: bool = False


@dataclass
class Letter:
    """A letter that the office should have afterwards."""

    sender: str
    recipients: list[str]
    lines: list[bytes] = field(default_factory=list)

    @property
    def octets(self) -> bytes:
        return b"".join(line + b"\r\n" for line in self.lines)


class Script:
    """A dialogue; its first turn is the greeting, where the client says nothing."""

    def __init__(self, path: Path) -> None:
        self.name = f"{path.parent.name}/{path.stem}"
        self.prose: list[str] = []
        self.settings: dict[str, str] = {}
        self.turns = [Turn()]
        self.kept: list[Letter] = []
        self.let_go: list[int] = []
        self.ending = ""
        for line in path.read_text("utf-8").splitlines():
            self._read(line)

    def _read(self, line: str) -> None:
        kind, text = line[:2], line[3:]
        if line.startswith("#"):
            self.prose.append(line[1:].strip())
        elif kind == "= ":
            *words, value = line[2:].split()
            self.settings[" ".join(words)] = value
        elif kind == "C:":
            if self.turns[-1].heard or len(self.turns) == 1:
                self.turns.append(Turn())
            self.turns[-1].said += _lines(text)
        elif kind == "S:":
            self._hear(text)
        elif line:
            self._expect(line)

    def _hear(self, text: str) -> None:
        if text in (CLOSES, HANGS_UP):
            self.ending = text
        elif text == BEGINS_TLS:
            self.turns[-1].then_tls = True
        else:
            times, text = _times(text)
            self.turns[-1].heard += [text] * times

    def _expect(self, line: str) -> None:
        if line.startswith("|"):
            self.kept[-1].lines += [said[:-2] for said in _lines(line[2:])]
        elif match := re.fullmatch(r"kept from <(.*)> for (.*):", line):
            self.kept.append(Letter(match[1], match[2].split(", ")))
        elif match := re.fullmatch(r"let go ([0-9 ]+)", line):
            self.let_go = [int(number) for number in match[1].split()]
        else:
            raise ValueError(f"{self.name}: what is {line!r}?")

    @property
    def said(self) -> bytes:
        """Everything that the client says."""
        return b"".join(line for turn in self.turns for line in turn.said)

    @property
    def flights(self) -> list[Turn]:
        """What a client can say without waiting, but for the greeting: only TLS must be waited for."""
        flights = [Turn()]
        for turn in self.turns[1:]:
            flights[-1].said += turn.said
            flights[-1].heard += turn.heard
            if turn.then_tls:
                flights.append(Turn())
        return [flight for flight in flights if flight.said]


def scripts(folder: str) -> list[Script]:
    """All dialogues of a protocol."""
    return [Script(path) for path in sorted((FOLDER / folder).glob("*.txt"))]


def matches(pattern: str, line: bytes) -> bool:
    """Whether a line of the server is as the dialogue says."""
    parts = re.split(r"(?<!\\)\*", pattern)
    return re.fullmatch(b".*".join(re.escape(unescape(part)) for part in parts), line) is not None


def unescape(text: str) -> bytes:
    """The octets that a piece of a line stands for."""
    text = _REPEAT.sub(lambda match: match[2] * int(match[1]), text)
    return _ESCAPE.sub(lambda match: _escaped(match[1]), text).encode("latin-1")


def _escaped(name: str) -> str:
    return chr(int(name[1:], 16)) if len(name) > 1 else _NAMED[name]


def _times(text: str) -> tuple[int, str]:
    match = _TIMES.fullmatch(text)
    return (int(match[1]), match[2]) if match else (1, text)


def _lines(text: str) -> list[bytes]:
    times, text = _times(text)
    return [unescape(text) + (b"" if text.endswith("\\c") else b"\r\n")] * times
