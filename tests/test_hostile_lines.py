"""What hostile and broken peers try, line by line, and the tests that show what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent

LINES = {
    "what only looks like the end of a letter": [
        "intake/test_hostile.py::test_never_two_letters_from_one",
        "river/test_hostile.py::test_nothing_is_smuggled",
        "dialogues/smtp/25-only-crlf-dot-crlf.txt",
        "dialogues/smtp/25-nul-beside-the-dot.txt",
        "fuzz/test_fuzz.py::test_letters",
    ],
    "endless commands": [
        "intake/test_hostile.py::test_endless_commands",
        "river/test_hostile.py::test_an_endless_smtp_command",
        "river/test_hostile.py::test_an_endless_pop3_command",
        "river/test_hostile.py::test_a_hundred_megabytes_without_an_end",
    ],
    "endless responses to AUTH": [
        "river/test_hostile.py::test_an_endless_response_to_a_challenge",
        "dialogues/smtp/53-long-responses.txt",
    ],
    "an endless line in a letter": ["wire/test_smtp.py::test_endless_line_in_a_letter"],
    "a refused body is drained to its true end": [
        "wire/test_smtp.py::test_smtp_58_drained_to_its_true_end",
        "intake/test_hostile.py::test_a_letter_that_is_too_large",
        "dialogues/smtp/72-no-number.txt",
        "dialogues/smtp/69-no-line-of-bdat.txt",
        "wire/test_smtp.py::test_no_line_of_bdat",
    ],
    "replies that nobody reads": [
        "intake/test_hostile.py::test_a_million_commands_whose_replies_are_not_read",
        "river/test_hostile.py::test_smtp_replies_that_nobody_reads",
        "river/test_hostile.py::test_pop3_replies_that_nobody_reads",
    ],
    "RETR to a reader that stops": ["river/test_hostile.py::test_a_letter_that_nobody_reads"],
    "500 connections that drip": [
        "intake/test_hostile.py::test_500_drips",
        "river/test_hostile.py::test_500_connections_that_drip",
    ],
    "a TLS hello that never comes": [
        "test_encrypted.py::test_a_hello_that_never_comes",
        "test_encrypted.py::test_a_hello_that_trickles",
        "river/test_hostile.py::test_a_tls_hello_that_never_comes",
    ],
    "NUL, CR, 8-bit and escapes in arguments, and in the log": [
        "intake/test_hostile.py::test_odd_octets_in_arguments",
        "wire/test_smtp.py::test_odd_octets_in_bdat",
        "wire/test_smtp.py::test_transcript",
        "wire/test_session.py::test_escaped",
        "wire/test_extensions.py::test_secrets_however_they_are_said",
        "collection/test_logins.py::test_names_in_the_log",
        "river/test_hostile_names.py::test_odd_octets_in_smtp",
        "river/test_hostile_names.py::test_odd_octets_in_pop3",
    ],
    "CRLF inside a SASL response": [
        "river/test_hostile.py::test_a_line_end_inside_a_response",
        "river/test_hostile_names.py::test_a_line_end_inside_a_response_of_pop3",
        "river/test_hostile_names.py::test_line_ends_inside_responses",
        "fuzz/test_fuzz.py::test_scram_exchanges",
    ],
    "names that are paths, too long, or look like others": [
        "accounts/test_names.py::test_no_name",
        "accounts/test_names.py::test_nobodys_login",
        "accounts/test_names.py::test_any_login",
        "river/test_hostile_names.py::test_names_that_are_somebody_else",
    ],
    "open relay": [
        "dialogues/smtp/24-no-open-relay.txt",
        "river/test_hostile_names.py::test_no_relay",
    ],
    "guessing": [
        "wire/test_extensions.py::test_smtp_56_guessing",
        "test_tls_sessions.py::test_smtp_56_guessing",
        "collection/test_logins.py::test_guessing",
    ],
    "letters that would tire a parser": [
        "wire/test_content.py::test_half_a_million_header_lines",
        "river/test_hostile.py::test_a_letter_that_would_tire_a_parser",
        "river/test_hard_letters.py::test_every_octet_comes_out",
        "wire/test_damaged.py::test_linear",
        "wire/test_damaged.py::test_the_same_however_it_is_cut",
        "river/test_damaged.py::test_both_forms",
        "wire/test_mime.py::test_nothing_is_quadratic",
        "wire/test_downgrade.py::test_nothing_is_quadratic",
    ],
    "SIGKILL and a full disk": [
        "store/test_crash.py::test_killed_under_load",
        "river/test_kill.py::test_kill_under_load",
        "river/test_disk_full.py",
        "dialogues/smtp/60-disk-full.txt",
    ],
}


@pytest.mark.parametrize("line", LINES)
def test_each_line_is_shown(line: str) -> None:
    """Each line has tests, and they are there under these names."""
    assert LINES[line]
    for shown in LINES[line]:
        file, _, test = shown.partition("::")
        text = (TESTS / file).read_text()
        assert f"def {test}(" in text or not test, shown
