"""Collection: hands letters out of a maildrop, and lets them go at QUIT.

``protocol`` drives the POP3 engine, ``factory`` makes and watches the connections.
"""

from mailpost.collection.factory import POP3Factory

__all__ = ["POP3Factory"]
