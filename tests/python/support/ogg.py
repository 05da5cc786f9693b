"""Ogg pages written by hand (RFC 3533), for streams that no encoder makes."""

import struct


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def page(packets: list[bytes], number: int, *, first: bool = False, granule: int = 0) -> bytes:
    """A page of whole packets, each shorter than 255 bytes; at most 255 of them."""
    head = struct.pack("<4sBBqIII", b"OggS", 0, 2 if first else 0, granule, 1, number, 0)
    body = bytes([len(packets), *map(len, packets)]) + b"".join(packets)
    return head[:22] + struct.pack("<I", _checksum(head + body)) + body


def _checksum(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    return crc


def granules(data: bytes) -> list[int]:
    """The granule position of each page of a whole stream. ValueError: damaged, or its end is missing."""
    positions, flags, at = [], 0, 0
    while at < len(data):
        mark, _, flags, granule, _, _, crc, segments = struct.unpack_from("<4sBBqIIIB", data, at)
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        if mark != b"OggS" or crc != _checksum(data[at : at + 22] + bytes(4) + data[at + 26 : end]):
            message = f"no good page at byte {at}"
            raise ValueError(message)
        positions.append(granule)
        at = end
    if not flags & 4:
        message = "the last page is not marked as the end of the stream"
        raise ValueError(message)
    return positions


def ogg_of(packets: list[bytes], *, channels: int = 1) -> bytes:
    """An Ogg Opus stream (RFC 7845) of these packets, each of 120 ms, with 80 ms of pre-skip."""
    opus_head = b"OpusHead" + struct.pack("<BBHIhB", 1, channels, 3840, 48000, 0, 0)
    opus_tags = b"OpusTags" + struct.pack("<II", 0, 0)
    pages = [page([opus_head], 0, first=True), page([opus_tags], 1)]
    for at in range(0, len(packets), 255):
        part = packets[at : at + 255]
        pages.append(page(part, len(pages), granule=(at + len(part)) * 5760))
    return b"".join(pages)
