"""How long something may take on a machine that others use as well."""

from __future__ import annotations

import os

from tests.faults.checker import RECOVERY


def recovery() -> float:
    """Seconds within which an office recovers here and now: twice as many as promised, for it has clients.

    Where more wants to run than there are processors it may take as many times as long: the clock of the
    wall does not say then how long the office has worked.
    """
    crowded = os.getloadavg()[0] / (os.cpu_count() or 1)
    return 2 * RECOVERY * max(1.0, crowded)
