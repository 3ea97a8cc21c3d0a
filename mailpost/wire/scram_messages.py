"""The two messages of a SCRAM client, read strictly (RFC 5802 §5.1 and §7).

::

    client-first  = gs2-header "n=" saslname ",r=" c-nonce ["," extensions]
    client-final  = "c=" base64 ",r=" nonce ["," extensions] ",p=" base64

Unknown extensions are passed over; a mandatory one (``m=``) stands before the name and is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailpost.wire.gs2 import Header, parse_header, sasl_name
from mailpost.wire.sasl_base64 import decode_base64
from mailpost.wire.sasl_events import Reason
from mailpost.wire.sasl_exchange import Refusal, decoded
from mailpost.wire.scram_keys import KEY_OCTETS

MAX_NONCE = 512  # octets; a client's own has some 20 to 40

_FIRST = re.compile(rb"n=([^,]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]+)*")
_FINAL = re.compile(rb"c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]+)*")


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """Who it is, and the client's part of the nonce.

    :ivar bare: the message without its header, as it goes into the AuthMessage.
    """

    header: Header
    name: str
    nonce: bytes
    bare: bytes


@dataclass(frozen=True, slots=True)
class ClientFinal:
    """The proof, and what it was made over.

    :ivar binding: the header again, and the channel binding's octets behind it.
    :ivar without_proof: the message without its proof, as it goes into the AuthMessage.
    """

    binding: bytes = field(repr=False)
    nonce: bytes
    proof: bytes = field(repr=False)
    without_proof: bytes = field(repr=False)


def parse_first(message: bytes) -> ClientFirst:
    """Read the client's first message.

    :raises Refusal: it is none.
    """
    if decoded(message) is None:
        raise Refusal(Reason.MALFORMED)
    header, bare = parse_header(message)
    match = _FIRST.fullmatch(bare)
    if match is None or len(match[2]) > MAX_NONCE:
        raise Refusal(Reason.MALFORMED)
    name = sasl_name(match[1])
    if header.authorization and header.authorization != name:
        raise Refusal(Reason.NOT_THEIRS)
    return ClientFirst(header, name, match[2], bare)


def parse_final(message: bytes) -> ClientFinal:
    """Read the client's last message.

    :raises Refusal: it is none.
    """
    without_proof, _, proof_text = message.rpartition(b",p=")
    match = _FINAL.fullmatch(without_proof)
    if match is None or decoded(message) is None:
        raise Refusal(Reason.MALFORMED)
    binding = decode_base64(match[1])
    proof = decode_base64(proof_text)
    if binding is None or proof is None or len(proof) != KEY_OCTETS:
        raise Refusal(Reason.MALFORMED)
    return ClientFinal(binding, match[2], proof, without_proof)
