"""Intake: takes letters off the wire, and puts a postmark on each copy.

``protocol`` drives the SMTP engine over Twisted, ``letter`` is what is being handed in, ``postmarks`` writes
what the office adds.
"""

from mailpost.intake.protocol import LMTPFactory, SMTPFactory, SubmissionFactory

__all__ = ["LMTPFactory", "SMTPFactory", "SubmissionFactory"]
