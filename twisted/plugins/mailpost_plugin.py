"""Makes ``twistd mailpost`` known. There is no ``__init__.py`` beside this file, and must not be."""

from twisted.application.service import ServiceMaker

mailpost = ServiceMaker(
    "mailpost", "mailpost.tap", "A post office: letters in by SMTP, out by POP3", "mailpost"
)
