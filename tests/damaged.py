"""Letters whose MIME is damaged in every way that was thought of, with UTF-8 in each of them.

Each is a function of how often its damaged piece comes, so that the time it takes can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_MIXED = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
_PART = 'Content-Disposition: attachment; filename="Größe.pdf"\r\n'.encode()
_TEXT = "Grüße, und ein Text dazu.\r\n".encode()


def _within(part: bytes) -> bytes:
    """A multipart with something in it, and its end."""
    return _MIXED + b"\r\n" + part + b"--b--\r\n"


DAMAGED: dict[str, Callable[[int], bytes]] = {
    "a boundary that never comes": lambda n: _MIXED + b"\r\n" + (_PART + b"\r\n" + _TEXT) * n,
    "no last boundary": lambda n: _MIXED + b"\r\n" + (b"--b\r\n" + _PART + b"\r\n" + _TEXT) * n,
    "no boundary said": lambda n: (
        b"Content-Type: multipart/mixed\r\n\r\n" + (b"--\r\n" + _PART + b"\r\n") * n
    ),
    "boundaries alike": lambda n: _within((b"--b\r\n" + _PART + b"\r\n--bb\r\n--b-\r\n--B\r\n") * n),
    "one boundary for all": lambda n: _within((b"--b\r\n" + _MIXED + _PART + b"\r\n") * n),
    "multiparts that overlap": lambda n: _within(
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        + (b"--c\r\n" + _PART + b"\r\n--b\r\n\r\n--c--\r\n") * n
    ),
    "headers without an end": lambda n: _within((b"--b\r\n" + _PART) * n),
    "types that are none": lambda n: _within(
        (b"--b\r\nContent-Type: ;;=;/;multipart;; boundary\r\nContent-Type: b=\r\n" + _PART + b"\r\n") * n
    ),
    "quotation marks and comments without an end": lambda n: _within(
        b'--b\r\nContent-Type: multipart/mixed (((; boundary="' + b'b\\" (' * n + b"\r\n" + _PART
    ),
    "broken base64": lambda n: _within(
        b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + (b"=A==\xff*\r\n" + _TEXT) * n
    ),
    "broken quoted-printable": lambda n: _within(
        b"--b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + (b"=ZZ=\r\n=" + _TEXT) * n
    ),
    "broken encoded words": lambda n: (
        b"Subject: " + b"=?utf-8?b?#?= =?=?utf-8?q?=?? =?x?= =?utf-8?" * n + "ö\r\n".encode()
        + b"\r\n" + _TEXT
    ),
    "no UTF-8": lambda n: _within(
        (b"--b\r\nContent-Description: \xff\xc0\xaf\xed\xa0\x80 \xe9\r\n" + _PART + b"\r\n") * n
    ),
    "control characters": lambda n: _within(
        (b"--b\r\nContent-\0Type: \x1b[2J\xc2\x85\x7f\r\n" + _PART + b"\0\r\n\0" + _TEXT) * n
    ),
    "deep nesting": lambda n: b"".join(
        b"Content-Type: multipart/x; boundary=%d\r\n" % k + _PART + b"\r\n--%d\r\n" % k for k in range(n)
    ),
    "letters within letters": lambda n: (b"Content-Type: message/rfc822\r\n" + _PART + b"\r\n") * n,
    "types at odds": lambda n: _within(
        (b"--b\r\nContent-Transfer-Encoding: base64\r\nContent-Type: message/rfc822\r\n"
         b"Content-Type: text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + _PART + b"\r\n") * n
    ),
    "a field that goes on and on": lambda n: (
        b"Subject: " + "ö\r\n ".encode() * n + b"\r\n" + _PART + b"\r\n" + _TEXT
    ),
    "lines that are no fields": lambda n: _within(
        (b"--b\r\n folded\r\nno colon \xc3\xb6\r\n: \xc3\xb6\r\n\xc3\xb6: x\r\n \r\n" + _PART + b"\r\n") * n
    ),
    "parameters of a dozen sections": lambda n: _within(
        b"--b\r\nContent-Disposition: attachment"
        + "; filename*1=ö; filename*0*=x''%; filename*=; filename*x=ö; *0=ö".encode() * n + b"\r\n\r\n"
    ),
}  # fmt: skip
