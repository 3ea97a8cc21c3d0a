"""What mail programs, name servers and people are given: by the listeners, and in the documented shape.

The shapes are those of Mozilla's wiki (Thunderbird:Autoconfiguration:ConfigFileFormat), of [MS-OXDSCLI]
§2.2.4 and of RFC 6186.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from mailpost.cli import template
from mailpost.config import Config, Listen, Office
from mailpost.settings import autoconfig, autodiscover, offers, page, zone

ANSWER = "{http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006}"
OUTLOOK = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"


def offered(*listeners, **more):
    """What an office offers whose listeners are (protocol, endpoint, tls)."""
    listen = tuple(Listen(protocol=a, endpoint=b, tls=c, **more) for a, b, c in listeners)
    office = Office(hostname="mx.example.org", domains=("example.org",))
    return offers(Config(office=office, listen=listen))


EVERYTHING = offered(*template.NETWORK)
HERE = offered(*template.LOOPBACK)


def test_the_best_comes_first():
    """TLS from the first octet before STARTTLS, a standard port before another one."""
    mixed = [("pop3", "tcp:1110", "implicit"), *template.NETWORK, ("pop3", "tcp:1995", "implicit")]
    found = offered(*mixed)
    assert [(one.port, one.tls) for one in found.incoming] == [
        (995, "implicit"),
        (1110, "implicit"),
        (1995, "implicit"),
        (110, "starttls"),
    ]
    assert [one.port for one in found.outgoing] == [465, 587]
    assert {one.host for one in (*found.incoming, *found.outgoing)} == {"mx.example.org"}
    assert (found.lacking, found.takes_mail, found.here) == ((), True, False)


def test_an_office_for_this_machine():
    """Its listeners are told, by their address, as being for this machine; and what others would need."""
    assert [(one.host, one.port, one.here) for one in HERE.incoming] == [("127.0.0.1", 1110, True)]
    assert HERE.here
    assert not HERE.takes_mail
    assert [re.findall(r"tcp:\d+", one) for one in HERE.lacking] == [
        ["tcp:995"],
        ["tcp:465"],
        ["tcp:25"],
    ]


def test_loopback_is_nothing_beside_the_network():
    """A listener that no phone reaches is not told where there is one that it does."""
    found = offered(*template.LOOPBACK, *template.NETWORK)
    assert [one.port for one in found.incoming] == [995, 110]


def test_a_password_in_clear_is_told_only_where_it_is_taken():
    """Without TLS a listener beyond this machine is of use only if it says cleartext."""
    assert offered(("pop3", "tcp:110", "none")).incoming == ()
    assert [one.tls for one in offered(("pop3", "tcp:110", "none"), cleartext=True).incoming] == [
        "none"
    ]


@pytest.mark.parametrize("endpoint", ["unix:/run/a", "systemd:domain=INET:index=0"])
def test_what_has_no_port_is_not_told(endpoint):
    """A UNIX socket is for no mail program, and which port systemd has is not known."""
    found = offered(("pop3", endpoint, "implicit"))
    assert found.incoming == ()
    assert found.lacking


def test_behind_a_load_balancer():
    """Who must send a PROXY header is no mail program; that is said."""
    found = offered(("pop3", "tcp:995", "implicit"), proxy=("10.0.0.0/8",))
    assert found.incoming == ()
    assert "load balancer" in found.lacking[-1]


def test_mozillas_file():
    """One provider with its domain and names; each server with five elements, in their words."""
    root = ET.fromstring(autoconfig(EVERYTHING, "example.org"))
    assert (root.tag, root.attrib) == ("clientConfig", {"version": "1.1"})
    (provider,) = root
    assert (provider.tag, provider.attrib) == ("emailProvider", {"id": "example.org"})
    assert [one.tag for one in provider] == [
        *("domain", "displayName", "displayShortName"),
        *("incomingServer", "incomingServer", "outgoingServer", "outgoingServer"),
    ]
    assert provider.findtext("domain") == "example.org"
    servers = [
        (one.get("type"), *[(part.tag, part.text) for part in one]) for one in list(provider)[3:]
    ]
    usual = (("authentication", "password-cleartext"), ("username", "%EMAILADDRESS%"))
    host = ("hostname", "mx.example.org")
    assert servers == [
        ("pop3", host, ("port", "995"), ("socketType", "SSL"), *usual),
        ("pop3", host, ("port", "110"), ("socketType", "STARTTLS"), *usual),
        ("smtp", host, ("port", "465"), ("socketType", "SSL"), *usual),
        ("smtp", host, ("port", "587"), ("socketType", "STARTTLS"), *usual),
    ]


def protocols(found):
    root = ET.fromstring(autodiscover(found))
    assert root.tag == f"{ANSWER}Autodiscover"
    (response,) = root
    assert response.tag == f"{OUTLOOK}Response"
    (account,) = response
    assert account.findtext(f"{OUTLOOK}AccountType") == "email"
    assert account.findtext(f"{OUTLOOK}Action") == "settings"
    return [
        {part.tag.removeprefix(OUTLOOK): part.text for part in one}
        for one in account.findall(f"{OUTLOOK}Protocol")
    ]


def test_outlooks_answer():
    """An Account with a Protocol for POP3 and one for SMTP, the best of each."""
    usual = {
        "Server": "mx.example.org",
        "DomainRequired": "off",
        "SPA": "off",
        "AuthRequired": "on",
    }
    ssl = {"SSL": "on", "Encryption": "SSL"}
    assert protocols(EVERYTHING) == [
        usual | ssl | {"Type": "POP3", "Port": "995"},
        usual | ssl | {"Type": "SMTP", "Port": "465", "UsePOPAuth": "on", "SMTPLast": "off"},
    ]


@pytest.mark.parametrize(
    ("tls", "ssl", "encryption"), [("starttls", "on", "TLS"), ("none", "off", "None")]
)
def test_outlooks_words_for_encryption(tls, ssl, encryption):
    """SSL is TLS from the first octet, TLS is STARTTLS."""
    found = offered(("pop3", "tcp:110", tls), cleartext=True)
    (only,) = protocols(found)
    assert (only["SSL"], only["Encryption"]) == (ssl, encryption)


def records(text):
    """Name, type and the rest of each record, its comments left out (RFC 1035 §5.1)."""
    lines = [line.split() for line in text.splitlines() if not line.startswith((";", "$"))]
    return [(name, kind, *rest) for name, _, kind, *rest in lines]


def test_the_zone():
    """MX, SRV for each service that there is with a port of its own, and where the files are looked for."""
    text = zone(EVERYTHING, "example.org")
    assert "\n$ORIGIN example.org.\n" in text
    host = "mx.example.org."
    assert records(text) == [
        ("@", "MX", "10", host),
        ("_pop3s._tcp", "SRV", "0", "1", "995", host),
        ("_pop3._tcp", "SRV", "10", "1", "110", host),
        ("_submissions._tcp", "SRV", "0", "1", "465", host),
        ("_submission._tcp", "SRV", "10", "1", "587", host),
        ("autoconfig", "CNAME", host),
        ("autodiscover", "CNAME", host),
    ]


def test_a_zone_promises_nothing_that_is_not_there():
    """No MX without port 25, no SRV for what has no TLS."""
    found = offered(
        ("pop3", "tcp:110", "none"), ("submission", "tcp:587", "starttls"), cleartext=True
    )
    text = zone(found, "example.org")
    assert "; No MX" in text
    assert [name for name, *_ in records(text)] == [
        "_submission._tcp",
        "autoconfig",
        "autodiscover",
    ]


class Balanced(HTMLParser):
    """Sees that every element that begins also ends, and keeps the text."""

    def __init__(self):
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += f" {data}"


def read(text):
    parser = Balanced()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return " ".join(parser.text.split())


def test_the_page():
    """It names both servers, the password for each device, and four programs; it loads nothing."""
    written = page(EVERYTHING, "example.org")
    text = read(written)
    for part in (
        "Server mx.example.org Port 995 Encryption SSL/TLS",
        "Port 465",
        "port 110 with STARTTLS for incoming mail and port 587 with STARTTLS for outgoing mail",
        "mailpost device add you phone",
        "Thunderbird",
        "Outlook",
        "iPhone",
        "Android",
    ):
        assert part in text
    assert not re.search(r"(src|href)=|@import|url\(", written)
    assert "prefers-color-scheme: dark" in written
    assert "@media print" in written


def test_the_page_of_a_try_out():
    """It says that nobody else reaches it, and has no card for what is not there."""
    assert "nothing but programs on its own machine" in read(page(HERE, "example.org"))
    only = read(page(offered(("pop3", "tcp:995", "implicit")), "example.org"))
    assert "Outgoing mail (SMTP)" not in only
