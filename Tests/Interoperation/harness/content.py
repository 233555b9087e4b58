"""Names that the peers agree upon: of content, as each implementation writes them, and of a protocol."""

from __future__ import annotations

import hashlib
import itertools

# A protocol for the tests alone, by which each side sends back what the other sends.
ECHO = "/interoperation/echo/1.0.0"

_numbers = itertools.count(1)


class Content:
    """A key of the DHT: made from a name, as this project makes it."""

    def __init__(self, name: str):
        self.name = name
        self.multihash = b"\x12\x20" + hashlib.sha256(name.encode()).digest()

    @classmethod
    def new(cls) -> Content:
        """One that no test has used."""
        name = f"interoperation {next(_numbers)}"
        return cls("sha256:" + hashlib.sha256(name.encode()).hexdigest())

    @property
    def cid(self) -> bytes:
        """As a CID of version 1 with the codec `raw`, which Go asks for."""
        return b"\x01\x55" + self.multihash

    def __repr__(self) -> str:
        return f"Content({self.name})"
