"""What Thunderbird, and others after it, read at ``autoconfig.DOMAIN/mail/config-v1.1.xml``.

The format is documented at https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat; each
server that is listed is tried in its order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from mailpost.settings.offers import Offers, Server

SOCKET = {"implicit": "SSL", "starttls": "STARTTLS", "none": "plain"}


def autoconfig(offered: Offers, domain: str) -> bytes:
    """Write the file for one domain.

    ``password-cleartext`` is the format's word for a password sent as it is, within TLS where there is any.
    """
    root = ET.Element("clientConfig", version="1.1")
    provider = ET.SubElement(root, "emailProvider", id=domain)
    for name in ("domain", "displayName", "displayShortName"):
        ET.SubElement(provider, name).text = domain
    for server in offered.incoming:
        _server(ET.SubElement(provider, "incomingServer", type="pop3"), server)
    for server in offered.outgoing:
        _server(ET.SubElement(provider, "outgoingServer", type="smtp"), server)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"


def _server(element: ET.Element, server: Server) -> None:
    for name, text in (
        ("hostname", server.host),
        ("port", str(server.port)),
        ("socketType", SOCKET[server.tls]),
        ("authentication", "password-cleartext"),
        ("username", "%EMAILADDRESS%"),
    ):
        ET.SubElement(element, name).text = text
