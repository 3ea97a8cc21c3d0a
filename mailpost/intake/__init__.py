"""Intake: takes letters off the wire, and puts a postmark on each copy.

``protocol`` drives the SMTP engine over Twisted, ``letter`` is what is being handed in, ``postmarks`` writes
what the office adds, ``allowance`` says how much an account may hand in.
"""

from mailpost.intake.allowance import Allowance
from mailpost.intake.notices import Notices
from mailpost.intake.protocol import LMTPFactory, SMTPFactory, SubmissionFactory

__all__ = ["Allowance", "LMTPFactory", "Notices", "SMTPFactory", "SubmissionFactory"]
