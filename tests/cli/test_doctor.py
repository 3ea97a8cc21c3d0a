"""``mailpost doctor``: each thing that can be wrong is found, told in plain words, and left as it is."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import apsw
import click
import pytest
from attrs import evolve
from click.testing import CliRunner
from twisted.names import dns as wire

from mailpost import config, control_client
from mailpost.cli import failures, main, ports
from mailpost.cli.checks import certificates, configuration, dns, listening, machine, trial
from mailpost.cli.checks.findings import Finding, Patient
from mailpost.cli.doctor import print_finding, told_to_stop
from mailpost.cli.office import open_office
from mailpost.store.checkup import Moments
from mailpost.tls import make_self_signed
from tests.store.conftest import Office

FILE = Path("office/mailpost.toml")
DATABASE = Path("office/mailpost.db")
RUNNING = {"process": 4711, "version": "1.2.3", "listeners": []}


@pytest.fixture(autouse=True)
def office(office_here, monkeypatch):
    office_here()
    monkeypatch.setattr(machine, "_unsynchronised", lambda: False)
    monkeypatch.setattr(ports, "state", lambda _: ports.FREE)
    monkeypatch.setattr(dns, "addresses", lambda _: ["192.0.2.1"])
    monkeypatch.setattr(dns, "mail_exchangers", lambda _: ["mail.example.org"])


def run(*words):
    return CliRunner().invoke(main, words)


def doctor(*words):
    return run("doctor", *words)


def findings(*words):
    """What it finds, by the check; only what is not well."""
    answer = doctor("--json", *words)
    told = json.loads(answer.stdout)
    bad = [one for one in told["findings"] if one["level"] != "ok"]
    assert answer.exit_code == any(one["level"] == "problem" for one in bad)
    assert told["well"] is (answer.exit_code == 0)
    assert all(one["mend"] for one in bad)
    return [(one["check"], one["level"], one["text"]) for one in bad]


def only(*words):
    (found,) = findings(*words)
    return found


def patient(text="", *, running=None, **office):
    """An office with these listeners."""
    listen = text or '[[listen]]\nprotocol = "pop3"\nendpoint = "tcp:1110:interface=127.0.0.1"\n'
    keys = "".join(f"{key} = {value}\n" for key, value in office.items())
    Path("a.toml").write_text(
        f'[office]\nhostname = "mail.example.org"\ndomains = ["example.org"]\n{keys}{listen}'
    )
    return Patient(FILE, config.load(Path("a.toml")), running, "mailpost")


def bad(found):
    return [(one.level, one.text) for one in found if one.level != "ok"]


def listener(protocol, endpoint, *more):
    return "\n".join(
        ["[[listen]]", f'protocol = "{protocol}"', f"endpoint = '{endpoint}'", *more, ""]
    )


# As a whole ---------------------------------------------------------------------------------------


def test_all_is_well():
    """A line for each check, status 0, and the store is not touched."""
    before = {path: path.stat().st_mtime_ns for path in FILE.parent.iterdir()}
    answer = doctor()
    assert answer.exit_code == 0, answer.stdout
    checks = re.findall(r"^ok +(\w+)", answer.stdout, re.MULTILINE)
    assert checks == [
        *("office", "configuration", "DNS", "ports", "certificate"),
        *("clock", "disk", "permissions", "database"),
    ]
    assert "\n0 problems, 0 warnings; it took " in answer.stdout
    assert max(map(len, answer.stdout.splitlines())) < 80
    after = {path: path.stat().st_mtime_ns for path in FILE.parent.iterdir()}
    assert {path: after.get(path) for path in before} == before


def test_a_problem_is_status_1():
    """It is told with how to mend it."""
    DATABASE.chmod(0o644)
    answer = doctor()
    assert answer.exit_code == failures.FAILED
    assert "problem  permissions" in answer.stdout
    assert "to mend it: chmod go= office/mailpost.db\n" in answer.stdout
    assert "1 problem, 0 warnings" in answer.stdout


@pytest.mark.parametrize(
    ("terminal", "no_color", "begin"),
    [(True, "", "\x1b[33m\x1b["), (True, "1", "warning "), (False, "", "warning ")],
)
def test_colours_are_for_terminals(monkeypatch, capsys, terminal, no_color, begin):
    """And for those who want them (https://no-color.org)."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(click.utils, "should_strip_ansi", lambda *_: False)
    print_finding(Finding("clock", "warning", "late \x1b[2J", "mend it"))
    shown = capsys.readouterr().out
    assert shown.startswith(begin[:5])
    assert "\\x1b[2J" in shown


def test_a_configuration_with_mistakes():
    """Each mistake is a problem; there is nothing else to look at then."""
    FILE.write_text("office = 3\n")
    found = findings()
    assert [check for check, _, _ in found] == ["configuration", "configuration"]
    assert "office: expected a table [office]; got 3" in found[0][2]


def test_an_office_that_gives_no_answer(monkeypatch):
    """That is a problem of its own."""

    def ask(*_):
        raise control_client.Refusal("the office gave no answer within 10 seconds")

    monkeypatch.setattr(control_client, "ask", ask)
    assert only() == (
        "office",
        "problem",
        "it gives no answer: the office gave no answer within 10 seconds",
    )


# Configuration and DNS ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "level", "told"),
    [
        (listener("lmtp", "tcp:24"), "problem", "whoever reaches it may deliver"),
        (listener("pop3", "tcp:110", "cleartext = true"), "warning", "passwords are taken unencr"),
        (listener("pop3", "tcp:110"), "warning", "nobody on another machine can log in there"),
        (listener("pop3", "tcp:110") + "[guard]\nallow = ['10.0.0.0/7']\n", "warning", "guessed"),
    ],
)
def test_an_unwise_configuration(text, level, told):
    """What is right and dangerous all the same is told."""
    found = bad(configuration.configuration(patient(text)))
    assert found[-1][0] == level
    assert told in found[-1][1]


@pytest.mark.parametrize(
    "text",
    [
        listener("lmtp", "tcp:24:interface=127.0.0.1"),
        listener("lmtp", "unix:/run/a"),
        listener("lmtp", "tcp:24", 'proxy = ["10.0.0.5"]'),
        listener("pop3", r"tcp6:110:interface=\:\:1", "cleartext = true"),
        listener("smtp", "tcp:25"),
    ],
)
def test_a_wise_configuration(text):
    """Who is on this machine, or comes through a proxy, is no danger; SMTP needs no login."""
    (found,) = configuration.configuration(patient(text))
    assert found.level == "ok"


@pytest.mark.parametrize(
    ("addresses", "hosts", "told"),
    [
        (["192.0.2.1"], ["mx.example.org", "mail.example.org"], None),
        ([], ["mail.example.org"], "mail.example.org has no address"),
        (["192.0.2.1"], [], "example.org has no MX record"),
        (["192.0.2.1"], ["mx.example.net"], "mail for example.org goes to mx.example.net, not to"),
        (["192.0.2.1"], None, "no name server answers"),
    ],
)
def test_what_dns_says(monkeypatch, addresses, hosts, told):
    """Whether others find the office; nothing of it is more than a warning."""
    monkeypatch.setattr(dns, "addresses", lambda _: addresses)
    monkeypatch.setattr(dns, "mail_exchangers", lambda _: hosts)
    found = bad(configuration.names(patient(listener("smtp", "tcp:25"))))
    assert [level for level, _ in found] == ["warning"] * (told is not None)
    assert told is None or told in found[0][1]


@pytest.fixture
def name_server(monkeypatch, tmp_path):
    """A name server; its answers are made by what the test gives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(5)
        monkeypatch.undo()
        monkeypatch.setattr(dns, "_PORT", line.getsockname()[1])
        monkeypatch.setattr(dns, "RESOLVERS", tmp_path / "resolv.conf")
        (tmp_path / "resolv.conf").write_text("search x\nnameserver 127.0.0.1\n")

        def answering(*records, code=wire.OK, strange=False):
            def serve():
                octets, peer = line.recvfrom(4096)
                message = wire.Message()
                message.fromStr(octets)
                message.answer, message.rCode = 1, code
                message.id ^= strange
                name = message.queries[0].name.name
                message.answers = [
                    wire.RRHeader(name, wire.MX, payload=wire.Record_MX(*one)) for one in records
                ]
                line.sendto(message.toStr(), peer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            return thread

        yield answering


def test_mx_records(name_server, monkeypatch):
    """They come in their order of preference; no record is another thing than no answer."""
    name_server((20, "b.example.org"), (10, "A.example.org"))
    assert dns.mail_exchangers("example.org") == ["a.example.org", "b.example.org"]
    name_server(code=wire.ENAME)
    assert dns.mail_exchangers("example.org") == []
    name_server(code=wire.ESERVER)
    assert dns.mail_exchangers("example.org") is None
    name_server((10, "a.example.org"), strange=True)
    assert dns.mail_exchangers("example.org") is None
    monkeypatch.setattr(dns, "PATIENCE", 0.05)
    assert dns.mail_exchangers("example.org") is None


def test_no_name_server(monkeypatch, tmp_path):
    """Where none is named, nobody is asked."""
    monkeypatch.undo()
    monkeypatch.setattr(dns, "RESOLVERS", tmp_path / "none")
    assert dns.mail_exchangers("example.org") is None
    (tmp_path / "none").write_text("search x\n")
    assert dns.mail_exchangers("example.org") is None


def test_addresses_do_not_hang(monkeypatch):
    """A system that takes too long is not waited for."""
    monkeypatch.undo()
    assert "127.0.0.1" in dns.addresses("localhost")
    monkeypatch.setattr(dns, "PATIENCE", 0.05)
    asleep = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [asleep.wait(5)][:0])
    started = time.monotonic()
    assert dns.addresses("example.org") == []
    assert time.monotonic() - started < 1.0
    asleep.set()


# Ports --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "level", "told"),
    [
        (ports.TAKEN, "problem", "127.0.0.1:1110 (pop3) is taken by another program"),
        (ports.FORBIDDEN, "warning", "127.0.0.1:1110 (pop3) may not be opened by this user"),
        (ports.ELSEWHERE, "problem", "127.0.0.1:1110 (pop3) is no address of this machine"),
    ],
)
def test_ports_that_cannot_be_had(monkeypatch, state, level, told):
    """Each reason has its words."""
    monkeypatch.setattr(ports, "state", lambda _: state)
    monkeypatch.setattr(listening, "owner", lambda _: None)
    assert bad(listening.listening(patient())) == [(level, told)]


def test_who_has_a_port():
    """The program is named, where that may be known."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        whose = listening.owner(ports.Place("127.0.0.1", taken.getsockname()[1]))
    assert whose is not None
    assert whose.endswith(f"(process {os.getpid()})")
    assert listening.owner(ports.Place("127.0.0.1", 0)) is None


def test_a_door_that_is_shut():
    """Beside a running office a port that takes no connection is a problem; one that does is its own."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        text = listener("pop3", f"tcp:{door.getsockname()[1]}:interface=127.0.0.1")
        shut = bad(listening.listening(patient(text, running=RUNNING)))
        door.listen()
        assert bad(listening.listening(patient(text, running=RUNNING))) == []
    assert "takes no connection, though the office runs" in shut[0][1]


def test_sockets_that_are_no_ports(monkeypatch):
    """A UNIX socket needs its folder, and the right to write there; systemd's are systemd's."""
    place = Path.cwd() / "run"
    text = listener("lmtp", f"unix:{place}/lmtp") + listener("smtp", "systemd:domain=INET:index=0")
    assert bad(listening.listening(patient(text))) == [
        ("problem", f"unix:{place}/lmtp: there is no folder {place}")
    ]
    place.mkdir()
    assert bad(listening.listening(patient(text))) == []
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert bad(listening.listening(patient(text)))[0][0] == "warning"


# Certificates -------------------------------------------------------------------------------------


def test_a_certificate_without_its_key():
    """What tls says of it is a problem, cut into what is and what to do."""
    Path("office/key.pem").unlink()
    check, level, text = only()
    assert (check, level) == ("certificate", "problem")
    assert text.startswith("there is no file office/key.pem")


def test_a_certificate_for_another_name():
    """Mail programs would warn of it."""
    FILE.write_text(FILE.read_text().replace('"mail.example.org"', '"mx.example.net"'))
    assert only() == (
        "certificate",
        "warning",
        "none is for mx.example.net: mail programs warn of it, or refuse",
    )


@pytest.mark.parametrize(
    ("days", "level", "told"),
    [(10.5, "warning", "10 days left"), (-0.02, "problem", "expired on")],
)
def test_a_certificate_s_age(monkeypatch, days, level, told):
    """Old is a warning, too old a problem."""
    for name in ("certificate.pem", "key.pem"):
        Path("office", name).unlink()
    monkeypatch.setattr("mailpost.tls.self_signed.VALID_DAYS", days)
    make_self_signed(Path("office"), ["mail.example.org"])
    check, found, text = only()
    assert (check, found) == ("certificate", level)
    assert told in text


def test_a_self_signed_certificate_for_the_world():
    """On this machine it is well, before others it is a warning; none at all is one, too."""
    tls = 'tls = "implicit"'
    names = '[[certificate]]\nchain = "office/certificate.pem"\nkey = "office/key.pem"\n'
    here = patient(listener("pop3", "tcp:995:interface=127.0.0.1", tls) + names)
    world = patient(listener("pop3", "tcp:995", tls) + names)
    assert bad(certificates.certificates(here)) == []
    assert "it is self-signed" in bad(certificates.certificates(world))[0][1]
    assert bad(certificates.certificates(patient())) == []
    assert (
        "there is none" in bad(certificates.certificates(patient(listener("smtp", "tcp:25"))))[0][1]
    )


@pytest.mark.parametrize(
    ("name", "host", "covers"),
    [
        ("mail.example.org", "mail.example.org", True),
        ("*.example.org", "mail.example.org", True),
        ("*.example.org", "a.mail.example.org", False),
        ("*.example.org", "example.org", False),
    ],
)
def test_names_that_cover(name, host, covers):
    """A star is one label."""
    assert certificates._covers(name, host) is covers


# The machine --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrived", "looked", "told"),
    [
        (None, None, None),
        (0, None, None),
        (None, 86_460, "it is 1 d "),
    ],
)
def test_a_clock_that_was_put_back(arrived, looked, told):
    """The store has seen a later time than the clock says."""
    now = int(time.time())
    seen = [None if ahead is None else now + ahead for ahead in (arrived, looked)]
    found = bad(machine.clock(Moments(*seen)))
    assert bool(found) is (told is not None)
    assert told is None or told in found[0][1]
    assert bad(machine.clock(None)) == []


def test_a_clock_that_is_not_kept(monkeypatch):
    """In 1970 it is wrong for sure; where nothing keeps it in step it may be."""
    monkeypatch.setattr(machine, "_unsynchronised", lambda: True)
    assert bad(machine.clock(None))[0][0] == "warning"
    monkeypatch.setattr(time, "time", lambda: 86_400.0)
    assert bad(machine.clock(None)) == [("problem", "it says that the year is 1970")]


def test_the_kernel_is_asked(monkeypatch):
    """The kernel answers, and a system without that call is none that is wrong."""
    monkeypatch.undo()
    assert machine._unsynchronised() in {True, False}
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda _: object())
    assert machine._unsynchronised() is False


@pytest.mark.parametrize(
    ("free", "inodes", "told"),
    [
        (10 << 30, 10_000, []),
        (300 << 20, 10_000, [("warning", "300 MiB free")]),
        (100 << 20, 10_000, [("problem", "100 MiB free, and 256 MiB are kept in reserve")]),
        (10 << 30, 5, [("problem", "room for 5 more files")]),
    ],
)
def test_the_disk(monkeypatch, free, inodes, told):
    """Octets and inodes, against the reserve."""

    class Found:
        f_bavail, f_frsize, f_files, f_favail = free, 1, 1, inodes

    monkeypatch.setattr(os, "statvfs", lambda _: Found)
    found = bad(machine.disk(patient()))
    assert [
        (level, text[: len(part)]) for (level, text), (_, part) in zip(found, told, strict=True)
    ] == told


def test_a_disk_that_is_none(monkeypatch):
    """A network file system is a problem, and so is a folder that is not there."""
    monkeypatch.setattr(machine, "network_file_system", lambda _: "nfs4")
    assert "network file system (nfs4)" in bad(machine.disk(patient()))[0][1]
    gone = patient(store='"sqlite:gone/mail.db"')
    assert bad(machine.disk(gone))[0][0] == "problem"
    assert bad(machine.permissions(gone))[0][1].endswith("gone/mail.db: No such file or directory")


@pytest.mark.parametrize(
    ("path", "mode", "mend"),
    [
        ("office/key.pem", 0o640, "chmod go= office/key.pem"),
        ("office/mailpost.db.parcels", 0o755, "chmod go= office/mailpost.db.parcels"),
        ("office", 0o770, "chmod go-w office"),
    ],
)
def test_what_others_can_read(path, mode, mend):
    """The key, letters, the folder: each by name, with the command that mends it."""
    Path(path).chmod(mode)
    (found,) = [one for one in json.loads(doctor("--json").stdout)["findings"] if one["mend"]]
    assert (found["check"], found["level"], found["mend"]) == ("permissions", "problem", mend)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_is_another_s():
    """A file that root made by hand is found."""
    parcel = Path("office/mailpost.db.parcels/1-1")
    parcel.touch()
    os.chown(parcel, 54321, 54321)
    check, level, text = findings()[0]
    assert (check, level) == ("permissions", "problem")
    assert text == f"{parcel} is not of the store's owner"


# The database -------------------------------------------------------------------------------------


def sql(statement, rows=((),)):
    db = apsw.Connection(str(DATABASE))
    with db:
        for row in rows:
            db.execute(statement, row)
    db.close()


def test_no_store():
    """Where there is none, that is told, and nothing else is asked of it."""
    DATABASE.unlink()
    assert ("database", "problem", "there is no store at office/mailpost.db") in findings()


def test_no_database():
    """A file that is something else."""
    DATABASE.write_bytes(b"something else, and long enough to be read as a header" * 100)
    assert any(check == "database" and level == "problem" for check, level, _ in findings())


@pytest.mark.parametrize(
    ("statement", "level", "told"),
    [
        ("PRAGMA application_id=1", "problem", "not one of mailpost's"),
        ("PRAGMA user_version=999", "problem", "a newer mailpost has made it"),
        ("PRAGMA user_version=3", "warning", "it is of version 3"),
    ],
)
def test_another_version(statement, level, told):
    """It is told, and the store is not migrated by being looked at."""
    sql(statement)
    check, found, text = only()
    assert (check, found) == ("database", level)
    assert told in text
    if "user_version" in statement:
        db = apsw.Connection(str(DATABASE))
        assert db.pragma("user_version") == int(statement.partition("=")[2])
        db.close()


def test_a_damaged_database():
    """SQLite's words, and what to do."""
    sql("INSERT INTO office VALUES (?, ?)", [(f"x{number}", "y" * 100) for number in range(200)])
    with DATABASE.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(bytes(4096))
    assert any(check == "database" and level == "problem" for check, level, _ in findings())


def test_a_database_that_is_large(monkeypatch):
    """What is not looked through in time is a warning, not a problem."""
    monkeypatch.setattr("mailpost.store.checkup.Checkup.damage", lambda *_, **__: None)
    check, level, text = only()
    assert (check, level) == ("database", "warning")
    assert "within 20 seconds" in text


@pytest.fixture
def letters():
    """Three letters for alice, the last of them a parcel."""
    store = Office(DATABASE, create=False)
    alice = store.accounts.find("alice")
    for number, body in enumerate((b"one\r\n", b"two\r\n", b"x" * 99_998 + b"\r\n")):
        store.deliver(body, alice, trace=f"t{number}")
    store.store.close()
    (parcel,) = Path("office/mailpost.db.parcels").iterdir()
    return parcel


def test_every_letter_as_it_came(letters):
    """With --thorough each is read; the file system may have changed one, or lost it."""
    late = [("clock", "problem")]  # the letters are from a time to come
    assert [one[:2] for one in findings("--thorough")] == late
    assert "3 letters, each as it came" in doctor("--thorough").stdout
    octets = letters.read_bytes()
    letters.write_bytes(b"y" + octets[1:])
    assert findings("--thorough")[-1][2] == "letter t2 is not what came: its digest differs"
    letters.write_bytes(octets[:-2])
    assert findings("--thorough")[-1][2] == "letter t2 has 99998 octets, 100000 came"
    letters.unlink()
    assert "letter t2 cannot be read: parcel" in findings("--thorough")[-1][2]
    sql("DELETE FROM body WHERE letter = 1")
    assert "letter t0 has no body" in [text for _, _, text in findings("--thorough")]
    assert [one[:2] for one in findings()] == late


def test_what_a_dead_process_left():
    """It is told, and left to the office."""
    litter = Path("office/mailpost.db.parcels/deadbeef-1")
    litter.touch(mode=0o600)
    assert only() == (
        "parcels",
        "warning",
        "1 file of no letter, left by a process that was killed",
    )
    assert litter.exists()


# A letter to oneself --------------------------------------------------------------------------------


def opened():
    return open_office(config.load(FILE))


def names():
    with opened() as (_, store):
        return [one.account.name for one in store.accounts.all()]


@pytest.mark.parametrize(
    "text",
    [
        listener("smtp", "systemd:domain=INET:index=0") + listener("pop3", "tcp:1110"),
        listener("smtp", "tcp:25") + listener("pop3", "tcp:1110", 'proxy = ["10.0.0.5"]'),
    ],
)
def test_no_door_for_it(text):
    """Where none can be used from here, it is not sent, and that is said."""
    with opened() as (_, store):
        (found,) = trial.trial(patient(text), store)
    assert (found.level, found.text[:9]) == ("warning", "not sent:")


@pytest.mark.parametrize("trouble", [trial.Trouble("lost"), KeyboardInterrupt(), SystemExit(143)])
def test_nothing_is_left_behind(monkeypatch, trouble):
    """Whatever happens on the way, the account is gone afterwards."""
    seen = []

    def send(_door, somebody, _subject):
        seen.extend(names())
        assert somebody.address == f"{somebody.name}@example.org"
        raise trouble

    monkeypatch.setattr(trial, "_send", send)
    looked_at = patient(listener("smtp", "tcp:25") + listener("pop3", "tcp:1110"))
    with opened() as (_, store):
        if isinstance(trouble, trial.Trouble):
            (found,) = trial.trial(looked_at, store)
            assert (found.level, found.text) == ("problem", "lost")
        else:
            with pytest.raises(type(trouble)):
                list(trial.trial(looked_at, store))
    assert any(name.startswith("mailpost-doctor-") for name in seen)
    assert names() == ["alice", "postmaster"]


def test_a_domain_of_aliases_alone(monkeypatch):
    """The letter goes to a domain where accounts have addresses; where there is none, it is not sent."""
    sent = []
    monkeypatch.setattr(
        trial, "_send", lambda _door, somebody, _subject: sent.append(somebody.address)
    )
    monkeypatch.setattr(trial, "_collect", lambda *_: None)
    looked_at = patient(listener("smtp", "tcp:25") + listener("pop3", "tcp:1110"))
    assert run("domain", "set", "example.org", "--aliases-only").exit_code == 0
    with opened() as (_, store):
        (found,) = trial.trial(looked_at, store)
        assert (found.level, found.text[:9], sent) == ("warning", "not sent:", [])
    both = looked_at.config.office.model_copy(update={"domains": ("example.org", "example.net")})
    config_of_both = looked_at.config.model_copy(update={"office": both})
    with opened() as (_, store):
        (found,) = trial.trial(evolve(looked_at, config=config_of_both), store)
    assert found.level == "ok"
    assert sent[0].endswith("@example.net")
    assert names() == ["alice", "postmaster"]


def test_what_a_killed_doctor_left():
    """The next one removes it; one that is at work beside it keeps its own."""
    old = f"mailpost-doctor-{int(time.time()) - 700:08x}-00000000"
    new = f"mailpost-doctor-{int(time.time()):08x}-00000000"
    with opened() as (_, store):
        for name in (old, new, "mailpost-doctor-who"):
            store.accounts.add(name, "hash")
        trial.sweep(store)
    assert names() == ["alice", new, "mailpost-doctor-who", "postmaster"]


def test_an_account_that_is_still_open(monkeypatch):
    """Its session ends in a moment; that is waited for, though not for ever."""
    name = f"mailpost-doctor-{0:08x}-00000000"
    with opened() as (_, store):
        account = store.accounts.add(name, "hash")
        monkeypatch.setattr(trial, "PATIENCE", 0.1)
        store._locks.take(account.view)
        with pytest.raises(Exception, match="somebody is collecting"):
            trial.sweep(store)
        threading.Timer(0.05, store._locks.free, (account.view,)).start()
        monkeypatch.setattr(trial, "PATIENCE", 5.0)
        trial.sweep(store)
    assert names() == ["alice", "postmaster"]


def test_told_to_stop():
    """SIGTERM ends it in order, and whoever called it has their own way to end back afterwards."""
    before = signal.getsignal(signal.SIGTERM)

    def be_told():
        with told_to_stop():
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)

    with pytest.raises(SystemExit):
        be_told()
    assert signal.getsignal(signal.SIGTERM) is before
