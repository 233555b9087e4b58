"""The names of content, and how each implementation writes them."""

from __future__ import annotations

import hashlib
import itertools

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
