"""Pictures of what was measured: PNG files, drawn by matplotlib from what the JSON has.

``python -m benchmarks.plots FIGURES.json FOLDER`` draws them again from a file that ``--json`` has written.
A picture is drawn only if its rows were measured.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

Data = dict[str, Any]
"""What the JSON has: :func:`benchmarks.report.as_data`, :func:`benchmarks.long_report.as_data`."""


def why_not() -> str | None:
    """Return why no pictures can be drawn here, or None."""
    if importlib.util.find_spec("matplotlib") is None:
        return "--plots needs matplotlib: pip install -e '.[plots]'"
    return None


def draw(data: Data, folder: Path) -> list[Path]:
    """Draw what can be drawn; the files.

    :raises BenchmarkError: matplotlib is not installed.
    """
    if reason := why_not():
        raise BenchmarkError(reason)
    # Only here: matplotlib takes a second to load, and need not be there.
    from benchmarks import plots_course, plots_rows  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, picture in (*plots_rows.PICTURES.items(), *plots_course.PICTURES.items()):
        if (figure := picture(data)) is not None:
            file = folder / f"{name}.png"
            figure.savefig(file)
            files.append(file)
    return files


def main(figures: str, folder: str) -> None:
    """Draw from a file, and print what was drawn."""
    for path in draw(json.loads(Path(figures).read_text()), Path(folder)):
        print(path)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BenchmarkError as failure:
        sys.exit(f"Error: {failure}")
