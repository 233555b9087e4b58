"""Just enough of protocol buffers to parse one message."""

from __future__ import annotations


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def fields(data: bytes, is_delimited: bool = False) -> dict[int, list]:
    """The fields by their numbers: integers for varints, bytes for length-delimited fields."""
    position, end = 0, len(data)
    if is_delimited:
        length, position = _varint(data, 0)
        end = position + length
        assert end <= len(data), f"the message lacks {end - len(data)} bytes"
    found: dict[int, list] = {}
    while position < end:
        tag, position = _varint(data, position)
        value, position = _varint(data, position)
        if tag & 7 == 2:
            value, position = data[position:position + value], position + value
        else:
            assert tag & 7 == 0, f"field {tag >> 3} has wire type {tag & 7}"
        found.setdefault(tag >> 3, []).append(value)
    return found
