"""What mail programs call the same things: for the page and the printed settings alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mailpost.settings.offers import Offers

SECURITY = {"implicit": "SSL/TLS", "starttls": "STARTTLS", "none": "none"}


_THUNDERBIRD = """\
Account Settings, Account Actions, Add Mail Account; then Configure manually. Protocol POP3, connection
security {inside} for incoming and {outside} for outgoing, authentication method Normal password."""
_OUTLOOK = """\
File, Add Account, Advanced options, Let me set up my account manually; then POP. Encryption method
{inside} for incoming and {outside} for outgoing. Secure Password Authentication (SPA) stays off; the
outgoing server requires authentication."""
_APPLE = """\
Settings, Apps, Mail, Mail Accounts, Add Account, Other, Add Mail Account; then POP. Name and password
are asked for twice, once for each server. Under Advanced: Use SSL {ssl}, server port {port}."""
_ANDROID = """\
In Gmail: Settings, Add account, Other; then Personal (POP3). Security type {inside} for incoming and
{outside} for outgoing, and Require sign-in is on."""


def steps(offered: Offers) -> list[tuple[str, str]]:
    """Tell for each of the programs that people have where the settings are typed in.

    There is at least one server to collect from.
    """
    incoming, outgoing = offered.incoming[0], offered.outgoing[:1]
    words = {
        "inside": SECURITY[incoming.tls],
        "outside": SECURITY[outgoing[0].tls] if outgoing else "none",
        "ssl": "off" if incoming.tls == "none" else "on",
        "port": incoming.port,
    }
    told = (
        ("Thunderbird", _THUNDERBIRD),
        ("Outlook", _OUTLOOK),
        ("iPhone, iPad", _APPLE),
        ("Android", _ANDROID),
    )
    return [(program, text.format(**words).replace("\n", " ")) for program, text in told]
