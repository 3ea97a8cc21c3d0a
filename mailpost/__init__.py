"""mailpost: a post office in Python on Twisted.

A letter's way through the house, room by room::

    SMTP, LMTP --> intake --> sorting --> store --> collection --> POP3

``wire``        the protocols themselves: bytes in, events out, nothing else
``tls``         certificates, and the server's side of TLS
``proxied``     who the client is when a load balancer stands in front
``intake``      takes letters off the wire and puts a postmark on each copy
``sorting``     decides in which maildrop a recipient's copy belongs
``store``       keeps letters durably: a 250 is given only after the commit
``accounts``    who somebody is: Portal, Realm and checkers
``collection``  hands letters out of a maildrop, and lets them go at QUIT
``service``     the one place where the rooms are joined

The design and its reasons are in ``docs/architecture.rst``.
"""

__version__ = "0.1.0"
