"""The records of DNS by which other mail servers and mail programs find the office: a zone's fragment.

MX is RFC 5321 §5.1, SRV for mail programs RFC 6186 and RFC 8314 §5.1; the form is RFC 1035 §5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.settings.offers import Offers

# RFC 6186 §3.3, RFC 8314 §5.1: what a service is called where TLS is on request, or begins at once.
SERVICES = {
    ("pop3", "starttls"): "_pop3._tcp",
    ("pop3", "implicit"): "_pop3s._tcp",
    ("submission", "starttls"): "_submission._tcp",
    ("submission", "implicit"): "_submissions._tcp",
}

_HEAD = """\
; Records of {domain} for its post office {hostname}, to be added to the zone.
; The host itself needs an address record too, such as:
;   {hostname}. A 192.0.2.1
$ORIGIN {domain}.
"""
_NO_MX = "; No MX: the office does not listen for other mail servers at port 25.\n"
_WEB = """\
; Where mail programs look for the files autoconfig and autodiscover. They are read over HTTP: let these
; names lead to a web server that has them.
"""


def zone(offered: Offers, domain: str) -> str:
    """Write the records of one domain; a listener without TLS is not announced."""
    host = f"{offered.hostname}."
    records = list(_services(offered, host))
    if offered.takes_mail:
        records.insert(0, ("@", f"MX    10 {host}"))
    web = [(name, f"CNAME {host}") for name in ("autoconfig", "autodiscover")]
    wide = max(len(name) for name, _ in (*records, *web))
    lines = [f"{name:{wide}} IN {rest}\n" for name, rest in records]
    web_lines = [f"{name:{wide}} IN {rest}\n" for name, rest in web]
    head = _HEAD.format(domain=domain, hostname=offered.hostname)
    return "".join([head, "" if offered.takes_mail else _NO_MX, *lines, _WEB, *web_lines])


def _services(offered: Offers, host: str) -> Iterator[tuple[str, str]]:
    for servers in (offered.incoming, offered.outgoing):
        for place, server in enumerate(one for one in servers if not one.here):
            name = SERVICES.get((server.protocol, server.tls))
            if name is not None:  # a lower number is tried first (RFC 2782)
                yield name, f"SRV   {place * 10} 1 {server.port} {host}"
