"""The demonstration's story: one letter from a sender's hand to its reader's, step by step.

Nothing in it is made up: the lines shown went over the wire, and what is on the disk was looked up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mailpost.cli.demo_client import Collector, Sender, Surprise
from mailpost.cli.demo_office import DOMAIN, USER

if TYPE_CHECKING:
    from mailpost.cli.demo_office import DemoOffice
    from mailpost.cli.demo_stage import Stage

_LETTER = (
    b"From: Ada <ada@example.net>",
    b"To: Alice <alice@example.org>",
    b"Subject: A letter's journey",
    b"",
    b"Dear Alice,",
    b".this line begins with a dot.",
    b"Yours, Ada",
)


def travel(office: DemoOffice, stage: Stage) -> None:
    """Tell the whole story.

    :raises Surprise: the office did not do what it promises.
    """
    stage.say(
        f"A post office for {DOMAIN} has opened on this machine: letters in by SMTP at port "
        f"{office.smtp}, out by POP3 at port {office.pop3}. All it keeps is in {office.folder}. "
        f"It has a maildrop for {USER}. C: is what the client says, S: what the server says."
    )
    stage.act("In, by SMTP (RFC 5321)")
    with Sender(office.smtp) as sender:
        _greet(sender, stage)
        _address(sender, stage)
        _hand_over(sender, office, stage)
    stage.act("Out, by POP3 (RFC 1939)")
    with Collector(office.pop3) as collector:
        _authorize(collector, office, stage)
        letter = _transact(collector, office, stage)
        _update(collector, office, stage)
    stage.act("What came out is what went in")
    stage.say(_compare(letter))


def _greet(sender: Sender, stage: Stage) -> None:
    sender.expect(b"220")
    stage.step(
        "The greeting",
        "The server speaks first. 220 says: this is a mail server, and it is ready. The first digit "
        "of each reply tells all that a program needs: 2 yes, 3 go on, 4 try again later, 5 never.",
        sender.noted(),
        (),
    )
    sender.ask(b"EHLO laptop.example.net")
    stage.step(
        "EHLO",
        "The client says who it is, and asks what this server can do beyond the first standard.",
        sender.noted(),
        (),
    )


def _address(sender: Sender, stage: Stage) -> None:
    sender.ask(b"MAIL FROM:<ada@example.net>")
    stage.step(
        "The envelope: from whom",
        "MAIL begins a letter and names who is told if it cannot be delivered. Like the envelope of "
        "a paper letter this is not part of the letter: what stands within may say something else.",
        sender.noted(),
        (),
    )
    sender.ask(b"RCPT TO:<nobody@example.org>", b"550")
    sender.ask(b"RCPT TO:<alice@example.org>")
    stage.step(
        "The envelope: to whom",
        "RCPT names the recipients, one at a time, and each is sorted at once: a name that has no "
        "maildrop here is refused before the letter is sent, so nothing has to come back later.",
        sender.noted(),
        (),
    )


def _hand_over(sender: Sender, office: DemoOffice, stage: Stage) -> None:
    sender.ask(b"DATA", b"354")
    sender.say(*(b"." + line if line.startswith(b".") else line for line in _LETTER))
    stage.step(
        "The letter",
        "After 354 every line is the letter's: first its header, then an empty line, then the text. "
        "A line that begins with a dot is sent with one dot more, which the server takes away again. "
        "So far nothing is promised; if the line broke now, nothing would be kept.",
        sender.noted(),
        [_disk(office, 0)],
    )
    kept = sender.ask(b".")
    trace = kept.rpartition(b" ")[2].decode("ascii")
    stage.step(
        "The dot, and the promise of 250",
        "A dot alone on its line ends the letter. 250 is a promise: before the server said it, the "
        "letter was committed to the store and synced to the disk. Whoever opens the store from now "
        "on finds it there, even if this machine loses its power in this very moment. The last word "
        "is the letter's trace id: it is in the log and in the letter's Received line too.",
        sender.noted(),
        [_disk(office, 1), ("log", office.logged(trace))],
    )
    sender.ask(b"QUIT", b"221")
    stage.step("QUIT", "The client could send more letters, or go.", sender.noted(), ())


def _authorize(collector: Collector, office: DemoOffice, stage: Stage) -> None:
    collector.expect()
    collector.ask(f"USER {USER}".encode())
    collector.ask(f"PASS {office.password}".encode())
    stage.step(
        "AUTHORIZATION: who are you?",
        "POP3 has two answers, +OK and -ERR. USER gets +OK for any name, so that nobody can find "
        "out who has a maildrop; PASS is checked against a hash. Both go over the wire as they are: "
        "without TLS, only where nobody else listens. After +OK the maildrop is locked for this "
        "session; a second one would hear -ERR [IN-USE].",
        collector.noted(),
        (),
    )


def _transact(collector: Collector, office: DemoOffice, stage: Stage) -> list[bytes]:
    collector.ask(b"STAT")
    collector.ask_for_lines(b"LIST")
    collector.ask_for_lines(b"UIDL")
    stage.step(
        "TRANSACTION: what is there?",
        "STAT counts letters and octets, LIST does so letter by letter. UIDL gives each letter a name "
        "that stays its own for ever, so that a program knows which letters it has seen already.",
        collector.noted(),
        (),
    )
    letter = collector.ask_for_lines(b"RETR 1")
    stage.step(
        "TRANSACTION: the letter",
        "On top is the postmark that the office put on this copy: who sent it, to which maildrop it "
        "went, and when it was received from whom. Below it is the letter as it came in. The dots "
        "are treated as before: one more on the wire, a dot alone at the end.",
        collector.noted(),
        (),
    )
    collector.ask(b"DELE 1")
    stage.step(
        "TRANSACTION: a mark",
        "DELE only marks a letter. If the line broke now, or RSET were said, it would stay.",
        collector.noted(),
        [_disk(office, 1)],
    )
    return letter


def _update(collector: Collector, office: DemoOffice, stage: Stage) -> None:
    collector.ask(b"QUIT")
    stage.step(
        "UPDATE: the promise of +OK",
        "Only QUIT deletes what was marked, in one transaction that is synced before +OK is said. "
        "The maildrop lets the letter go by moving a cursor; its room on the disk is given back "
        "later, when there is time.",
        collector.noted(),
        [_disk(office, 0)],
    )


def _disk(office: DemoOffice, letters: int) -> tuple[str, str]:
    """Tell what is on the disk just now.

    :raises Surprise: there are not so many letters in the maildrop as there have to be.
    """
    found = office.on_disk()
    if found.letters != letters:
        raise Surprise(f"{letters} letters have to be on the disk; there are {found.letters}")
    what = f"{found.letters} letter{'' if found.letters == 1 else 's'}, {found.octets} octets"
    sizes = f"database {found.database:,} octets, write-ahead log {found.log:,}"
    return "disk", f"who opens the store now finds {what}; {sizes}"


def _compare(letter: list[bytes]) -> str:
    """Compare what came out with what went in.

    :raises Surprise: it is not the same.
    """
    if tuple(letter[-len(_LETTER) :]) != _LETTER:
        raise Surprise("what came out is not what went in")
    sent, came = (sum(len(line) + 2 for line in lines) for lines in (_LETTER, letter))
    return (
        f"{sent} octets went in, {came} came out: {came - sent} of postmark, then the {sent} octets of "
        "the letter, each as it was sent. A letter is never opened."
    )
