"""The protocols themselves: bytes in, events out.

Pure: no Twisted, no files, no clock, the standard library only. An engine is fed octets and yields
events; where it needs a decision it yields a question and consumes nothing more until the answer is
there. Order and back-pressure follow from that one rule.
"""
