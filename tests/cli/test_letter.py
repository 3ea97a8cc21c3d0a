"""``mailpost letter``: traced by id and by Message-ID, listed, and harmless to a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from mailpost import config
from mailpost.cli import failures, headers, main
from mailpost.cli.office import open_office
from mailpost.envelope import Address, Copy, Envelope, Traits
from mailpost.store.taking import Take
from tests.store.conftest import Office, now

TRACE = "00000000000000a1"
LETTER = (
    b"From: =?utf-8?q?J=C3=B6rg?= <joerg@example.net>\r\nSubject: tea at =?utf-8?b?Zm91cg==?=\r\n"
    b"Message-ID:\r\n <tea.1@example.net>\r\nDate: Mon, 4 May 2026 12:00:00 +0200\r\n\r\nhi\r\n"
)


@pytest.fixture(autouse=True)
def place(office_here):
    office_here()
    run("user", "add", "bob", "--no-password")


@pytest.fixture
def office(place):
    """The store as the office has it, to deliver to."""
    store = Office(Path("office/mailpost.db"), create=False)
    yield store
    store.store.close()


def run(*words):
    return CliRunner().invoke(main, words)


def letter(*words):
    return run("letter", *words)


def deliver(office, body, *names, trace=TRACE, sender="joerg@example.net"):
    """Deliver a letter, each copy with a postmark of its own."""
    draft = office.draft(body)
    copies = [
        Copy(
            office.accounts.find(name).maildrop,
            f"Return-Path: <{sender}>\r\nDelivered-To: {name}@example.org\r\n"
            f"Received: from client.example.net ([192.0.2.7])\r\n\tby mail.example.org with ESMTPS"
            f" id {trace}\r\n\tfor <{name}@example.org>; date\r\n".encode(),
        )
        for name in names
    ]
    local, _, domain = sender.partition("@")
    envelope = Envelope(trace, Address(local, domain) if sender else None)
    done = draft.commit(envelope, copies, Traits(), atomic=True)
    office.turn()
    now(done)


def test_by_trace_id(office):
    """When it came, from where, whom to return it to, what it says, and each copy with its views."""
    deliver(office, LETTER, "alice", "bob")
    office.let_go(office.accounts.find("bob"), 0)
    told = letter(TRACE.upper()).stdout
    for part in (
        f"letter       {TRACE}\n",
        "came         2027-01-15 08:00 UTC\n",
        "received     from client.example.net ([192.0.2.7]) by mail.example.org with ESMTPS id ",
        "return to    <joerg@example.net>\n",
        "in the database\n",
        "from         Jörg <joerg@example.net>\n",
        "subject      tea at four\n",
        "message id   <tea.1@example.net>\n",
        "in alice's maildrop, number 1, unique-id ",
        "(main)  shown  never\n",
        "in bob's maildrop, number 1, unique-id ",
        "(main)  let go  not known\n",
    ):
        assert part in told, part
    assert letter("show", TRACE).stdout == told


@pytest.mark.parametrize("name", ["<tea.1@example.net>", "tea.1@example.net"])
def test_by_message_id(office, name):
    """Headers are read through, folded ones too; what only resembles it is not meant."""
    deliver(office, LETTER.replace(b"tea.1", b"tea.11"), "alice", trace="00000000000000a0")
    deliver(office, LETTER, "alice")
    deliver(office, b"no header at all\r\n", "alice", trace="00000000000000a2")
    deliver(office, b"X: y\r\n\r\nMessage-ID: <tea.1@example.net>\r\n", "alice", trace="a3" * 8)
    told = json.loads(letter(name, "--json").stdout)
    assert [one["trace"] for one in told] == [TRACE]


def test_one_that_was_brought(tmp_path):
    """Nobody has handed it in: it was elsewhere before."""
    (tmp_path / "tea.eml").write_bytes(LETTER)
    run("import", str(tmp_path / "tea.eml"), "--to", "bob")
    assert "received     elsewhere, and brought here\n" in letter("tea.1@example.net").stdout


def test_for_programs(office):
    """JSON has all of it, the copies one by one."""
    run("device", "add", "alice", "phone", "--from", "all")
    deliver(office, LETTER, "alice", "bob")
    (told,) = json.loads(letter("show", TRACE, "--json").stdout)
    first, second = told.pop("copies")
    assert told == {
        "trace": TRACE,
        "came": "2027-01-15T08:00:00Z",
        "reverse_path": "joerg@example.net",
        "received": (
            f"from client.example.net ([192.0.2.7]) by mail.example.org with ESMTPS id {TRACE}"
            " for <alice@example.org>; date"
        ),
        "parcel": None,
        "from": "Jörg <joerg@example.net>",
        "subject": "tea at four",
        "date": "Mon, 4 May 2026 12:00:00 +0200",
        "message_id": "<tea.1@example.net>",
        "bin": [],
    }
    assert (first["account"], first["delivered_to"]) == ("alice", "alice@example.org")
    assert first["views"] == [
        {"device": None, "shown": True, "holds": False, "collected": None},
        {"device": "phone", "shown": True, "holds": True, "collected": None},
    ]
    assert second["account"] == "bob"


def test_a_parcel(office):
    """A large letter's header is read from its file; where that has gone, what is left is told."""
    deliver(office, LETTER + b"x" * 99_998 + b"\r\n", "alice", sender="")
    (told,) = json.loads(letter("tea.1@example.net", "--json").stdout)
    assert told["subject"] == "tea at four"
    assert told["reverse_path"] is None
    (parcel,) = Path("office/mailpost.db.parcels").iterdir()
    assert told["parcel"] == parcel.name
    assert f"in parcel {parcel.name}\n" in letter(TRACE).stdout
    parcel.unlink()
    assert json.loads(letter(TRACE, "--json").stdout)[0]["subject"] == ""


def test_many_letters(office):
    """However many there are, each is looked at, once."""
    for number in range(70):
        deliver(office, b"Message-ID: <%d@x>\r\n\r\n" % number, "alice", trace=f"{number:016x}")
    assert json.loads(letter("69@x", "--json").stdout)[0]["trace"] == f"{69:016x}"
    assert json.loads(letter(f"{64:016x}", "--json").stdout)[0]["message_id"] == "<64@x>"
    listed = json.loads(letter("list", "alice", "--limit", "68", "--json").stdout)
    assert [one["number"] for one in listed] == list(range(70, 2, -1))


def test_who_has_collected_it(office):
    """A device that has fetched it, and when; one that has let go of it."""
    for device in ("phone", "desk"):
        run("device", "add", "alice", device, "--from", "all")
    deliver(office, LETTER, "alice")
    alice = office.accounts.find("alice")
    phone = next(one for one in office.accounts.devices_of(alice) if one.name == "phone")
    office.clock.advance(600)
    snapshot = now(office.store.maildrop(alice, phone.view).open())
    going = snapshot.let_go([0])
    office.turn()
    now(going)
    snapshot.close()
    office.turn()
    views = {
        one["device"]: one
        for one in json.loads(letter(TRACE, "--json").stdout)[0]["copies"][0]["views"]
    }
    assert views["phone"]["collected"] == "2027-01-15T08:10:00Z"
    assert (views["phone"]["shown"], views["desk"]["shown"]) == (False, True)
    assert views["desk"]["collected"] is None
    assert "phone   let go           2027-01-15 08:10" in letter(TRACE).stdout


@pytest.mark.parametrize("name", ["0" * 16, "nothing@example.net"])
def test_one_that_is_not_here(name):
    """That is a failure, with what it may mean."""
    answer = letter(name)
    assert answer.exit_code == failures.NO_USER
    assert answer.stderr.startswith(f"mailpost: no letter {name} is here")


def test_what_can_be_no_id():
    """What ids look like is told; what is near to a command is guessed as everywhere."""
    answer = letter("show", "\x1b[2J")
    assert answer.exit_code == failures.BAD_DATA
    assert answer.stderr.startswith("mailpost: \\x1b[2J is no trace id (16 hexadecimal digits)")
    assert letter("lst").exit_code == failures.WRONG_USAGE


def test_list(office):
    """The latest first, whoever has collected them; from whom and about what, decoded."""
    deliver(office, LETTER, "alice", trace="00000000000000a0")
    office.clock.advance(60)
    deliver(office, b"Subject: second\r\n\r\n", "alice")
    head, second, first = letter("list", "ALICE").stdout.splitlines()
    assert head == ("trace id          came (UTC)        size   from  subject")
    assert second.startswith(f"{TRACE}  2027-01-15 08:01  ")
    assert second.endswith("second")
    assert first.endswith(" B  Jörg  tea at four")
    assert len(letter("list", "alice", "--limit", "1").stdout.splitlines()) == 2
    assert letter("list", "bob").stdout.splitlines() == [
        "trace id  came (UTC)  size  from  subject"
    ]
    assert letter("list", "carol").exit_code == failures.NO_USER


BAD = b"From: \x1b]0;owned\x07\x9b2J\r\nSubject: =?utf-8?b?G1syShsKYQ==?= \xe2\x80\xae evil\r\n"


def test_nothing_harms_a_terminal(office):
    """Escapes, bells and what turns the direction round come out as text, encoded words' too."""
    deliver(office, BAD + b"Message-ID: <\x1b[2J@x>\r\n\r\n", "alice")
    for told in (letter("list", "alice").stdout, letter(TRACE).stdout):
        assert "\x1b" not in told
        assert told.replace("\n", "").isprintable()
        assert "\\x1b]0;owned" in told
        assert "\\u202e" in told


@given(st.binary(max_size=300))
def test_any_header_is_read(octets):
    """Whatever stands there, a field of it is some text."""
    header = headers.header_of(b"Subject: " + octets)
    assert isinstance(headers.decoded(headers.field(header, "Subject")), str)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"=?utf-8?q?caf=C3=A9?= au =?iso-8859-1?q?lait_=E9?=", "café au lait é"),
        (b"=?no-such-charset?q?caf=E9?=", "caf\xe9"),
        (b"=?utf-8?q?broken=ZZ?=", "broken=ZZ"),
        (b"=?utf-8?b?x?=", "=?utf-8?b?x?="),
        ("plain ü".encode(), "plain ü"),
        (b"latin \xfc", "latin \ufffd"),
        ("ü =?utf-8?q?=C3=A9?=".encode(), "ü é"),
        (b"a\t b", "a b"),
        (None, ""),
    ],
)
def test_encoded_words(raw, text):
    """RFC 2047, and what comes close to it."""
    assert headers.decoded(raw) == text


@pytest.mark.parametrize("name", [TRACE, "tea.1@example.net"])
def test_what_is_in_the_bin(office, name):
    """A letter that all have let go of is found there, beside copies that others still have."""
    deliver(office, LETTER, "alice", "bob")
    alice = office.accounts.find("alice")
    office.let_go(alice, 0)
    office.store.ledger.run(Take(alice.maildrop, 10, 1_800_000_060))
    told = letter(name).stdout
    assert "\nin bob's maildrop, number 1" in told
    undelete = (
        "in the bin, deleted 2027-01-15 08:01 UTC, out of alice's maildrop; mailpost undelete alice"
    )
    assert undelete in told
    office.let_go(office.accounts.find("bob"), 0)
    office.store.ledger.run(Take(office.accounts.find("bob").maildrop, 10, 1_800_000_060))
    (found,) = json.loads(letter(name, "--json").stdout)
    assert (found["copies"], found["subject"]) == ([], "tea at four")
    assert found["bin"] == [
        {"account": "alice", "number": 1, "deleted": "2027-01-15T08:01:00Z"},
        {"account": "bob", "number": 1, "deleted": "2027-01-15T08:01:00Z"},
    ]
    assert "received" not in letter(name).stdout


def test_a_progress_bar_is_for_terminals(office):
    """Where standard error is none, nothing is shown there."""
    deliver(office, LETTER, "alice")
    answer = letter("tea.1@example.net")
    assert (answer.exit_code, answer.stderr) == (0, "")


def test_accounts_that_are_gone(office):
    """A letter in nobody's maildrop is nowhere."""
    deliver(office, LETTER, "bob")
    run("user", "remove", "bob", "--yes")
    with open_office(config.load(Path("office/mailpost.toml"))) as (_, store):
        assert store.tracing.traced(TRACE)
    assert letter(TRACE).exit_code == failures.NO_USER
