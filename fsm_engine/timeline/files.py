"""Timelines as files, ``.fsmt``.

A file begins with ``FSMT`` and its version in four digits, ``FSMT0001``. Blocks follow: four bytes with the length of
the compressed content, four with the CRC-32 of the content, and the content, compressed by zlib. The first block is
JSON:

- ``wall`` and ``capacity`` of the timeline;
- ``tracks``, each with ``name``, ``thread``, ``dropped``, ``kinds`` and ``handlers``; ``lifecycle``, as
  `Lifecycle.to_dict` returns it; ``sampling`` if iterations were left out; ``device``, the number of dropped records,
  if device times were recorded; ``rank`` if a process of several recorded the track; ``collectives`` and ``waits``,
  each with ``names`` and ``dropped``, if it has them;
- ``counters``, each with ``name`` and ``dropped``; ``rank``, a number, if there are several ranks.

Each track has two more blocks, its moves and its handler calls, as records of `track.MOVE` and `track.SPAN`. A third
block follows if it has ``device``, with records of `track.DEVICE`, and blocks with records of `track.SPAN` follow for
its ``collectives`` and its ``waits``. Then each counter has one block, with records of
`counters.VALUE`.

Loading a file evaluates no code, checks every value, and takes memory in proportion to the size of the file.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from struct import Struct
from typing import Any, TypeVar

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine.timeline.counters import VALUE, Counter
from fsm_engine.timeline.rank import ClockReading, Rank
from fsm_engine.timeline.ring import Ring
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.track import DEVICE, MOVE, SPAN, HandlerRef, MoveKind, NamedSpans, Sampling, Track

MAGIC, VERSION = b"FSMT", 1
_BLOCK_HEADER = Struct("<II")
_MAX_RATIO = 200
"""How many times larger than its compressed content a block may be. Blocks of recorded runs stay under 40."""

R = TypeVar("R", bound=Ring)


def save(timeline: Timeline, path: str | os.PathLike[str]) -> Path:
    """Write `timeline` to a file atomically."""
    header = {
        "wall": timeline.wall,
        "capacity": timeline.capacity,
        "tracks": [_describe(track) for track in timeline.tracks],
        "counters": [_describe_counter(name, counter) for name, counter in timeline.counters.items()],
    }
    rings = [ring for track in timeline.tracks for ring in _rings(track)] + list(timeline.counters.values())
    blocks = [json.dumps(header).encode(), *(ring.to_bytes() for ring in rings)]
    return write_atomically(path, MAGIC + b"%04d" % VERSION + b"".join(map(_pack, blocks)))


def _rings(track: Track) -> list[Ring]:
    """Return the rings of a track in the order of their blocks."""
    rings = [track.move_ring, track.span_ring]
    rings += [track.device_ring] if track.device_ring is not None else []
    return rings + [spans.ring for spans in (track.collectives, track.waits) if spans is not None]


def _describe(track: Track) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": track.name,
        "thread": track.thread,
        "dropped": track.dropped,
        "kinds": [asdict(kind) for kind in track.kinds],
        "handlers": [asdict(handler) for handler in track.handlers],
    }
    if track.lifecycle_data is not None:
        described["lifecycle"] = track.lifecycle_data
    if track.sampling is not None:
        described["sampling"] = {**asdict(track.sampling), "phases": sorted(track.sampling.phases)}
    if track.device_ring is not None:
        described["device"] = track.device_ring.dropped
    if track.rank is not None:
        described["rank"] = asdict(track.rank)
    for name, spans in (("collectives", track.collectives), ("waits", track.waits)):
        if spans is not None:
            described[name] = {"names": spans.names, "dropped": spans.ring.dropped}
    return described


def _describe_counter(name: str, counter: Counter) -> dict[str, Any]:
    described = {"name": name, "dropped": counter.dropped}
    return described if counter.rank is None else {**described, "rank": counter.rank}


def _pack(content: bytes) -> bytes:
    compressed = zlib.compress(content, 6)
    return _BLOCK_HEADER.pack(len(compressed), zlib.crc32(content)) + compressed


def load(path: str | os.PathLike[str]) -> Timeline:
    """Return the timeline in a file.

    Raises:
        ValueError: the file is not a timeline, is damaged, or has a newer version.
    """
    content, name = Path(path).read_bytes(), Path(path).name
    if content[:4] != MAGIC or not content[4:8].isdigit():
        raise ValueError(f"{name} is not a timeline: it does not begin with {MAGIC.decode()} and a version.")
    version = int(content[4:8])
    if version > VERSION:
        raise ValueError(f"{name} has version {version}, and this fsm_engine reads up to {VERSION}. Update fsm_engine.")
    try:
        return _read(content)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"{name} is damaged: {reason}.") from error


def _read(content: bytes) -> Timeline:
    blocks = _read_blocks(memoryview(content)[8:])
    if not blocks:
        raise ValueError("it ends after its version")
    header = json.loads(blocks[0])
    tracks, counters = header["tracks"], header["counters"]
    rings = [2 + sum(name in described for name in ("device", "collectives", "waits")) for described in tracks]
    if len(blocks) != 1 + sum(rings) + len(counters):
        raise ValueError(f"it has {len(blocks) - 1} blocks for {len(tracks)} tracks and {len(counters)} counters")
    timeline = Timeline(header["capacity"])
    timeline.wall = _integer(header["wall"])
    rest = iter(blocks[1:])
    for described, count in zip(tracks, rings):
        timeline.tracks.append(_track(described, *islice(rest, count)))
    for described, values in zip(counters, rest):
        counter = Counter(_record_count(VALUE, values))
        counter.rank = _integer(described["rank"]) if "rank" in described else None
        timeline.counters[_text(described["name"])] = _loaded(counter, values, described["dropped"])
    return timeline


def _read_blocks(content: memoryview) -> list[bytes]:
    blocks = []
    while content:
        header, content = content[: _BLOCK_HEADER.size], content[_BLOCK_HEADER.size :]
        size, checksum = _BLOCK_HEADER.unpack(header) if len(header) == _BLOCK_HEADER.size else (1, 0)
        if len(content) < size:
            raise ValueError("it ends in the middle of a block")
        blocks.append(_unpack(content[:size], checksum))
        content = content[size:]
    return blocks


def _unpack(compressed: memoryview, checksum: int) -> bytes:
    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(compressed, _MAX_RATIO * (len(compressed) + 1))
    except zlib.error as error:
        raise ValueError(f"a block cannot be decompressed, {error}") from None
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError(f"a block has another length, or is more than {_MAX_RATIO} times larger than its compression")
    if zlib.crc32(content) != checksum:
        raise ValueError("a block has a wrong checksum")
    return content


def _track(described: dict[str, Any], moves: bytes, spans: bytes, *more: bytes) -> Track:
    rest = iter(more)
    track = Track(_text(described["name"]), _text(described["thread"]), 1)
    track.kinds = [_kind(**kind) for kind in described["kinds"]]
    track.handlers = [HandlerRef(**dict(zip(ref, map(_text, ref.values())))) for ref in described["handlers"]]
    dropped_moves, dropped_spans = described["dropped"]
    track.move_ring = _ring(MOVE, moves, dropped_moves)
    track.span_ring = _ring(SPAN, spans, dropped_spans)
    if "device" in described:
        track.device_ring = _ring(DEVICE, next(rest), described["device"])
    if "lifecycle" in described:
        track.lifecycle_data = described["lifecycle"]
        if not isinstance(track.lifecycle_data, dict):
            raise ValueError(f"the lifecycle of a track is {track.lifecycle_data!r:.40}")
    if "sampling" in described:
        track.sampling = _sampling(**described["sampling"])
    if "rank" in described:
        track.rank = _rank(**described["rank"])
    if "collectives" in described:
        track.collectives = _named_spans(next(rest), **described["collectives"])
    if "waits" in described:
        track.waits = _named_spans(next(rest), **described["waits"])
    _check_indices(MOVE, moves, 1, len(track.kinds))
    _check_indices(SPAN, spans, 2, len(track.handlers))
    return track


def _kind(source_scopes: list[str], target_scopes: list[str], **rest: Any) -> MoveKind:
    source, target = (tuple(map(_text, names)) for names in (source_scopes, target_scopes))
    for name, value in rest.items():
        if not isinstance(value, bool if name in ("is_error", "starts_gap") else str):
            raise ValueError(f"{name} of a move is {value!r:.40}")
    return MoveKind(source_scopes=source, target_scopes=target, **rest)


def _sampling(phases: list[str], **numbers: int) -> Sampling:
    if any(_integer(value) < 0 for value in numbers.values()):
        raise ValueError(f"the numbers of iterations are {numbers}")
    return Sampling(phases=frozenset(map(_text, phases)), **numbers)


def _rank(number: int, world_size: int, readings: list[list[int]], **names: str) -> Rank:
    if not 0 <= _integer(number) < _integer(world_size):
        raise ValueError(f"a track is of rank {number} of {world_size}")
    clock = [ClockReading(*map(_integer, reading)) for reading in readings]
    return Rank(number, world_size, readings=clock, **dict(zip(names, map(_text, names.values()))))


def _named_spans(content: bytes, names: list[str], dropped: int) -> NamedSpans:
    spans = NamedSpans(1)
    spans.ring, spans.names = _ring(SPAN, content, dropped), list(map(_text, names))
    _check_indices(SPAN, content, 2, len(names))
    return spans


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.40} is not a string")
    return value


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise ValueError(f"{value!r:.40} is not an integer of 64 bits")
    return value


def _ring(record: Struct, content: bytes, dropped: Any) -> Ring:
    return _loaded(Ring(record, _record_count(record, content)), content, dropped)


def _record_count(record: Struct, content: bytes) -> int:
    count, rest = divmod(len(content), record.size)
    if rest:
        raise ValueError(f"a block of {len(content)} bytes ends inside a record of {record.size} bytes")
    return count or 1


def _loaded(ring: R, content: bytes, dropped: Any) -> R:
    if _integer(dropped) < 0:
        raise ValueError(f"the number of dropped records is {dropped}")
    ring.load_bytes(content)
    ring.dropped_before = dropped
    return ring


def _check_indices(record: Struct, content: bytes, field: int, count: int) -> None:
    """Raise ValueError if a field of a record is not an index into a list of `count` items."""
    if any(not 0 <= fields[field] < count for fields in record.iter_unpack(content)):
        raise ValueError(f"a record has an index outside a list of {count}")
