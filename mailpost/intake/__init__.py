"""Intake: takes letters off the wire, and puts a postmark on each copy.

``protocol`` drives the SMTP engine over Twisted, ``postmarks`` writes what the office adds.
"""

from mailpost.intake.protocol import SMTPFactory

__all__ = ["SMTPFactory"]
