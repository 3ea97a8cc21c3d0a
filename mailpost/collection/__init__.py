"""Collection: hands letters out of a maildrop, and lets them go at QUIT.

``protocol`` drives the POP3 engine over Twisted.
"""

from mailpost.collection.protocol import POP3Factory

__all__ = ["POP3Factory"]
