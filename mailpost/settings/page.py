"""The page of settings: one HTML file that needs nothing else, to be read, sent round and printed."""

from __future__ import annotations

from html import escape
from string import Template
from typing import TYPE_CHECKING

from mailpost.settings.words import SECURITY, steps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailpost.settings.offers import Offers, Server

_PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Mail at $domain</title>
<style>
:root { --paper: #fbfaf7; --card: #ffffff; --ink: #1f2328; --soft: #5b6470; --line: #dcd8cf; --mark: #8a3324 }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181c; --card: #1f2227; --ink: #e8e6e1; --soft: #a3a9b2; --line: #3a3f47;
    --mark: #e79a86 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--paper); color: var(--ink); font: 17px/1.55 system-ui, sans-serif }
main { max-width: 46rem; margin: 0 auto; padding: 3rem 1.25rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem; letter-spacing: -.01em }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .7rem }
p { margin: .5rem 0 }
.lead { color: var(--soft) }
.servers { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: 1rem;
  margin-top: 1.6rem }
section.card { background: var(--card); border: 1px solid var(--line); border-top: 4px solid var(--mark);
  border-radius: 8px; padding: .9rem 1.15rem 1.1rem }
section.card h2 { margin: 0 0 .6rem }
.servers + p { margin-top: 1.1rem }
dl { display: grid; grid-template-columns: max-content 1fr; align-items: baseline; gap: .3rem 1.1rem;
  margin: 0 }
dt { color: var(--soft) }
dd { margin: 0; overflow-wrap: anywhere }
dd, code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .94em }
.steps dl { grid-template-columns: minmax(6rem, max-content) 1fr; gap: .8rem 1.4rem }
.steps dt { color: var(--ink); font-weight: 600 }
.steps dd { font: inherit }
footer { margin-top: 2.6rem; padding-top: .8rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .9rem }
@media (max-width: 34rem) {
  .steps dl { grid-template-columns: 1fr; gap: .15rem } .steps dd { margin-bottom: .8rem }
}
@media print {
  :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #999; --mark: #000 }
  body { font-size: 11pt } main { padding: 0; max-width: none } section.card { break-inside: avoid }
}
</style>
</head>
<body>
<main>
<h1>Mail at $domain</h1>
<p class="lead">What to type into a mail program. Some find these settings by themselves once they have your
address and password; where one asks, choose <strong>POP3</strong> (or POP) and copy from here.</p>
<div class="servers">
$servers</div>
$alternatives<h2>Name and password</h2>
<p>The user name is your address, such as <code>you@$domain</code>; <code>you</code> alone will do as well.
It is the same for both servers.</p>
<p>Ask for a password of its own for each phone and each computer. Then what one of them deletes is still
there for the others, and a device that is lost can be shut out alone. Whoever runs the office makes one with
<code>mailpost device add you phone</code>.</p>
<h2>Where to type it</h2>
<div class="steps"><dl>
$steps</dl></div>
$remark<footer>Written by mailpost for $hostname.</footer>
</main>
</body>
</html>
""")

_HERE = """\
<h2>On this machine alone</h2>
<p>The office is a try-out: nothing but programs on its own machine reaches it.</p>
"""


def page(offered: Offers, domain: str) -> str:
    """Write the page of one domain. There is at least one server to collect from."""
    servers = [_card("Incoming mail (POP3)", offered.incoming[0])]
    if offered.outgoing:
        servers.append(_card("Outgoing mail (SMTP)", offered.outgoing[0]))
    others = [*offered.incoming[1:], *offered.outgoing[1:]]
    return _PAGE.substitute(
        domain=escape(domain),
        hostname=escape(offered.hostname),
        servers="".join(servers),
        alternatives=_alternatives(others),
        steps=_list(steps(offered)),
        remark=_HERE if offered.here else "",
    )


def _card(title: str, server: Server) -> str:
    told = [
        ("Server", server.host),
        ("Port", str(server.port)),
        ("Encryption", SECURITY[server.tls]),
        ("User name", "your address"),
    ]
    return f'<section class="card">\n<h2>{title}</h2>\n<dl>\n{_list(told)}</dl>\n</section>\n'


def _alternatives(servers: Iterable[Server]) -> str:
    names = {"pop3": "incoming", "submission": "outgoing"}
    told = [
        f"port {server.port} with {SECURITY[server.tls]} for {names[server.protocol]} mail"
        for server in servers
        if server.tls != "none"
    ]
    if not told:
        return ""
    return f"<p>Where a program cannot do that: {escape(' and '.join(told))}.</p>\n"


def _list(told: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<dt>{escape(what)}</dt><dd>{escape(is_)}</dd>\n" for what, is_ in told)
