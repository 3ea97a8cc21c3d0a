"""The steps of a route, told in words: what ``mailpost route`` prints.

They are told by the very code that decides at RCPT, to whoever listens; at RCPT nobody does.
"""

from __future__ import annotations

from attrs import frozen

CIRCLE = "circle"

_SENTENCES = {
    "alias": "{address} is an alias of {to}",
    "alias everywhere": "{address} is an alias of {to} (in every domain)",
    "catch-all": "nobody has {address}: whatever nobody has in that domain goes to {to}",
    "detail": "{address} is {to}, with a detail",
    "account": "{address} is kept in {to}'s maildrop",
    "postmaster": "{address} is kept in {to}'s maildrop, who is postmaster here",
    "abuse": "nobody has {address}: it goes to {to}",
    "once": "{address} leads to {to}'s maildrop, which gets its copy already",
    "again": "{address} has been followed already",
    "nobody": "nobody has {address}",
    "outside": "{address} is in no domain of this office, and nothing is sent on",
    CIRCLE: "{address} leads in a circle: {to}",
    "too deep": "{address} is not followed: aliases lead to aliases, more than {to} deep",
    "too many": "{address} is not followed: it would be more than {to}",
}


@frozen
class Step:
    """One step of a route.

    :ivar kind: one of those above.
    :ivar address: where the step begins.
    :ivar to: where it leads.
    """

    kind: str
    address: str
    to: tuple[str, ...] = ()

    @classmethod
    def of(cls, kind: str, address: str, *to: object) -> Step:
        """Make one of addresses, or whatever they are."""
        return cls(kind, address, tuple(map(str, to)))

    def __str__(self) -> str:
        """Tell it in a sentence."""
        joint = " -> " if self.kind == CIRCLE else ", "
        return _SENTENCES[self.kind].format(address=self.address, to=joint.join(self.to))
