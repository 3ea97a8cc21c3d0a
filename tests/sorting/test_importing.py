"""A file of aliases(5): read, and taken over as a whole or not at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpost.sorting.aliases_file import MAX_INCLUDED, AliasesError, read_aliases
from mailpost.sorting.importing import install
from mailpost.store import BadAddress
from tests.store.conftest import Office

DOMAINS = ("example.org",)
FILE = """\
# who is who
postmaster: root
Root:   alice,
# within an entry
        "bob" ,

        |/usr/bin/vacation
"john smith": Carol <carol@example.org>
team@example.org: :include:team, \\carol, "|/usr/bin/prog a, b"
MAILER-DAEMON: postmaster
root: carol
away: me@else.example
nobody: ghost, /dev/null
ghost: phantom
"""
TEAM = "alice # no\n".replace(" # no", "") + "# a comment\n  bob, carol\n/var/mail/team\n"


@pytest.fixture
def office(tmp_path):
    office = Office(tmp_path / "mail.db")
    for name in ("alice", "bob", "carol"):
        office.accounts.add(name)
    yield office
    office.store.close()


@pytest.fixture
def write(tmp_path):
    def write(text, name="aliases"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def take_over(office, path, *, domain="", dry=False):
    read = read_aliases(path)
    return office.store.addresses.change(
        lambda register: install(register, DOMAINS, read, domain), dry=dry
    )


def table(office):
    found = {}
    for one in office.store.addresses.aliases():
        found.setdefault(f"{one.local}@{one.domain}", set()).add(one.target)
    return found


def test_read(write):
    """Names, quoted and not, in any case; lines that go on; comments; files within."""
    write(TEAM, "team")
    read = read_aliases(write(FILE))
    told = {str(entry.name): [str(target) for _, target in entry.targets] for entry in read.entries}
    assert told == {
        "postmaster": ["root"],
        "root": ["alice", "bob"],
        '"john smith"': ["carol@example.org"],
        "team@example.org": ["alice", "bob", "carol", "carol"],
        "mailer-daemon": ["postmaster"],
        "away": ["me@else.example"],
        "nobody": ["ghost"],
        "ghost": ["phantom"],
    }
    assert [place.line for place, _ in read.entries[1].targets] == [3, 5]
    empty = read_aliases(write("a:\nb: , ,\n", "empty"))
    assert [(one.place.line, one.why) for one in empty.left_out] == [
        (1, "it has no target"),
        (2, "it has no target"),
    ]
    assert [(one.place.line, one.text) for one in read.left_out] == [
        (7, "|/usr/bin/vacation"),
        (4, "/var/mail/team"),
        (9, "|/usr/bin/prog a, b"),
        (11, "root"),
        (13, "/dev/null"),
    ]


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("info alice\n", ["line 1: expected a name, a colon"]),
        ("  alice\n", ["line 1: begins with a blank"]),
        (
            "a: b\n\nin fo: alice, x..y\n",
            ["line 3: in fo is no address", "line 3: x..y is no addr"],
        ),
        ("a: alice,\n   bob carol\n", ["line 2: bob carol is no address"]),
        ('a: "alice\n', ["line 1: has a quotation mark"]),
        ("a: alice # me\n", ["line 1: alice # me is no address"]),
        ("a: :include:gone\n", ["line 1: :include:gone: there is no such file"]),
        (b"a: b\xff\n", ["line 1: is not UTF-8"]),
        (b"a: b\0c\n", ["line 1: 'b\\x00c' is no address"]),
        (
            "a: :include:self\n",
            [f"self: line 1: :include: within :include:, more than {MAX_INCLUDED}"],
        ),
        ("@example.org: alice\n", ["line 1: @example.org is no address"]),
    ],
)
def test_mistakes(write, text, mistakes):
    """All of them, each with its file and line."""
    write(":include:self\n", "self")
    path = write(text)
    with pytest.raises(AliasesError) as told:
        read_aliases(path)
    assert len(told.value.mistakes) == len(mistakes)
    for found, expected in zip(told.value.mistakes, mistakes, strict=True):
        assert expected in found
        assert found.startswith(str(path.parent))
        assert found.isprintable()


def test_no_file(tmp_path):
    """A file that cannot be read is told as such."""
    with pytest.raises(AliasesError, match="cannot be read: No such file"):
        read_aliases(tmp_path / "gone")
    with pytest.raises(AliasesError, match="cannot be read: Is a directory"):
        read_aliases(tmp_path)


def test_taken_over(office, write):
    """What leads to somebody is there, what leads nowhere is told, with its line."""
    write(TEAM, "team")
    path = write(FILE)
    assert take_over(office, path, dry=True).added == 5
    assert table(office) == {}
    imported = take_over(office, path)
    assert (imported.added, imported.changed, imported.same) == (5, 0, 0)
    assert table(office) == {
        "postmaster@": {"root"},
        "root@": {"alice", "bob"},
        "john smith@": {"carol@example.org"},
        "team@example.org": {"alice", "bob", "carol"},
        "mailer-daemon@": {"postmaster"},
    }
    left_out = [(one.place.line, one.text, one.why.split(",")[0]) for one in imported.left_out[5:]]
    assert left_out == [
        (12, "me@else.example", "is in no domain of this office"),
        (14, "phantom", "is nobody's: there is no account and no alias of that name"),
        (13, "ghost", "is nobody's: there is no account and no alias of that name"),
    ]
    assert imported.notes == (
        (
            "postmaster is an account: mail for postmaster goes to the alias, and not to postmaster;"
            " name postmaster among its targets to have both"
        ),
    )
    again = take_over(office, path)
    assert (again.added, again.changed, again.same) == (0, 0, 5)


def test_again_when_it_has_changed(office, write):
    """A name has exactly the targets that the file gives it; others stay as they are."""
    take_over(office, write("a: alice, bob\nb: bob\n"))
    imported = take_over(office, write("a: carol\nc: a\n"))
    assert (imported.added, imported.changed, imported.same) == (1, 1, 0)
    assert table(office) == {"a@": {"carol"}, "b@": {"bob"}, "c@": {"a"}}


def test_into_one_domain(office, write):
    """Its names may be aliases in one domain alone."""
    take_over(
        office,
        write("info: alice\nx@example.org: info@example.org\ny@else.example: bob\n"),
        domain="example.org",
    )
    assert table(office) == {"info@example.org": {"alice"}, "x@example.org": {"info@example.org"}}


def test_a_circle(office, write):
    """One circle, and nothing is taken over; it is named, and where it stands."""
    with pytest.raises(BadAddress, match=r"aliases: line 2: a .* circle: a -> b -> a"):
        take_over(office, write("x: alice\na: b\nb: a\n"))
    assert table(office) == {}


def test_a_copy_for_oneself(office, write):
    """``alice: \\\\alice, bob`` is no circle: alice has her mail, and bob a copy."""
    imported = take_over(office, write("alice: \\alice, bob\n"))
    assert table(office) == {"alice@": {"alice", "bob"}}
    assert imported.notes == ()


@given(st.text(alphabet='ab:,"\\ \n\t#|/<>@.\u00fc', max_size=60))
def test_any_text(tmp_path_factory, text):
    """Whatever stands in a file, it is read or its mistakes are told, with lines that there are."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text(text, newline="")
    mistakes = ()
    try:
        read = read_aliases(path)
    except AliasesError as error:
        mistakes = error.mistakes
        told = [int(mistake.split("line ")[1].partition(":")[0]) for mistake in mistakes]
    else:
        told = [one.place.line for one in (*read.entries, *read.left_out)]
    assert all(1 <= line <= len(text.split("\n")) for line in told)
    assert (
        mistakes or told or not any(line.strip() for line in text.splitlines() if "#" not in line)
    )
