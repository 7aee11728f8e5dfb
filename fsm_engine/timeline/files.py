"""Timelines as files, ``.fsmt``.

A file begins with ``FSMT`` and its version in four digits, ``FSMT0001``. Then come blocks: four bytes with the length
of the compressed content, four with the CRC-32 of the content, and the content, compressed by zlib. The first block is
JSON: ``wall``, ``room``, and the ``tracks``, each with ``name``, ``thread``, ``dropped``, ``kinds`` and ``calls``. Each
track has two more blocks, its moves and its calls of handlers, as records of `track.MOVE` and `track.SPAN`.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from pathlib import Path
from struct import Struct
from typing import Any

from fsm_engine.files import write_whole
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import MOVE, SPAN, Called, Kind, Track

MAGIC, VERSION = b"FSMT", 1
_HEAD = Struct("<II")


def save(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """Write `timeline` to a file, whole or not at all."""
    header = {"wall": timeline.wall, "room": timeline.room, "tracks": [_described(t) for t in timeline.tracks]}
    blocks = [json.dumps(header).encode()]
    for track in timeline.tracks:
        blocks += [track.move_ring.content(), track.span_ring.content()]
    return write_whole(path, MAGIC + b"%04d" % VERSION + b"".join(map(_packed, blocks)))


def _described(track: Track) -> dict[str, Any]:
    return {
        "name": track.name,
        "thread": track.thread,
        "dropped": track.dropped,
        "kinds": [asdict(kind) for kind in track.kinds],
        "calls": [asdict(called) for called in track.calls],
    }


def _packed(content: bytes) -> bytes:
    compressed = zlib.compress(content, 6)
    return _HEAD.pack(len(compressed), zlib.crc32(content)) + compressed


def load(path: str | os.PathLike[str]) -> Timeline:
    """Return the timeline of a file.

    Raises:
        ValueError: a file that is none, is damaged, or of a newer version.
    """
    content = Path(path).read_bytes()
    if content[:4] != MAGIC or not content[4:8].isdigit():
        raise ValueError(f"{Path(path).name} is no timeline: it does not begin with {MAGIC.decode()} and a version.")
    if int(content[4:8]) > VERSION:
        newer = f"{Path(path).name} is of version {int(content[4:8])}"
        raise ValueError(f"{newer}, and this fsm_engine reads up to {VERSION}. Update it.")
    try:
        return _read(content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{Path(path).name} is damaged: {error}.") from error


def _read(content: bytes) -> Timeline:
    at = 8
    blocks = []
    while at < len(content):
        if len(content) < at + _HEAD.size:
            raise ValueError("it ends in the middle of a block")
        size, check = _HEAD.unpack_from(content, at)
        at += _HEAD.size
        if len(content) < at + size:
            raise ValueError("it ends in the middle of a block")
        blocks.append(_unpacked(content[at : at + size], check))
        at += size
    header = json.loads(blocks[0])
    timeline = Timeline(header["room"])
    timeline.wall = int(header["wall"])
    if len(blocks) != 1 + 2 * len(header["tracks"]):
        raise ValueError(f"it has {len(blocks) - 1} blocks for {len(header['tracks'])} tracks")
    for number, described in enumerate(header["tracks"]):
        timeline.tracks.append(_track(described, blocks[1 + 2 * number], blocks[2 + 2 * number]))
    return timeline


def _unpacked(compressed: bytes, check: int) -> bytes:
    try:
        content = zlib.decompress(compressed)
    except zlib.error as error:
        raise ValueError(f"a block cannot be unpacked, {error}") from None
    if zlib.crc32(content) != check:
        raise ValueError("a block has another checksum than it should have")
    return content


def _track(described: dict[str, Any], moves: bytes, spans: bytes) -> Track:
    track = Track(str(described["name"]), str(described["thread"]), 1)
    for kind in described["kinds"]:
        scopes = {name: tuple(map(str, kind[name])) for name in ("source_scopes", "target_scopes")}
        track.kinds.append(Kind(**{**kind, **scopes}))
    track.calls = [Called(**called) for called in described["calls"]]
    track.move_ring = _ring(MOVE, moves, described["dropped"][0], len(track.kinds), 1)
    track.span_ring = _ring(SPAN, spans, described["dropped"][1], len(track.calls), 2)
    return track


def _ring(record: Struct, content: bytes, dropped: int, kinds: int, place: int) -> Ring:
    count, rest = divmod(len(content), record.size)
    if rest:
        raise ValueError(f"a block of {len(content)} bytes is no number of records of {record.size}")
    if any(not 0 <= fields[place] < kinds for fields in record.iter_unpack(content)):
        raise ValueError(f"a record has a number of which there are only {kinds}")
    ring = Ring(record, count or 1)
    ring.fill(content)
    ring.forgotten = int(dropped)
    return ring
