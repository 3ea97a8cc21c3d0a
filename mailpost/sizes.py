"""Sizes as people tell them."""

from __future__ import annotations

_STEP = 1024
_WHOLE = 10  # from here on a size needs no decimal


def size(octets: int) -> str:
    """Tell a number of octets as people do: ``512 B``, ``3.4 KiB``, ``12 MiB``."""
    if octets < _STEP:
        return f"{octets} B"
    amount = float(octets)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= _STEP
        if amount < _STEP or unit == "TiB":
            break
    return f"{amount:.1f} {unit}" if amount < _WHOLE else f"{amount:.0f} {unit}"
