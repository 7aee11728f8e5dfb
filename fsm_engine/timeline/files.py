"""Timelines as files, ``.fsmt``.

A file begins with ``FSMT`` and its version in four digits, ``FSMT0001``. Blocks follow: four bytes with the length of
the compressed content, four with the CRC-32 of the content, and the content, compressed by zlib. The first block is
JSON:

- ``wall`` and ``capacity`` of the timeline;
- ``tracks``, each with ``name``, ``thread``, ``dropped``, ``kinds`` and ``handlers``; ``sampling`` if iterations were
  left out; ``device``, the number of dropped records, if device times were recorded;
- ``counters``, each with ``name`` and ``dropped``.

Each track has two more blocks, its moves and its handler calls, as records of `track.MOVE` and `track.SPAN`. A third
block follows if it has ``device``, with records of `track.DEVICE`. Then each counter has one block, with records of
`counters.VALUE`.

Reading one evaluates nothing, checks everything, and takes memory in proportion to the size of the file.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine.timeline.counters import VALUE, Counter
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import DEVICE, MOVE, SPAN, HandlerRef, Kind, Sampling, Track

MAGIC, VERSION = b"FSMT", 1
_HEAD = Struct("<II")
_MOST = 200
"""How many times larger a block may be than its compressed content: ours are not a fifth of that."""


def save(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """Write `timeline` to a file, whole or not at all."""
    header = {
        "wall": timeline.wall,
        "capacity": timeline.capacity,
        "tracks": [_described(track) for track in timeline.tracks],
        "counters": [{"name": name, "dropped": counter.dropped} for name, counter in timeline.counters.items()],
    }
    blocks = [json.dumps(header).encode()]
    for track in timeline.tracks:
        blocks += [ring.content() for ring in (track.move_ring, track.span_ring, track.device_ring) if ring is not None]
    blocks += [counter.ring.content() for counter in timeline.counters.values()]
    return write_atomically(path, MAGIC + b"%04d" % VERSION + b"".join(map(_packed, blocks)))


def _described(track: Track) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": track.name,
        "thread": track.thread,
        "dropped": track.dropped,
        "kinds": [asdict(kind) for kind in track.kinds],
        "handlers": [asdict(handler) for handler in track.handlers],
    }
    if track.sampling is not None:
        described["sampling"] = {**asdict(track.sampling), "phases": sorted(track.sampling.phases)}
    if track.device_ring is not None:
        described["device"] = track.device_ring.dropped
    return described


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
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{Path(path).name} is damaged: {what}.") from error


def _read(content: bytes) -> Timeline:
    blocks = _blocks(memoryview(content)[8:])
    if not blocks:
        raise ValueError("it ends behind its version")
    header = json.loads(blocks[0])
    tracks, counters = header["tracks"], header["counters"]
    rings = [2 + ("device" in described) for described in tracks]
    if len(blocks) != 1 + sum(rings) + len(counters):
        raise ValueError(f"it has {len(blocks) - 1} blocks for {len(tracks)} tracks and {len(counters)} counters")
    timeline = Timeline(header["capacity"])
    timeline.wall = _number(header["wall"])
    rest = iter(blocks[1:])
    for described, count in zip(tracks, rings):
        timeline.tracks.append(_track(described, *islice(rest, count)))
    for described, values in zip(counters, rest):
        counter = timeline.counters[_text(described["name"])] = Counter(1)
        counter.ring = _ring(VALUE, values, described["dropped"])
    return timeline


def _blocks(content: memoryview) -> list[bytes]:
    blocks = []
    while content:
        if len(content) < _HEAD.size or len(content) < _HEAD.size + _HEAD.unpack_from(content)[0]:
            raise ValueError("it ends in the middle of a block")
        size, check = _HEAD.unpack_from(content)
        blocks.append(_unpacked(content[_HEAD.size : _HEAD.size + size], check))
        content = content[_HEAD.size + size :]
    return blocks


def _unpacked(compressed: memoryview, check: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        content = unpacking.decompress(compressed, _MOST * (len(compressed) + 1))
    except zlib.error as error:
        raise ValueError(f"a block cannot be unpacked, {error}") from None
    if not unpacking.eof or unpacking.unused_data:
        raise ValueError(f"a block is not what was compressed, or more than {_MOST} times as large")
    if zlib.crc32(content) != check:
        raise ValueError("a block has another checksum than it should have")
    return content


def _track(described: dict[str, Any], moves: bytes, spans: bytes, device: bytes = b"") -> Track:
    track = Track(_text(described["name"]), _text(described["thread"]), 1)
    track.kinds = [_kind(**kind) for kind in described["kinds"]]
    track.handlers = [
        HandlerRef(**{key: _text(text) for key, text in handler.items()}) for handler in described["handlers"]
    ]
    dropped_moves, dropped_spans = described["dropped"]
    track.move_ring = _ring(MOVE, moves, dropped_moves)
    track.span_ring = _ring(SPAN, spans, dropped_spans)
    if "device" in described:
        track.device_ring = _ring(DEVICE, device, described["device"])
    if "sampling" in described:
        track.sampling = _sampling(**described["sampling"])
    _refuse_unknown(MOVE, moves, 1, len(track.kinds))
    _refuse_unknown(SPAN, spans, 2, len(track.handlers))
    return track


def _kind(source_scopes: list[str], target_scopes: list[str], **rest: Any) -> Kind:
    source, target = (tuple(map(_text, names)) for names in (source_scopes, target_scopes))
    for name, value in rest.items():
        if not isinstance(value, bool if name.startswith("is_") else str):
            raise ValueError(f"{name} of a move is {value!r:.40}")
    return Kind(source_scopes=source, target_scopes=target, **rest)


def _sampling(phases: list[str], **numbers: int) -> Sampling:
    if any(_number(value) < 0 for value in numbers.values()):
        raise ValueError(f"iterations are counted as {numbers}")
    return Sampling(phases=frozenset(map(_text, phases)), **numbers)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is no string")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise ValueError(f"{value!r:.40} is no number of 64 bits")
    return value


def _ring(record: Struct, content: bytes, dropped: Any) -> Ring:
    count, rest = divmod(len(content), record.size)
    if rest:
        raise ValueError(f"a block of {len(content)} bytes is no number of records of {record.size}")
    if _number(dropped) < 0:
        raise ValueError(f"{dropped} records were dropped")
    ring = Ring(record, count or 1)
    ring.fill(content)
    ring.forgotten = dropped
    return ring


def _refuse_unknown(record: Struct, content: bytes, place: int, known: int) -> None:
    if any(not 0 <= fields[place] < known for fields in record.iter_unpack(content)):
        raise ValueError(f"a record has a number of which there are only {known}")
