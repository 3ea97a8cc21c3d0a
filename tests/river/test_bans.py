"""Who guesses is banned, kill -9 or not, until the owner lifts the ban; who is banned by hand is out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from .dialogue import Dialogue
from .office import PASSWORD, attempts, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable

    from .office import Office

DOOR = """
[guard]
guesses = 3
longest_delay = 0
allow = ["203.0.113.64/28"]

[[listen]]
protocol = "pop3"
endpoint = "tcp:{port}:interface=127.0.0.1"
cleartext = true
proxy = ["127.0.0.1"]
"""
BANNED = b"-ERR [SYS/TEMP] your address is banned for now, try again later"
WRONG = b"-ERR [AUTH] name or password is wrong"
MALLORY = "203.0.113.7"


class Proxied(Dialogue):
    """A client behind the load balancer."""

    def __init__(self, port: int, host: str) -> None:
        self.host = host
        super().__init__(port)

    def begin(self) -> None:
        """What the balancer says of it, and the greeting."""
        self.send(f"PROXY TCP4 {self.host} 192.0.2.25 4711 110\r\n".encode())
        self.greeting = self.line()

    def tries(self, password: str) -> bytes:
        """The answer to a password of alice's; or to the connection, where there is no other."""
        if not self.greeting.startswith(b"+OK"):
            return self.greeting
        self.send(f"USER alice\r\nPASS {password}\r\n".encode())
        self.line()
        return self.line()


class Owner:
    """The owner of an office with a door behind a load balancer."""

    def __init__(self, office: Office) -> None:
        self.office = office
        (self.port,) = free_ports(1)
        with office.config.open("a") as config:
            config.write(DOOR.format(port=self.port))
        office.add_users(["alice"])
        office.start()

    def ban(self, *words: str) -> str:
        """What ``mailpost ban`` prints."""
        return self.office.mailpost("ban", *words, "--config", str(self.office.config))

    def listed(self) -> list[dict[str, Any]]:
        """Who is banned."""
        found: list[dict[str, Any]] = json.loads(self.ban("list", "--json"))
        return found

    def tries(self, password: str, host: str = MALLORY) -> bytes:
        """Somebody tries a password."""
        with Proxied(self.port, host) as peer:
            return peer.tries(password)

    def soon(self, password: str, answer: bytes, host: str = MALLORY) -> None:
        """Within a second or so that is the answer."""
        assert any(self.tries(password, host).startswith(answer) for _ in attempts())


def test_the_owner_s_day(make_office: Callable[..., Office]) -> None:
    """Wrong logins, a ban, a crash, the list, the ban lifted; then a network banned by hand."""
    owner = Owner(make_office())
    assert [owner.tries(f"guess {number}") for number in range(4)] == [WRONG] * 3 + [BANNED]
    assert owner.tries(PASSWORD) == BANNED
    assert owner.tries(PASSWORD, "203.0.113.8").startswith(b"+OK 0 letters")
    (ban,) = next(listed for _ in attempts() if (listed := owner.listed()))
    assert (ban["network"], ban["by"], ban["wrong_logins"]) == (f"{MALLORY}/32", "guard", 3)

    owner.office.kill()
    assert [one["network"] for one in owner.listed()] == [f"{MALLORY}/32"]
    owner.office.start()
    assert owner.tries(PASSWORD) == BANNED
    assert owner.ban("remove", MALLORY) == f"{MALLORY} may come again\n"
    owner.soon(PASSWORD, b"+OK 0 letters")

    with Proxied(owner.port, MALLORY) as mallory, Proxied(owner.port, "203.0.113.65") as allowed:
        assert mallory.tries("guess 1") == WRONG
        said = owner.ban("add", "203.0.113.0/24", "--for", "2h", "--reason", "that one")
        assert said.startswith("203.0.113.0/24 is banned until ")
        assert said.endswith("exempt all the same: 203.0.113.64/28\n")
        assert mallory.rest() == BANNED + b"\r\n"
        assert allowed.tries(PASSWORD).startswith(b"+OK 0 letters")
    assert owner.tries(PASSWORD, "203.0.113.8") == BANNED
    assert "1 sessions were ended" in owner.office.log
