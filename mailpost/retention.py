"""For how long letters are kept: ``never``, ``30d``, or ``30d after collected``.

That is how it is written in the configuration and on the command line; ``never`` is when they are deleted.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_WRITTEN = re.compile(r"([1-9][0-9]{0,4}) *d(?:ays?)?( +after +collected)?", re.ASCII)
MOST = 36_500  # days


class Retention(NamedTuple):
    """For how long letters are kept.

    :ivar days: so many; 0: for ever.
    :ivar collected: they count from when everybody has collected a letter, not from its arrival.
    """

    days: int = 0
    collected: bool = False

    @classmethod
    def read(cls, text: str) -> Retention:
        """Read what people write.

        :raises ValueError: it is none.
        """
        if text == "never":
            return NEVER
        written = _WRITTEN.fullmatch(text)
        if written is None or int(written[1]) > MOST:
            raise ValueError(text)
        return cls(int(written[1]), written[2] is not None)

    def __str__(self) -> str:
        """As it is written."""
        if not self.days:
            return "never"
        return f"{self.days}d after collected" if self.collected else f"{self.days}d"


NEVER = Retention()
