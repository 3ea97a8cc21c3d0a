"""Intake: takes letters off the wire, and puts a postmark on each copy.

``protocol`` drives the SMTP engine, ``postmarks`` writes what the office adds, ``factory`` makes and
watches the connections.
"""

from mailpost.intake.factory import SMTPFactory

__all__ = ["SMTPFactory"]
