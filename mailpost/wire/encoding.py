"""One header field with UTF-8, said in US-ASCII (RFC 6857 §3, RFC 2047, RFC 2231).

* Addresses keep their names, as encoded words. An address that cannot be written in US-ASCII becomes an
  empty group whose name shows it: it can be read, and cannot be answered by mistake. A domain
  alone becomes A-labels.
* Parameters of MIME fields are encoded as RFC 2231 has it.
* Of Received, a FOR clause with UTF-8 is dropped.
* What names letters or mailboxes for programs (Message-ID, References, Return-Path) goes into a field
  ``Downgraded-``, encoded, since no program could use it.
* Everything else is text: words with UTF-8 become encoded words.
"""

from __future__ import annotations

import re
from base64 import b64encode
from urllib.parse import quote

_ADDRESSES = frozenset(
    resent + name
    for resent in ("", "resent-")
    for name in ("from", "sender", "to", "cc", "bcc", "reply-to")
) | {"disposition-notification-to", "return-receipt-to", "errors-to", "mail-followup-to"}
_ENCAPSULATED = frozenset(
    ("message-id", "resent-message-id", "in-reply-to", "references", "return-path", "delivered-to")
) | {"original-recipient", "final-recipient"}
_PARAMETERS = frozenset(("content-type", "content-disposition"))
_CHUNK = 39  # octets in an encoded word: 64 characters then, of the 75 of RFC 2047 §2
_LINE = 76  # RFC 2047 §2
_BLANKS = re.compile(r"([ \t\r\n]+)")
_FOR = re.compile(r"[ \t\r\n]+for[ \t\r\n]+<[^<>]*>", re.IGNORECASE)
_IN_COMMENTS = re.compile(r"([ \t\r\n()<>;]+)")
# A quoted string, a comment without one in it, a special, blanks, anything else. One of them matches at
# any place and none is tried twice, whatever is not closed: so the time is linear.
_PART = re.compile(
    r'"(?:[^"\\]|\\.)*+"?|\((?:[^()\\]|\\.)*+\)?|[<>,:;]|[ \t\r\n]+|[^"(<>,:; \t\r\n]+', re.DOTALL
)
_ITEM = re.compile(r'"(?:[^"\\]|\\.)*+"?|;|[^";]+', re.DOTALL)
_CLOSED = {'"': '"', "(": ")"}
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


def rewritten(field: bytes) -> bytes:
    """The field in US-ASCII; as it came where it is no UTF-8, or has no name.

    :param field: a whole header field with its CRLF, folded or not.
    """
    name, colon, rest = field.partition(b":")
    try:
        value = rest.decode("utf-8")
    except UnicodeDecodeError:
        return field
    if not colon or not name.isascii():
        return field
    title = name.decode("ascii")
    known = title.strip().lower()
    end = "\r\n" if value.endswith("\r\n") else ""
    text = value.strip(" \t\r\n")
    if known in _ENCAPSULATED:
        title, said = f"Downgraded-{title}", words(_unfolded(text))
    elif known in _ADDRESSES:
        said = _addresses(text)
    elif known in _PARAMETERS:
        said = _parameters(text)
    elif known == "received":
        said = _encoded_words(_FOR.sub(_for, text), _IN_COMMENTS, len(title) + 2)
    else:
        said = _encoded_words(text, _BLANKS, len(title) + 2)
    return f"{title}: {said}{end}".encode("ascii")


def _for(clause: re.Match[str]) -> str:
    return clause[0] if clause[0].isascii() else ""


def words(text: str) -> str:
    """Encoded words that say this, whole characters in each, on a line each (RFC 2047 §5)."""
    chunks: list[str] = []
    chunk: list[str] = []
    octets = 0
    for character in text:
        size = len(character.encode())
        if octets + size > _CHUNK:
            chunks.append("".join(chunk))
            chunk, octets = [], 0
        chunk.append(character)
        octets += size
    chunks.append("".join(chunk))
    return "\r\n ".join(f"=?UTF-8?B?{b64encode(each.encode()).decode()}?=" for each in chunks)


def _unfolded(text: str) -> str:
    return text.replace("\r\n", "")


def _encoded_words(text: str, between: re.Pattern[str], column: int) -> str:
    """The words that need it, encoded; neighbours together, since a blank between two is not shown."""
    parts = between.split(text)  # words, and at odd places what is between them
    said: list[str] = []
    place = 0
    while place < len(parts):
        last = place
        word = parts[place]
        if not word.isascii():
            while (
                last + 2 < len(parts)
                and not parts[last + 2].isascii()
                and not parts[last + 1].strip(" \t\r\n")
            ):
                last += 2
            word = words(_unfolded("".join(parts[place : last + 1])))
        first, _, rest = word.partition("\r\n")
        if said and said[-1] == " " and column + len(first) > _LINE:
            said[-1], column = "\r\n ", 1
        gap = parts[last + 1] if last + 1 < len(parts) else ""
        said += (word, gap)
        column = _column(_column(column, word if rest else first), gap)
        place = last + 2
    return "".join(said)


def _column(column: int, said: str) -> int:
    _, fold, line = said.rpartition("\n")
    return len(line) if fold else column + len(line)


# Addresses ----------------------------------------------------------------------------------------


def _addresses(text: str) -> str:
    """Each mailbox or group for itself."""
    said: list[str] = []
    element: list[str] = []
    in_group = in_angle = False
    for part in _PART.findall(text):
        if part == "," and not (in_group or in_angle):
            said.append(_address(element))
            element = []
            continue
        if in_angle:
            in_angle = part != ">"
        elif part == "<":
            in_angle = True
        elif part in {":", ";"}:
            in_group = part == ":"
        element.append(part)
    said.append(_address(element))
    return ",\r\n ".join(said)


def _address(parts: list[str]) -> str:
    text = "".join(parts).strip(" \t\r\n")
    if text.isascii():
        return text
    if any(part[0] in _CLOSED and not _closed(part) for part in parts):
        return _group(text)
    said: list[str] = []
    phrase: list[str] = []
    angle: list[str] | None = None
    for part in parts:
        if angle is not None:
            angle.append(part)
            if part == ">":
                said.append(_domain_in_ascii("".join(angle)))
                angle = None
        elif part == "<":
            said.append(_phrase(phrase, named=True))
            phrase, angle = [], [part]
        elif part in {",", ":", ";"}:
            said += (_phrase(phrase, named=part == ":").strip(), part, "\r\n ")
            phrase = []
        else:
            phrase.append(part)
    said.append("".join(angle) if angle is not None else _phrase(phrase, named=False))
    plain = "".join(said).strip(" \t\r\n")
    return plain if plain.isascii() and angle is None else _group(text)


def _phrase(parts: list[str], *, named: bool) -> str:
    """A display name with its comments; where it is none (``named``), perhaps an address."""
    if all(part.isascii() for part in parts):
        return "".join(parts)
    comments: list[str] = []
    name: list[str] = []
    for part in parts:
        if part[0] == "(":
            comments.append(part if part.isascii() else f"({words(_unfolded(_unquoted(part)))})")
        else:
            name.append(part)
    text = _unfolded("".join(name)).strip(" \t")
    if "@" in text and not named:  # its domain alone may be sayable; if not, the caller groups it
        text = _domain_in_ascii(text)
    elif not text.isascii():
        text = words(
            "".join(_unquoted(_unfolded(part)) if part[0] == '"' else part for part in name)
            .replace("\r\n", "")
            .strip(" \t")
        )
    return " ".join([text, *comments]).strip(" ") + " "


def _closed(part: str) -> bool:
    """Whether a quoted string or a comment has its end."""
    inside = _QUOTED_PAIR.sub("", part)
    return len(inside) > 1 and inside[-1] == _CLOSED[part[0]]


def _unquoted(part: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", part[1:-1])


def _domain_in_ascii(mailbox: str) -> str:
    local, at, domain = mailbox.rpartition("@")
    if domain.isascii() or not local.isascii():
        return mailbox
    bare = domain.rstrip("> \t\r\n")
    try:
        return local + at + bare.encode("idna").decode("ascii") + domain[len(bare) :]
    except UnicodeError:  # no domain at all
        return mailbox


def _group(text: str) -> str:
    return f"{words(_unfolded(text))} :;"


# Parameters ---------------------------------------------------------------------------------------


def _parameters(text: str) -> str:
    """``filename="ä"`` becomes ``filename*=UTF-8''%C3%A4``; what is no parameter loses its UTF-8."""
    items: list[str] = [""]
    for part in _ITEM.findall(text):
        if part == ";":
            items.append("")
        else:
            items[-1] += part
    return ";\r\n ".join(_parameter(item.strip(" \t\r\n")) for item in items)


def _parameter(item: str) -> str:
    if item.isascii():
        return item
    name, equals, value = item.partition("=")
    name = name.strip(" \t\r\n")
    if not equals or not name.isascii():
        return item.encode("ascii", "replace").decode("ascii")
    value = _unfolded(value.strip(" \t\r\n"))
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        value = _unquoted(value)
    return f"{name.rstrip('*')}*=UTF-8''{quote(value, safe='')}"
