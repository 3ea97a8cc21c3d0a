"""The configuration: what is right in it and all the same unwise; and what DNS says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.cli.checks import dns
from mailpost.cli.checks.findings import beyond_this_machine, ok, problem, warning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient

CONFIGURATION = "configuration"
DNS = "DNS"


def configuration(patient: Patient) -> Iterator[Finding]:
    """It has been read, and so has no mistake; some things in it may be dangerous."""
    found = list(_unwise(patient))
    if not found:
        domains = ", ".join(patient.config.office.domains)
        yield ok(CONFIGURATION, f"{patient.file} is right; mail for {domains}")
    yield from found


def _unwise(patient: Patient) -> Iterator[Finding]:
    for place, listen in enumerate(patient.config.listen):
        if not beyond_this_machine(listen) or listen.proxy:
            continue
        where = f"listen[{place}] ({listen.protocol} at {listen.endpoint})"
        if listen.protocol == "lmtp":
            yield problem(
                CONFIGURATION,
                f"{where}: whoever reaches it may deliver, without a login and without limits",
                'give it an address of this machine, such as "tcp:2424:interface=127.0.0.1"',
            )
        elif listen.cleartext and listen.tls != "implicit":
            yield warning(
                CONFIGURATION,
                f"{where}: passwords are taken unencrypted from other machines",
                "take cleartext = true away, and set tls",
            )
        elif listen.tls == "none" and listen.protocol != "smtp":
            yield warning(
                CONFIGURATION,
                f"{where}: nobody on another machine can log in there, since it has no TLS",
                'set tls = "implicit" or tls = "starttls", and name a [[certificate]]',
            )
    exempt = [str(one) for one in patient.config.guard.allow if one.num_addresses > _MANY]
    if exempt:
        yield warning(
            CONFIGURATION,
            f"guard.allow names {', '.join(exempt)}: from there passwords can be guessed without end",
            "name your own networks alone",
        )


_MANY = 1 << 24  # addresses: a /8 of IPv4


def names(patient: Patient) -> Iterator[Finding]:
    """Whether others find the office; only where it is open to them."""
    office = patient.config.office
    if not patient.public:
        yield ok(DNS, "not asked: the office is for this machine alone")
        return
    found = dns.addresses(office.hostname)
    if found:
        yield ok(DNS, f"{office.hostname} is {', '.join(found)}")
    else:
        yield warning(
            DNS,
            f"{office.hostname} has no address that can be found out just now",
            f"add an A or AAAA record for {office.hostname}, or set office.hostname to a name that has one",
        )
    if not any(
        one.protocol == "smtp" and beyond_this_machine(one) for one in patient.config.listen
    ):
        return
    for domain in office.domains:
        yield from _mx(patient, domain)


def _mx(patient: Patient, domain: str) -> Iterator[Finding]:
    host = patient.config.office.hostname
    records = f"the records are written by: {patient.program} settings --write FOLDER"
    hosts = dns.mail_exchangers(domain)
    if hosts is None:
        yield warning(
            DNS,
            f"where mail for {domain} goes cannot be found out: no name server answers",
            "look at /etc/resolv.conf, then try again",
        )
    elif not hosts:
        yield warning(DNS, f"{domain} has no MX record: other mail servers do not find it", records)
    elif host not in hosts:
        yield warning(
            DNS,
            f"mail for {domain} goes to {', '.join(hosts)}, not to {host}",
            f"if it is to come here directly, change the MX record; {records}",
        )
    else:
        yield ok(DNS, f"mail for {domain} comes to {host}")
