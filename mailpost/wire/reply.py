"""What a server says: SMTP replies and POP3 responses, each by a name and with its source.

A reply is rendered once, when it is made; the hot path only joins octets.
"""

from __future__ import annotations


class Reply:
    """An SMTP reply: a code (RFC 5321 §4.2), an enhanced code (RFC 3463) and lines of text.

    :param code: three digits, the first 2 to 5.
    :param enhanced: ``"2.1.0"`` and the like, of the same class as ``code``; ``""`` for the greeting,
        EHLO and 3yz replies, which bear none (RFC 2034 §4).
    :param lines: the text, one item per line, US-ASCII; at least one.
    """

    __slots__ = ("code", "enhanced", "lines", "octets")

    def __init__(self, code: int, enhanced: str, *lines: str) -> None:
        self.code = code
        self.enhanced = enhanced
        self.lines = lines
        lead = f"{enhanced} " if enhanced else ""
        last = len(lines) - 1
        self.octets = "".join(
            f"{code}{' ' if n == last else '-'}{lead}{line}\r\n" for n, line in enumerate(lines)
        ).encode("ascii")

    @property
    def positive(self) -> bool:
        """Whether what was asked has been done, or may go on (2yz and 3yz)."""
        return self.code < 400  # noqa: PLR2004 - the SMTP class digit

    def __repr__(self) -> str:
        return f"<Reply {self}>"

    def __str__(self) -> str:
        return " / ".join(f"{self.code} {self.enhanced} {line}" for line in self.lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)


# Positive -----------------------------------------------------------------------------------------
BYE = Reply(221, "2.0.0", "the post office thanks you, good bye")  # RFC 5321 §4.1.1.10
LOGGED_IN = Reply(235, "2.7.0", "welcome")  # RFC 4954 §4
BEGIN_TLS = Reply(220, "2.0.0", "go ahead, encrypted")  # RFC 3207 §4
OK = Reply(250, "2.0.0", "ok")
SENDER_OK = Reply(250, "2.1.0", "sender ok")
RECIPIENT_OK = Reply(250, "2.1.5", "recipient ok")
CANNOT_VERIFY = Reply(252, "2.1.5", "send the letter, then you will know")  # RFC 5321 §3.5.3
SEND_LETTER = Reply(354, "", "send the letter, end with a dot on a line of its own")

# Try later ----------------------------------------------------------------------------------------
IDLE = Reply(421, "4.4.2", "nothing heard for too long, closing")  # RFC 5321 §4.5.3.2
SHUTTING_DOWN = Reply(421, "4.3.2", "the post office is closing, try again soon")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "too many connections, try again later")
BANNED = Reply(421, "4.7.0", "your address is banned for now, try again later")
REVOKED = Reply(421, "4.7.0", "this login is good no longer")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "too many errors, closing")
MANY_LETTERS_LATELY = Reply(
    450, "4.7.1", "you have handed in too many letters this hour, try again later"
)
MANY_RECIPIENTS_LATELY = Reply(
    450, "4.7.1", "you have written to too many recipients this hour, try again later"
)
LOCAL_ERROR = Reply(451, "4.3.0", "something is wrong here, try again later")
STORE_FAILED = Reply(451, "4.3.0", "the letter could not be kept, try again later")
MISROUTED = Reply(451, "4.4.6", "this address leads nowhere just now, try again later")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients, send the rest separately")
LOGIN_LATER = Reply(454, "4.7.0", "nobody can log in just now, try again later")  # RFC 4954 §6
NO_TLS = Reply(454, "4.7.0", "TLS is not to be had here")  # RFC 3207 §4
MAILDROP_FULL = Reply(452, "4.2.2", "that maildrop is full, try again later")
DISK_FULL = Reply(452, "4.3.1", "no room to keep letters just now, try again later")

# Refused ------------------------------------------------------------------------------------------
UNKNOWN_COMMAND = Reply(500, "5.5.2", "unknown command")
LINE_TOO_LONG = Reply(500, "5.5.2", "line too long")
BARE_NEWLINE = Reply(500, "5.5.2", "a line ends with CR and LF together, nothing else")
BAD_OCTETS = Reply(500, "5.5.2", "control characters have no place in a command")
SYNTAX = Reply(501, "5.5.4", "syntax error in the argument")
NO_ARGUMENT = Reply(501, "5.5.4", "this command takes no argument")
NEEDS_DOMAIN = Reply(501, "5.5.4", "say who you are: a domain or an address literal")
BAD_SENDER = Reply(501, "5.1.7", "syntax: MAIL FROM:<address>")
BAD_RECIPIENT = Reply(501, "5.1.3", "syntax: RCPT TO:<address>")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "nobody's addresses are told here")  # RFC 5321 §4.2.4
NO_SUCH_PARAMETER = Reply(555, "5.5.4", "parameter not known here")  # RFC 5321 §4.1.1.11
BAD_PARAMETER = Reply(501, "5.5.4", "bad value for a parameter")
BAD_CHUNK = Reply(501, "5.5.4", "syntax: BDAT octets [LAST]")  # RFC 3030 §2
CHUNKS_ONLY = Reply(503, "5.5.1", "this letter came in chunks: go on with BDAT")
ALREADY_TLS = Reply(503, "5.5.1", "the connection is encrypted already")
CANCELLED = Reply(501, "5.7.0", "the login was given up")  # RFC 4954 §4
BAD_BASE64 = Reply(501, "5.5.2", "that is no base64")
NO_SUCH_MECHANISM = Reply(504, "5.5.4", "that mechanism is not offered")
NEEDS_LOGIN = Reply(530, "5.7.0", "log in first")  # RFC 4954 §6
BAD_LOGIN = Reply(535, "5.7.8", "name or password is wrong")
NEEDS_TLS = Reply(538, "5.7.11", "no password before STARTTLS")
ALREADY_IN = Reply(503, "5.5.1", "you are logged in already")
NO_LOGIN_NOW = Reply(503, "5.5.1", "no login before EHLO, nor while a letter is handed in")
NOT_YOUR_ADDRESS = Reply(553, "5.7.1", "that is not an address of yours")
SAY_HELLO = Reply(503, "5.5.1", "say EHLO or HELO first")
NESTED_MAIL = Reply(503, "5.5.1", "a sender is already named, RSET to start over")
NEEDS_MAIL = Reply(503, "5.5.1", "name the sender first: MAIL FROM")
NEEDS_RECIPIENT = Reply(503, "5.5.1", "no valid recipient: RCPT TO first")
NO_VALID_RECIPIENT = Reply(554, "5.5.1", "no valid recipients")  # RFC 2920 §3.1
NOT_ASCII = Reply(553, "5.6.7", "an address beyond US-ASCII needs SMTPUTF8")  # RFC 6531 §3.5
TOO_LARGE = Reply(552, "5.3.4", "the letter is larger than this office takes")
BARE_NEWLINE_IN_LETTER = Reply(
    554, "5.6.0", "the letter has a bare CR or LF: lines end with CR and LF together"
)
MAIL_LOOP = Reply(554, "5.4.6", "too many Received lines, this letter goes in circles")
NO_SUCH_USER = Reply(550, "5.1.1", "no such mailbox here")
NOT_OUR_DOMAIN = Reply(550, "5.7.1", "this office does not deliver to that domain")


class Response:
    """A POP3 response line: ``+OK`` or ``-ERR``, perhaps a response code (RFC 2449 §8), a text.

    :param ok: whether what was asked has been done.
    :param text: a few words for a person, US-ASCII.
    :param code: ``"IN-USE"``, ``"AUTH"``, ``"SYS/TEMP"`` and the like (RFC 2449 §8.1, RFC 3206), or ``""``.
    """

    __slots__ = ("code", "octets", "ok", "text")

    def __init__(self, ok: bool, text: str, code: str = "") -> None:  # noqa: FBT001 - +OK is the subject
        self.ok = ok
        self.text = text
        self.code = code
        status = "+OK" if ok else "-ERR"
        self.octets = f"{status}{f' [{code}]' if code else ''} {text}\r\n".encode("ascii")

    def __repr__(self) -> str:
        return f"<Response {self.octets[:-2].decode('ascii')}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Response) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)


POP_OK = Response(True, "ok")
POP_NAME_TAKEN_DOWN = Response(True, "and the password?")  # RFC 1939 §7: says nothing of who exists
POP_BEGIN_TLS = Response(True, "go ahead, encrypted")  # RFC 2595 §4
POP_UTF8 = Response(True, "UTF-8 it is")  # RFC 6856 §2
POP_ENGLISH = Response(True, "en in English")  # RFC 6856 §3
POP_BYE = Response(True, "good bye")
POP_UNKNOWN_COMMAND = Response(False, "unknown command")
POP_LINE_TOO_LONG = Response(False, "line too long")
POP_BAD_OCTETS = Response(False, "control characters have no place in a command")
POP_BARE_NEWLINE = Response(False, "a line ends with CR and LF together, nothing else")
POP_NO_ARGUMENT = Response(False, "this command takes no argument")
POP_NEEDS_NUMBER = Response(False, "which letter? give its number")
POP_NEEDS_NUMBERS = Response(False, "give the letter's number and how many lines")
POP_NEEDS_NAME = Response(False, "whose maildrop? give a name")
POP_NEEDS_DIGEST = Response(False, "syntax: APOP name, and a digest of 32 hexadecimal digits")
POP_NO_SUCH_LETTER = Response(False, "no such letter")
POP_LETTER_GONE = Response(False, "that letter has left the maildrop meanwhile")
POP_LETTER_DELETED = Response(False, "that letter is marked as deleted")
POP_LOGIN_FIRST = Response(False, "log in first")
POP_ALREADY_IN = Response(False, "you are logged in already")
POP_NO_TLS = Response(False, "TLS is not to be had here, or has begun already")
POP_NEEDS_TLS = Response(False, "no password before STLS")
POP_LOGIN_GIVEN_UP = Response(False, "the login was given up")
POP_BAD_BASE64 = Response(False, "that is no base64")
POP_NO_SUCH_MECHANISM = Response(False, "that mechanism is not offered")
POP_NO_SUCH_LANGUAGE = Response(False, "that language is not spoken here")
POP_USER_FIRST = Response(False, "USER comes before PASS")
POP_BAD_LOGIN = Response(False, "name or password is wrong", "AUTH")  # RFC 3206 §4
POP_TOO_SOON = Response(
    False, "you were here just now, come again later", "LOGIN-DELAY"
)  # RFC 2449 §8.1.1
POP_IN_USE = Response(False, "another session has this maildrop open", "IN-USE")  # RFC 2449 §8.1.1
POP_TRY_LATER = Response(False, "something is wrong here, try again later", "SYS/TEMP")
POP_NOT_DELETED = Response(False, "nothing was deleted, try again later", "SYS/TEMP")
POP_REVOKED = Response(False, "this login is good no longer; nothing was deleted", "AUTH")
POP_IDLE = Response(False, "nothing heard for too long, closing; nothing was deleted")
POP_SHUTTING_DOWN = Response(False, "the post office is closing; nothing was deleted", "SYS/TEMP")
POP_TOO_MANY_CONNECTIONS = Response(False, "too many connections, try again later", "SYS/TEMP")
POP_BANNED = Response(False, "your address is banned for now, try again later", "SYS/TEMP")
POP_TOO_MANY_ERRORS = Response(False, "too many errors, closing")


def locked(reason: str) -> Reply:
    """525: the login was right, and the owner of the office has locked the account (RFC 5248 §2.4, X.7.13).

    :param reason: US-ASCII on one line, or ``""``.
    """
    return Reply(525, "5.7.13", f"this account is locked{f': {reason}' if reason else ''}")


def locked_out(reason: str) -> Reply:
    """421: the same, to somebody who is logged in just then."""
    return Reply(421, "4.7.0", f"this account is locked{f': {reason}' if reason else ''}")


def pop_locked(reason: str) -> Response:
    """-ERR: likewise; another password does not help, nor does to come again soon (RFC 3206 §4)."""
    told = f"this maildrop is locked{f': {reason}' if reason else ''}"
    return Response(False, told, "SYS/PERM")
