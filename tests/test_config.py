"""The configuration: what is read, and how each mistake is told."""

from __future__ import annotations

import tomllib
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from mailpost import config
from mailpost.config import ConfigError, Limits, Listen, Office

GOOD = """
[office]
hostname = "MX.example.org"
domains = ["example.org", "Bücher.example"]

[[listen]]
protocol = "smtp"
endpoint = "tcp:2525:interface=127.0.0.1"

[[listen]]
protocol = "pop3"
endpoint = "tcp:1110"
tls = "none"
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A configuration file in the current folder."""
    monkeypatch.chdir(tmp_path)
    return Path("mailpost.toml")


def mistakes(file, text):
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    return list(caught.value.mistakes)


def test_what_is_read(file):
    """Values come as written, names in their one form, and what is left out has its default."""
    file.write_text(GOOD, encoding="utf-8")
    found = config.load(file)
    assert found.office.hostname == "mx.example.org"
    assert found.office.domains == ("example.org", "xn--bcher-kva.example")
    assert found.office.database == Path("mailpost.db")
    assert found.office.max_letter_size >= 105 * 1024 * 1024
    assert found.office.max_recipients >= 1000
    assert found.limits == Limits()
    assert [one.protocol for one in found.listen] == ["smtp", "pop3"]
    assert [one.interface for one in found.listen] == ["127.0.0.1", ""]


def test_defaults_are_what_the_rfcs_ask():
    """Left as they are, the limits keep RFC 5321 §4.5.3 and RFC 1939 §3."""
    assert Limits().smtp_idle >= 300
    assert Limits().pop3_idle >= 600
    assert Limits().exempt_loopback


def test_the_store_lies_beside_the_file(tmp_path):
    """A relative store is meant from the configuration's folder, an absolute one from nowhere."""
    (tmp_path / "a.toml").write_text(GOOD, encoding="utf-8")
    assert config.load(tmp_path / "a.toml").office.database == tmp_path / "mailpost.db"
    elsewhere = GOOD.replace("[office]", '[office]\nstore = "sqlite:/srv/mail.db"')
    (tmp_path / "a.toml").write_text(elsewhere, encoding="utf-8")
    assert config.load(tmp_path / "a.toml").office.database == Path("/srv/mail.db")


def test_nothing_changes_later():
    """The values are frozen."""
    office = Office(hostname="mx.example.org", domains=("example.org",))
    with pytest.raises(ValidationError):
        office.hostname = "other.example"


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        (
            '"smtp"',
            '"imap"',
            'listen[0].protocol: expected one of smtp, lmtp, submission, pop3; got "imap"',
        ),
        (
            '"pop3"',
            "110",
            "listen[1].protocol: expected one of smtp, lmtp, submission, pop3; got 110",
        ),
        ("hostname", "hostnam", "office.hostnam: unknown key; did you mean hostname?"),
        ("hostname", "xyz", "office.xyz: unknown key; known are hostname, domains, store,"),
        ("hostname", "# ", "office.hostname: expected this machine's name, such as \"mx."),
        ('"example.org"', '"example..org"', 'office.domains[0]: expected a domain name; got "exam'),
        ('"example.org"', "1", "office.domains[0]: expected a domain name; got 1"),
        ('"example.org"', '"xn--bcher-kva.example"', 'office.domains: "xn--bcher-kva.example" is'),
        (
            '["example.org", "Bücher.example"]',
            "[]",
            "office.domains: expected a list of the domains",
        ),
        ('["example.org", "Bücher.example"]', '"a.b"', "office.domains: expected a list of the"),
        ('"none"', '"starttls"', "listen[1].tls: expected a [[certificate]] in the file when tls"),
        ('"none"', '"implicit"', "listen[1].tls: expected a [[certificate]] in the file when tls"),
        ('"none"', '"tls"', 'listen[1].tls: expected one of none, starttls, implicit; got "tls"'),
        (
            '"none"',
            "['none']",
            'listen[1].tls: expected one of none, starttls, implicit; got ["none"]',
        ),
        ('"none"', '"none"\nproxy = ["10.0.0.0/33"]', "listen[1].proxy[0]: expected a network"),
        ('"none"', '"none"\ncleartext = 1', "listen[1].cleartext: expected true or false; got 1"),
        (
            '"none"',
            '"none"\nproxy = "::1"',
            "listen[1].proxy: expected a list of networks, such as",
        ),
        ('"none"', '"none"\nproxy = [7]', "listen[1].proxy[0]: expected a network, such as"),
        (
            '"none"',
            '"none"\nproxy = ["::1", "10.0.0.1/8"]',
            'listen[1].proxy[1]: "10.0.0.1/8" is an address within a network; did you mean 10.0.0.0/8?',
        ),
        ("[office]", "certificate = [7]\n[office]", "certificate[0]: expected a table; got 7"),
        (
            "[office]",
            "[certificate]\n[office]",
            "certificate: expected tables [[certificate]]; got",
        ),
        (
            "[office]",
            '[[certificate]]\nchain = "a"\nkey = 7\n[office]',
            "certificate[0].key: expected a file with the certificate's key; got 7",
        ),
        ('"tcp:1110"', '"tcp:x"', 'listen[1].endpoint: expected a port from 0 to 65535; got "x"'),
        ('"tcp:1110"', "1110", "listen[1].endpoint: expected an endpoint, such as"),
        ("[office]", "[office]\nworkers = 0", "office.workers: expected a whole number from 1 to"),
        ("[office]", '[office]\nworkers = "all"', "office.workers: expected a whole number from 1"),
        ("[office]", '[office]\nstore = "postgresql://x"', "office.store: PostgreSQL is not in th"),
        ("[office]", '[office]\nstore = "mail.db"', "office.store: expected sqlite: and a file"),
        ("[office]", '[office]\nstore = "sqlite:"', "office.store: expected sqlite: and a file"),
        ("[office]", "[office]\nmax_recipients = true", "office.max_recipients: expected a whole"),
        ("[office]", '[office]\nmax_letter_size = "9 MB"', "office.max_letter_size: expected a si"),
        ("[office]", "[office]\nmax_letter_size = 1", "office.max_letter_size: expected a size of"),
        ("[office]", "[limits]\nsmtp_idle = 1.5\n[office]", "limits.smtp_idle: expected seconds"),
        ("[office]", "limits = 3\n[office]", "limits: expected a table [limits]; got 3"),
        ("[office]", "[keeping]\nbin = -1\n[office]", "keeping.bin: expected days, from 0 to"),
        ("[office]", '[keeping]\nquota = "2 GB"\n[office]', "keeping.quota: expected a size, such"),
        (
            "[office]",
            '[keeping]\nretention = "0d"\n[office]',
            'keeping.retention: expected "never"',
        ),
        ("[office]", "[keeping]\nretention = 30\n[office]", 'keeping.retention: expected "never"'),
        ("[office]", "[ofice]\n[office]", "ofice: unknown key; did you mean office?"),
        (
            "[office]",
            "[users]\n[office]",
            "users: unknown key; known are office, keeping, limits, guard",
        ),
    ],
)
def test_a_mistake(file, old, new, mistake):
    """A mistake is one line: the file, the key's path, what was expected, what is there."""
    told = mistakes(file, GOOD.replace(old, new, 1))
    assert any(line.startswith(f"mailpost.toml: {mistake}") for line in told), told
    assert all("\n" not in line for line in told)


def test_all_mistakes_at_once(file):
    """Whoever repairs a file is told all that is wrong with it, not one thing after another."""
    text = GOOD.replace('"smtp"', '"imap"').replace("hostname", "hostnam").replace("tcp:1110", "x")
    told = mistakes(file, text)
    assert len(told) == 4
    assert mistakes(file, "") == [
        "mailpost.toml: office: expected a table [office]; it is missing",
        "mailpost.toml: listen: expected one table [[listen]] or more; it is missing",
    ]


def test_doors(file):
    """A door has TLS and takes passwords as told, and believes proxies in the networks named."""
    doors = 'tls = "starttls"\ncleartext = true\nproxy = ["10.0.0.0/8", "::1"]\n[[certificate]]\nchain="a"'
    file.write_text(GOOD.replace('tls = "none"', doors), encoding="utf-8")
    plain, told = config.load(file).listen
    assert (plain.tls, plain.cleartext, plain.proxy) == ("none", False, ())
    assert (told.tls, told.cleartext) == ("starttls", True)
    assert told.proxy == (ip_network("10.0.0.0/8"), ip_network("::1/128"))


def test_certificates(tmp_path):
    """A certificate's files lie beside the configuration; a key that is left out is in the chain's file."""
    tables = '[[certificate]]\nchain = "a"\nkey = "/etc/b"\n[[certificate]]\nchain = "both.pem"\n'
    (tmp_path / "a.toml").write_text(GOOD + tables, encoding="utf-8")
    assert [(one.chain, one.key) for one in config.load(tmp_path / "a.toml").certificate] == [
        (tmp_path / "a", Path("/etc/b")),
        (tmp_path / "both.pem", tmp_path / "both.pem"),
    ]


def test_no_certificate(file):
    """Each door with TLS is named where there is no certificate; a bad one is one mistake, not two."""
    lines = GOOD.replace('"none"', '"implicit"').replace('"smtp"', '"smtp"\ntls = "starttls"')
    lacking = "expected a [[certificate]] in the file when tls is not none"
    assert mistakes(file, lines) == [f"mailpost.toml: listen[{n}].tls: {lacking}" for n in range(2)]
    for chain in ('""', '"/"', "7", '"\\u0000"'):
        (told,) = mistakes(file, f"{GOOD}[[certificate]]\nchain = {chain}\n")
        assert told.startswith(
            "mailpost.toml: certificate[0].chain: expected a file with the certif"
        )


def test_the_certificate_of_init(tmp_path):
    """Where none is named, the one that lies beside the configuration is used."""
    (tmp_path / "certificate.pem").touch()
    (tmp_path / "a.toml").write_text(GOOD.replace('"none"', '"starttls"'), encoding="utf-8")
    (own,) = config.load(tmp_path / "a.toml").certificate
    assert (own.chain, own.key) == (tmp_path / "certificate.pem", tmp_path / "key.pem")


def test_no_listener(file):
    """An office without a door is none."""
    told = mistakes(file, "listen = []\n" + GOOD.partition("[[listen]]")[0])
    assert told == ["mailpost.toml: listen: expected one table [[listen]] or more; got []"]


@pytest.mark.parametrize(
    ("octets", "told"),
    [
        (b"[office]\nhostname = \n", "line 2, column 12: not TOML: invalid value"),
        (b"[office", "end of document: not TOML: expected ']'"),
        (b'[office]\nhostname = "\xff"', "line 2, column 13: not UTF-8 text"),
        (b"a = " + b"[" * 5000, "not TOML: nested too deeply"),
    ],
)
def test_not_toml(file, octets, told):
    """What is not TOML is told with its line and column."""
    file.write_bytes(octets)
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert str(caught.value).startswith(f"mailpost.toml: {told}")


def test_not_readable(file, tmp_path):
    """A file that cannot be read is told with the system's reason."""
    with pytest.raises(ConfigError, match=r"^mailpost.toml: cannot be read: No such file"):
        config.load(file)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        config.load(tmp_path)


def test_where_it_is_looked_for(file, monkeypatch):
    """--config goes before $MAILPOST_CONFIG, that before ./mailpost.toml and that before /etc."""
    environ = {"MAILPOST_CONFIG": "/b.toml"}
    file.touch()
    assert config.find("/a.toml", environ) == Path("/a.toml")
    assert config.find(None, environ) == Path("/b.toml")
    assert config.find(None, {}) == file
    file.unlink()
    monkeypatch.setattr(config, "SEARCHED", ("mailpost.toml", "other.toml"))
    Path("other.toml").touch()
    assert config.find(None, {}) == Path("other.toml")


def test_nowhere(file, monkeypatch):
    """Where there is none, it is told where was looked, and what to do."""
    monkeypatch.setattr(config, "SEARCHED", ("mailpost.toml", "not/there.toml"))
    with pytest.raises(ConfigError) as caught:
        config.find(None, {})
    (told,) = caught.value.mistakes
    for part in ("$MAILPOST_CONFIG", "./mailpost.toml", "not/there.toml", "--config", "init DIR"):
        assert part in told


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.ORG", "example.org"),
        ("localhost", "localhost"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("bücher。example", "xn--bcher-kva.example"),
        ("straße.example", "xn--strae-oqa.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
    ],
)
def test_domain_names(text, name):
    """Every spelling of a domain has the same one form (RFC 5890)."""
    assert config.domain_name(text) == name


@pytest.mark.parametrize(
    "text",
    ["", ".", "a..b", "-a.b", "a-.b", "a_b.c", "a b", "a/b", "a\0", f"{'a' * 64}.b", "ü.-", "a.b."],
)
def test_no_domain_names(text):
    """What is no domain name is refused."""
    with pytest.raises(ValueError):  # noqa: PT011 - a UnicodeError too
        config.domain_name(text)


SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=20), st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.one_of(
    st.sampled_from(
        [*Office.model_fields, *Limits.model_fields, *Listen.model_fields, "chain", "key"]
    ),
    st.text(max_size=5),
)
TABLE = st.dictionaries(KEYS, VALUES, max_size=5)
LIST = st.lists(st.one_of(TABLE, SCALARS), max_size=3)


@given(
    st.fixed_dictionaries({"office": TABLE, "limits": TABLE, "listen": LIST, "certificate": LIST})
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_any_table(data):
    """Whatever stands in a file, it is read or its mistakes are told, each in one line."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tomllib, "loads", lambda _: data)
        try:
            config.load(Path(__file__))
        except ConfigError as error:
            told = error.mistakes
        else:
            return
    assert told
    assert all(mistake.isprintable() for mistake in told)


@given(st.text(max_size=60))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text(tmp_path, text):
    """Any text at all is read or refused in one line or more."""
    file = tmp_path / "a.toml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ConfigError):
        config.load(file)


@pytest.mark.parametrize(
    ("endpoint", "description"),
    [
        ("tcp:25", "tcp:25:backlog=1024"),
        ("unix:/run/mailpost", "unix:/run/mailpost:backlog=1024"),
        ("tcp:25:backlog=7", "tcp:25:backlog=7"),
        ("systemd:domain=INET:index=0", "systemd:domain=INET:index=0"),
    ],
)
def test_many_may_come_at_once(endpoint: str, description: str) -> None:
    """A listener has room for 1024 who wait, where the configuration does not say otherwise."""
    listen = Listen.model_validate({"protocol": "smtp", "endpoint": endpoint})
    assert listen.description == description
