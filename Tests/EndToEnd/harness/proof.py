"""The proofs by which nodes know each other, made from docs/protocol.md and not with the program's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import struct
import time


def _derive(secret: bytes, purpose: str) -> bytes:
    """HKDF (RFC 5869) with SHA-256, 32 bytes."""
    root = hmac.digest(b"spegel cluster key", secret, "sha256")
    return hmac.digest(root, f"spegel 1 {purpose}".encode() + b"\x01", "sha256")


def _field(value: bytes) -> bytes:
    return struct.pack(">Q", len(value)) + value


def headers(
    key: str, holder: str, method: str, path: str, part: str | None = None, requester: str = "test", skew: float = 0,
) -> dict[str, str]:
    """The headers of a node's request to another one; `key` is a line of a key file."""
    now, nonce = int(time.time() + skew), os.urandom(8)
    text = _field(b"spegel content request 1") + _field(method.encode()) + _field(path.encode())
    text += b"\0" if part is None else b"\1" + _field(part.encode())
    text += struct.pack(">Q", 0) + _field(holder.encode()) + _field(requester.encode())
    text += struct.pack(">q", now) + nonce
    code = hmac.new(_derive(base64.b64decode(key), "content request"), text, hashlib.sha256).digest()
    value = f"v1 {now} {nonce.hex()} {requester} {base64.urlsafe_b64encode(code).decode().rstrip('=')}"
    return {"X-Spegel-Mirrored": "true", "X-Spegel-Proof": value}
