"""Private keys of all types, in the form that Go reads (libp2p/specs, peer-ids)."""

from __future__ import annotations

import os

from Crypto.PublicKey import ECC, RSA


def _rsa() -> tuple[int, bytes]:
    return 0, RSA.generate(2048).export_key("DER")  # PKCS#1


def _ed25519() -> tuple[int, bytes]:
    key = ECC.generate(curve="ed25519")
    return 1, key.seed + key.public_key().export_key(format="raw")


def _secp256k1() -> tuple[int, bytes]:
    return 2, b"\x01" + os.urandom(31)  # any number below the order of the curve


def _ecdsa() -> tuple[int, bytes]:
    return 3, ECC.generate(curve="P-256").export_key(format="DER", use_pkcs8=False)  # RFC 5915


_MAKERS = {"rsa": _rsa, "ed25519": _ed25519, "secp256k1": _secp256k1, "ecdsa": _ecdsa}


def private_key(kind: str) -> bytes:
    """A new key: the protobuf message with its type and its data."""
    number, data = _MAKERS[kind]()
    length = len(data)
    prefix = bytes([length]) if length < 0x80 else bytes([length & 0x7F | 0x80, length >> 7])
    return bytes([0x08, number, 0x12]) + prefix + data
