"""Coverage-guided fuzzing, for as long as you like; CONTRIBUTING.rst tells how.

``python -m tests.fuzz TARGET FOLDER [options of libFuzzer]``
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["mailpost.wire"]):
    from .corpus import keep, unpack
    from .targets import TARGETS

USAGE = (
    f"usage: python -m tests.fuzz [unpack | keep] {'|'.join(TARGETS)} FOLDER [-option=value ...]"
)


def main(arguments: list[str]) -> None:
    """Fuzz, or carry the kept inputs to a folder and back."""
    words = [word for word in arguments if not word.startswith("-")]
    action = words.pop(0) if words and words[0] in {"unpack", "keep"} else ""
    if len(words) < 2 or words[0] not in TARGETS:
        raise SystemExit(USAGE)
    target, folder = words[0], Path(words[1])
    if action == "keep":
        sys.stdout.write(f"{keep(target, TARGETS[target], folder)} inputs kept\n")
        return
    if action == "unpack":
        unpack(target, folder)
        return
    folder.mkdir(parents=True, exist_ok=True)
    options = [word for word in arguments if word != target]
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


main(sys.argv[1:])
