"""TLS on the server's side, and the certificates for it.

Beneath the rooms and beside the configuration. ``server`` is what listeners use; it reads ``certificates``,
makes OpenSSL ``contexts`` of them, and tells of a ``session`` what the rooms want to know. ``tickets`` has
the keys by which a client resumes what was agreed upon before. ``security`` is what of it a listener offers.
``self_signed`` makes a certificate for an office that has none.
"""

from mailpost.tls.certificates import CertificateFiles, Description, TLSError, describe
from mailpost.tls.self_signed import make_self_signed
from mailpost.tls.server import ServerTLS
from mailpost.tls.session import channel_bindings, protocol_and_cipher

__all__ = [
    "CertificateFiles",
    "Description",
    "ServerTLS",
    "TLSError",
    "channel_bindings",
    "describe",
    "make_self_signed",
    "protocol_and_cipher",
]
