"""Common names: of content, in the form of each implementation, and of a protocol."""

from __future__ import annotations

import hashlib
import itertools

# A protocol of the tests: each side sends back the received bytes.
ECHO = "/interoperation/echo/1.0.0"

_numbers = itertools.count(1)


class Content:
    """A key of the DHT, made from a name as in this project."""

    def __init__(self, name: str):
        self.name = name
        self.multihash = b"\x12\x20" + hashlib.sha256(name.encode()).digest()

    @classmethod
    def new(cls) -> Content:
        """A key that no test has used."""
        name = f"interoperation {next(_numbers)}"
        return cls("sha256:" + hashlib.sha256(name.encode()).hexdigest())

    @property
    def cid(self) -> bytes:
        """The key as a CID of version 1 with the codec `raw`, as Go needs it."""
        return b"\x01\x55" + self.multihash

    def __repr__(self) -> str:
        return f"Content({self.name})"
