"""What Outlook reads at ``autodiscover.DOMAIN/autodiscover/autodiscover.xml``: the POX answer.

The format is [MS-OXDSCLI] §2.2.4. One server of each kind is told, the best. Without a ``LoginName`` Outlook
takes what stands before the @, which is what an account is called here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from mailpost.settings.offers import Offers, Server

ANSWER = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"
OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
ENCRYPTION = {"implicit": "SSL", "starttls": "TLS", "none": "None"}


def autodiscover(offered: Offers) -> bytes:
    """Write the answer. It names no user, and so is the same for all of them."""
    root = ET.Element("Autodiscover", xmlns=ANSWER)
    response = ET.SubElement(root, "Response", xmlns=OUTLOOK)
    account = ET.SubElement(response, "Account")
    ET.SubElement(account, "AccountType").text = "email"
    ET.SubElement(account, "Action").text = "settings"
    for kind, servers in (("POP3", offered.incoming), ("SMTP", offered.outgoing)):
        for server in servers[:1]:
            _protocol(account, kind, server)
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written + b"\n"


def _protocol(account: ET.Element, kind: str, server: Server) -> None:
    element = ET.SubElement(account, "Protocol")
    told = [
        ("Type", kind),
        ("Server", server.host),
        ("Port", str(server.port)),
        ("DomainRequired", "off"),
        ("SPA", "off"),
        ("SSL", "off" if server.tls == "none" else "on"),
        ("Encryption", ENCRYPTION[server.tls]),
        ("AuthRequired", "on"),
    ]
    if kind == "SMTP":
        told += [("UsePOPAuth", "on"), ("SMTPLast", "off")]
    for name, text in told:
        ET.SubElement(element, name).text = text
