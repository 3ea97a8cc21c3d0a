"""Intake: takes letters off the wire, and puts a postmark on each copy.

``listeners`` makes a connection for each peer, ``protocol`` drives its SMTP engine over Twisted, ``letter``
is what is being handed in, ``keeping`` has it kept, ``postmarks`` writes what the office adds, ``allowance``
says how much an account may hand in.
"""

from mailpost.intake.allowance import Allowance
from mailpost.intake.listeners import LMTPFactory, SMTPFactory, SubmissionFactory
from mailpost.intake.notices import Notices

__all__ = ["Allowance", "LMTPFactory", "Notices", "SMTPFactory", "SubmissionFactory"]
