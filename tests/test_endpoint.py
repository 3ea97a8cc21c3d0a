"""The form of endpoint strings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import endpoints

from mailpost import endpoint
from mailpost.endpoint import place


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tcp:25", {"type": "tcp", "port": "25"}),
        ("tcp:port=25", {"type": "tcp", "port": "25"}),
        ("tcp:25:127.0.0.1", {"type": "tcp", "port": "25", "interface": "127.0.0.1"}),
        (r"tcp6:25:interface=\:\:1", {"type": "tcp6", "port": "25", "interface": "::1"}),
        (r"unix:/run/a\:b:mode=660", {"type": "unix", "address": "/run/a:b", "mode": "660"}),
        ("systemd:domain=INET:index=0", {"type": "systemd", "domain": "INET", "index": "0"}),
    ],
)
def test_parts(text, parts):
    """Parts are given by place or by name; a backslash takes the next character's meaning away."""
    assert endpoint.parse(text) == parts


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "expected one of tcp"),
        ("25", "expected one of tcp"),
        ("tcp", "needs its port"),
        ("tcp:", "needs its port"),
        ("tcp:65536", "from 0 to 65535"),
        ("tcp:-1", "from 0 to 65535"),
        ("tcp:smtp", "from 0 to 65535"),
        ("tcp:²", "from 0 to 65535"),
        ("tcp:25:interface=localhost", "expected an IP address"),
        ("tcp:25:interface=::1", "write each colon as"),
        (r"tcp:25:interface=\:\:1", "belongs into tcp6:"),
        ("tcp6:25:interface=127.0.0.1", "belongs into tcp:"),
        ("tcp:25:color=red", '"color=red" has no place in it'),
        ("tcp:25:port=26", '"port=26" has no place in it'),
        ("tcp:25:backlog=many", "a number as backlog"),
        ("unix:/run/x:mode=rw", "a mode in octal"),
        ("unix:/run/x:lockfile=1", '"lockfile=1" has no place in it'),
        ("unix:\0run", "no NUL"),
        ("systemd:index=0", "needs its domain"),
        ("systemd:domain=INET", "its index or its name"),
        ("systemd:domain=INET:index=0:name=smtp", "its index or its name"),
        ("systemd:domain=IPX:index=0", "expected one of INET, INET6, UNIX as domain"),
        ("ssl:995", 'expected tcp:PORT, with tls = "implicit"'),
        ("tcp:25\\", "lone backslash"),
    ],
)
def test_complaints(text, complaint):
    """Whatever cannot be listened on is refused with what is wrong about it."""
    with pytest.raises(ValueError, match=complaint.replace("\\", "\\\\")):
        endpoint.parse(text)


@given(st.text(alphabet=r"tcp6unix:=\0123.,/ ", max_size=40))
def test_only_value_error(text):
    """Any text is parsed or refused, nothing else."""
    try:
        parts = endpoint.parse(text)
    except ValueError:
        return
    assert parts["type"] in {"tcp", "tcp6", "unix"}


@given(
    st.integers(0, 65535),
    st.one_of(st.none(), st.ip_addresses(v=4).map(str)),
    st.one_of(st.none(), st.integers(0, 999)),
)
def test_as_twisted_reads_it(port, interface, backlog):
    """What is accepted here, Twisted reads the same way."""
    text = f"tcp:{port}"
    text += f":interface={interface}" if interface else ""
    text += f":backlog={backlog}" if backlog is not None else ""
    twisted = endpoints.serverFromString(object(), text)
    assert endpoint.parse(text)["port"] == str(twisted._port) == str(port)
    assert endpoint.parse(text).get("interface", "") == twisted._interface


@given(st.text(alphabet="ab:=\\/", min_size=1, max_size=12))
def test_escaping_carries_anything(path):
    """Every path can be written, as Twisted's own quoting writes it."""
    quoted = endpoints.quoteStringArgument(path).replace("=", "\\=")
    assert endpoint.parse(f"unix:{quoted}")["address"] == path


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("unix:/run/x:mode=660", "unix:/run/x:600:backlog=5", True),
        ("unix:/run/x", "unix:/run/y", False),
        ("tcp:25:interface=127.0.0.1:backlog=9", "tcp:port=25:127.0.0.1", True),
        ("tcp:25:interface=127.0.0.1", "tcp:25", False),
        ("tcp:25", "tcp6:25", False),
    ],
)
def test_the_same_place(one, other, same):
    """What can be changed while it is listened on does not count."""
    assert (place(one) == place(other)) is same
