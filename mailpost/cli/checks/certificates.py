"""The certificates: readable, with their key, for the right names, and not too old."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailpost.cli.checks.findings import ok, problem, warning
from mailpost.cli.table import counted
from mailpost.tls import CertificateFiles, TLSError
from mailpost.tls.certificates import read_pair

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailpost.cli.checks.findings import Finding, Patient
    from mailpost.tls.certificates import KeyPair

CERTIFICATE = "certificate"
SOON = 14  # days: authorities renew a month before
_DAY = 86_400


def certificates(patient: Patient) -> Iterator[Finding]:
    """Each of them, and whether one is for the office's own name."""
    pairs = []
    for one in patient.config.certificate:
        try:
            pair = read_pair(CertificateFiles(Path(one.chain), Path(one.key)))
        except TLSError as error:
            what, _, mend = str(error).partition(": ")
            yield problem(CERTIFICATE, what, mend or "put another one in its place")
        else:
            pairs.append(pair)
            yield from _age(patient, pair)
    host = patient.config.office.hostname
    if pairs and not any(_covers(name, host) for pair in pairs for name in pair.description.names):
        yield warning(
            CERTIFICATE,
            f"none is for {host}: mail programs warn of it, or refuse",
            f"get one for {host}, or set office.hostname to a name that one is for",
        )
    if not patient.config.certificate and patient.public:
        yield warning(
            CERTIFICATE,
            "there is none: nothing can be encrypted, and nobody elsewhere can log in",
            "name one as a [[certificate]], and set tls on each listener",
        )
    if not patient.config.certificate and not patient.public:
        yield ok(CERTIFICATE, "none, and none is needed on this machine")


def _age(patient: Patient, pair: KeyPair) -> Iterator[Finding]:
    now = datetime.now(UTC)
    flaws = pair.flaws(now)
    for flaw in flaws:
        what, _, mend = flaw.partition(": ")
        level = problem if pair.description.flaw(now) else warning
        yield level(CERTIFICATE, what, mend)
    if flaws:
        return
    left = int((pair.description.not_after - now).total_seconds() // _DAY)
    told = f"{pair.path} is for {', '.join(pair.description.names)}; {counted(left, 'day')} left"
    if left < SOON:
        yield warning(
            CERTIFICATE,
            told,
            f"renew it; then {patient.program} reload, or wait for the next client",
        )
    elif pair.description.self_signed and patient.public:
        yield warning(
            CERTIFICATE,
            f"{told}; it is self-signed, so mail programs warn of it",
            "put one that an authority has signed in its place",
        )
    else:
        yield ok(CERTIFICATE, f"{told}{', self-signed' * pair.description.self_signed}")


def _covers(name: str, host: str) -> bool:
    """Whether a certificate's name is for a host: a star stands for one label (RFC 9525 §6.3)."""
    return name == host or (name.startswith("*.") and name[2:] == host.partition(".")[2])
