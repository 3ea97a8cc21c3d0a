"""The inputs that are kept: one file for each target, one input a line, written as Python's bytes.

As few as reach every step from line to line, in the engines, that is reached by any.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_FOLDER = Path(__file__).with_name("corpus")
Step = tuple[str, int, int]
"""A file, a line, and the line that was before it in the same call."""


def load(target: str) -> list[bytes]:
    """The kept inputs of a target."""
    lines = (_FOLDER / f"{target}.txt").read_text("ascii").splitlines()
    inputs = [ast.literal_eval(line) for line in lines]
    assert all(isinstance(one, bytes) for one in inputs)
    return inputs


def keep(target: str, run: Callable[[bytes], None], folder: Path) -> int:
    """Keep what a folder has, one input a file, beside what was kept; how many are needed."""
    found = {path.read_bytes() for path in folder.iterdir()} | set(load(target))
    seen: set[Step] = set()
    needed = []
    for one in sorted(found, key=lambda one: (len(one), one)):
        new = steps(run, one) - seen
        if new:
            seen |= new
            needed.append(one)
    (_FOLDER / f"{target}.txt").write_text("".join(f"{one!r}\n" for one in needed), "ascii")
    return len(needed)


def steps(run: Callable[[bytes], None], one: bytes) -> set[Step]:
    """The steps that an input takes in the engines."""
    taken: set[Step] = set()

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        if event != "call" or "/mailpost/wire/" not in frame.f_code.co_filename:
            return None
        before = 0

        def line(frame: FrameType, event: str, _: object) -> Callable[..., object]:
            nonlocal before
            if event == "line":
                taken.add((frame.f_code.co_filename, before, frame.f_lineno))
                before = frame.f_lineno
            return line

        return line

    sys.settrace(trace)
    try:
        run(one)
    finally:
        sys.settrace(None)
    return taken


def unpack(target: str, folder: Path) -> None:
    """Write the kept inputs into a folder, one a file."""
    folder.mkdir(parents=True, exist_ok=True)
    for one in load(target):
        (folder / hashlib.sha1(one, usedforsecurity=False).hexdigest()).write_bytes(one)
