"""Every file in ``etc/`` is what it says it is."""

from __future__ import annotations

import configparser
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from mailpost import config, endpoint
from mailpost.cli import failures, template
from mailpost.config_tables import BACKLOG
from mailpost.guard import GuardRules

ETC = Path(__file__).parent.parent / "etc"


def test_every_file_is_looked_at():
    """A file that is added here is tested here."""
    assert {one.name for one in ETC.iterdir()} == {
        "classroom.toml",
        "fail2ban",  # by test_guard.py, and below
        "mailpost.service",
        "mailpost.toml",
        "mailpost@.socket",
    }


@pytest.mark.parametrize("name", ["mailpost.toml", "classroom.toml"])
def test_configurations(name):
    """Each configuration is right."""
    assert config.load(ETC / name).listen


def test_the_commented_one_is_what_init_writes():
    """mailpost.toml is init's, for a machine that serves the world: every key with its default."""
    assert (ETC / "mailpost.toml").read_text() == template.render(
        "mx.example.org",
        ["example.org"],
        store="sqlite:/var/lib/mailpost/mailpost.db",
        listen=(
            ("smtp", "tcp:25", "starttls"),
            ("submission", "tcp:587", "starttls"),
            ("pop3", "tcp:110", "starttls"),
        ),
    )


def test_the_commented_defaults_are_true():
    """A key that is left commented shows the very value it has when left so."""
    text = (ETC / "mailpost.toml").read_text()
    commented = [line[2:] for line in text.splitlines() if line.startswith("# ") and " = " in line]
    shown = {}
    for line in commented:
        try:
            shown |= tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue  # a sentence
    found = config.load(ETC / "mailpost.toml")
    needed = {"hostname": "mx.example.org", "domains": ["example.org"]}
    keys = config.Office.model_fields.keys() - {*needed, "store", "postmaster"}
    office = config.Office.model_validate(needed | {key: shown[key] for key in keys})
    assert {key: getattr(office, key) for key in keys} == {
        key: getattr(found.office, key) for key in keys
    }
    guard = {key: shown[key] for key in config.Guard.model_fields}
    assert config.Guard.model_validate(guard) == config.Guard()
    assert GuardRules(**config.Guard().model_dump()) == GuardRules()
    keeping = {key: shown[key] for key in config.Keeping.model_fields}
    assert config.Keeping.model_validate(keeping) == config.Keeping()
    limits = {key: shown[key] for key in config.Limits.model_fields}
    assert config.Limits.model_validate(limits) == config.Limits()
    for key in ("cleartext", "proxy"):
        default = config.Listen.model_fields[key].default
        assert shown[key] == (list(default) if isinstance(default, tuple) else default)


def test_the_examples(tmp_path):
    """The doors at the end, the "#" taken away, open beside the others."""
    text = (ETC / "mailpost.toml").read_text()
    (tmp_path / "a.toml").write_text(re.sub("^#(?=[^ ])", "", text, flags=re.MULTILINE))
    before, found = config.load(ETC / "mailpost.toml"), config.load(tmp_path / "a.toml")
    assert found.listen[: len(before.listen)] == before.listen
    more = found.listen[len(before.listen) :]
    assert [(one.protocol, one.tls) for one in more] == [
        ("submission", "implicit"),
        ("pop3", "implicit"),
        ("lmtp", "none"),
        ("smtp", "starttls"),
    ]
    assert any(one.proxy for one in more)
    assert not any(one.cleartext for one in found.listen)
    assert len({one.endpoint for one in found.listen}) == len(found.listen)
    assert found.oauth is not None
    assert {"claim": found.oauth.claim, "discovery": "", "believed": 300} == {
        key: config.OAuth.model_fields[key].default for key in ("claim", "discovery", "believed")
    }


def test_the_classroom():
    """Thirty who type by hand fit in, and may be slow and wrong."""
    found = config.load(ETC / "classroom.toml")
    assert found.limits.connections_per_address >= 60
    assert min(found.limits.smtp_idle, found.limits.pop3_idle) >= 1800
    assert found.limits.errors_per_session >= 100
    assert {one.protocol for one in found.listen if one.cleartext} == {"pop3"}  # telnet has no TLS
    assert found.office.database == ETC / "mailpost.db"


def test_the_jail():
    """It uses the filter, and bears as many tries as the office's own guard does."""
    jail = configparser.RawConfigParser()
    jail.read(ETC / "fail2ban" / "jail.d" / "mailpost.conf")
    found = jail["mailpost"]
    assert (ETC / "fail2ban" / "filter.d" / f"{found['filter']}.conf").exists()
    assert int(found["maxretry"]) >= GuardRules().guesses
    assert set(found["port"].split(",")) >= {"25", "110", "465", "587", "995"}


def test_the_unit():
    """The unit runs a command that exists, as a user of its own, and gives up where waiting is vain."""
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ETC / "mailpost.service")
    service = unit["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "mailpost"
    assert words == ["--config", "/etc/mailpost/mailpost.toml", "serve"]
    assert service["User"] == "mailpost"
    assert service["Type"] == "notify"  # serve says READY=1, see tests/river/test_doors.py
    assert shlex.split(service["ExecReload"])[1:] == ["-HUP", "$MAINPID"]
    assert int(service["TimeoutStopSec"]) > 10
    vain = set(map(int, service["RestartPreventExitStatus"].split()))
    assert vain == {failures.WRONG_USAGE, failures.NOT_PERMITTED, failures.BAD_CONFIG}
    assert service["NoNewPrivileges"] == "yes"
    assert service["ProtectSystem"] == "strict"


def test_the_socket_unit():
    """It gives each socket the name that its comment tells to write into the configuration."""
    text = (ETC / "mailpost@.socket").read_text()
    unit = configparser.RawConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(text)
    named = unit["Socket"]
    assert named["ListenStream"] == named["FileDescriptorName"] == "%i"
    assert (ETC / named["Service"]).exists()
    assert int(named["Backlog"]) == BACKLOG
    (shown,) = re.findall(r'^#   endpoint = "(systemd:[^"]+)"$', text, re.MULTILINE)
    assert endpoint.parse(shown) == {"type": "systemd", "domain": "INET6", "name": "25"}
