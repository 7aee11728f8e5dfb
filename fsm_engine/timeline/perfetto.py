"""A timeline in Perfetto's own format, which groups lanes by engine, and takes less room than JSON.

Source: the schema in the `perfetto` package. Times are nanoseconds since 1970, and all that tells ranks apart is
numbered by rank: so the files of several ranks, one behind the other, are a trace of all.
"""

from __future__ import annotations

from math import isfinite
from typing import IO, TYPE_CHECKING, Any

from fsm_engine.timeline.lanes import Lane, Slice, What, flows, slices

if TYPE_CHECKING:
    from fsm_engine.timeline.timeline import Timeline

_PACKETS = 10_000
_BOOTTIME, _REALTIME = 6, 1


def write(timeline: Timeline, file: IO[bytes], rank: int) -> None:
    """Write `timeline` to `file`.

    Raises:
        ImportError: if the package is not installed.
    """
    try:
        from perfetto.protos.perfetto.trace import perfetto_trace_pb2 as schema  # type: ignore[import-untyped]
    except ImportError:
        raise ImportError(
            "Perfetto's format needs its package. Install it with pip install fsm-engine[perfetto], or export to .json."
        ) from None
    _Writer(timeline, file, rank, schema).write()


class _Writer:
    """Writes packets, many at a time. Those that repeat are made once, and copied with another time."""

    def __init__(self, timeline: Timeline, file: IO[bytes], rank: int, schema: Any) -> None:
        self._timeline, self._file, self._rank, self._schema = timeline, file, rank, schema
        self._trace = schema.Trace()
        self._numbers: dict[Any, int] = {}
        self._begins: dict[tuple[int, What], Any] = {}
        self._open: dict[int, tuple[Any, list[int]]] = {}  # per lane: what ends a slice, and when slices will end
        self._flows: dict[tuple[int, int], list[int]] = {}
        self._landings: dict[tuple[int, int], int] = {}

    def write(self) -> None:
        """Write everything, each lane in the order of its times: slices before those inside them."""
        self._start()
        for number, flow in enumerate(flows(self._timeline)):
            id_ = self._rank << 32 | number + 1
            self._flows.setdefault(_key(flow.source), []).append(id_)
            self._landings[_key(flow.target)] = id_
        for slice_ in slices(self._timeline):
            self._slice(slice_)
        for end, ends in self._open.values():
            self._end(end, ends, None)
        for name in self._timeline.counters:
            self._counter(name)
        self._flush()

    def _start(self) -> None:
        """Say that both clocks are the same, that what is numbered begins here, and which rank this is."""
        first = self._packet()
        for clock in (_BOOTTIME, _REALTIME):
            first.clock_snapshot.clocks.add(clock_id=clock, timestamp=self._timeline.wall)
        first.sequence_flags = self._schema.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        first.timestamp = self._timeline.wall
        self._add(first)
        self._track("rank", None, f"rank {self._rank}", self._rank)

    def _slice(self, slice_: Slice) -> None:
        lane, what, start, stop, counters, device = slice_
        known = self._open.get(lane.number)
        if known is None:
            known = self._open[lane.number] = self._lane(lane), []
        end, ends = known
        self._end(end, ends, start)
        ends.append(stop)
        begin = self._begins.get((lane.number, what))
        if begin is None:
            begin = self._begins[lane.number, what] = self._begin(lane, what, counters is not None)
        begin.timestamp = start + self._timeline.wall
        event = begin.track_event
        if counters is not None:
            event.debug_annotations[0].int_value, event.debug_annotations[1].int_value = counters
        if device is None:
            self._add(begin)
        else:
            number = self._interned("debug_annotation_names", "device us")
            self._add(begin)
            self._trace.packet[-1].track_event.debug_annotations.add(name_iid=number, double_value=device / 1000)
        if self._flows:
            self._arrows(self._trace.packet[-1].track_event, _key(slice_))
        if len(self._trace.packet) >= _PACKETS:
            self._flush()

    def _end(self, end: Any, ends: list[int], start: int | None) -> None:
        """End the slices of a lane that end before one that starts; all of them if none does."""
        while ends and (start is None or ends[-1] <= start):
            end.timestamp = ends.pop() + self._timeline.wall
            self._add(end)

    def _arrows(self, event: Any, key: tuple[int, int]) -> None:
        event.flow_ids.extend(self._flows.get(key, ()))
        if key in self._landings:
            event.terminating_flow_ids.append(self._landings[key])

    def _lane(self, lane: Lane) -> Any:
        """Describe a lane, in the group of its track, and return what ends a slice in it."""
        group = ("track", lane.track)
        if group not in self._numbers:
            self._track(group, "rank", f"{self._timeline.tracks[lane.track].name} {lane.track}", lane.track)
        packet = self._packet()
        packet.track_event.track_uuid = self._track(lane, group, lane.name, lane.number)
        packet.track_event.type = self._schema.TrackEvent.TYPE_SLICE_END
        return packet

    def _begin(self, lane: Lane, what: What, counts: bool) -> Any:
        """Return a packet that begins a slice, but for its time and counters."""
        packet = self._packet()
        event = packet.track_event
        event.type = self._schema.TrackEvent.TYPE_SLICE_BEGIN
        event.track_uuid = self._uuid(lane)
        event.name_iid = self._interned("event_names", what.name)
        event.category_iids.append(self._interned("event_categories", what.category))
        for name in ("epoch", "iteration") if counts else ():
            event.debug_annotations.add(name_iid=self._interned("debug_annotation_names", name))
        for name, value in what.args:
            field = "bool_value" if isinstance(value, bool) else "string_value"
            number = self._interned("debug_annotation_names", name)
            event.debug_annotations.add(name_iid=number, **{field: value})
        return packet

    def _interned(self, table: str, name: str) -> int:
        """Return the number of a name, which is written when it is first needed."""
        number = self._numbers.get((table, name))
        if number is None:
            number = self._numbers[table, name] = len(self._numbers) + 1
            packet = self._packet()
            getattr(packet.interned_data, table).add(iid=number, name=name)
            self._add(packet)
        return number

    def _counter(self, name: str) -> None:
        """Write the values of a counter; one that is no finite number is a mark that says so."""
        value, mark, wall = self._packet(), self._packet(), self._timeline.wall
        value.track_event.type = self._schema.TrackEvent.TYPE_COUNTER
        value.track_event.track_uuid = self._track(("counter", name), "rank", name, -1, is_counter=True)
        mark.track_event.type = self._schema.TrackEvent.TYPE_INSTANT
        mark.track_event.track_uuid = self._uuid("rank")
        for time, number in self._timeline.counters[name]:
            packet = value if isfinite(number) else mark
            packet.timestamp = time + wall
            if isfinite(number):
                value.track_event.double_counter_value = number
            else:
                mark.track_event.name = f"{name} is {number}"
            self._add(packet)

    def _track(self, key: Any, parent: Any, name: str, place: int, is_counter: bool = False) -> int:
        """Describe what Perfetto calls a track, and return its number."""
        packet = self._packet()
        track = packet.track_descriptor
        track.uuid, track.name, track.sibling_order_rank = self._uuid(key), name, place
        track.child_ordering = self._schema.TrackDescriptor.EXPLICIT
        if parent is not None:
            track.parent_uuid = self._uuid(parent)
        if is_counter:
            track.counter.SetInParent()
        self._add(packet)
        return self._uuid(key)

    def _uuid(self, key: Any) -> int:
        return (self._rank + 1) << 32 | self._numbers.setdefault(key, len(self._numbers) + 1)

    def _packet(self) -> Any:
        return self._schema.TracePacket(
            trusted_packet_sequence_id=self._rank + 1,
            sequence_flags=self._schema.TracePacket.SEQ_NEEDS_INCREMENTAL_STATE,
        )

    def _add(self, packet: Any) -> None:
        self._trace.packet.append(packet)

    def _flush(self) -> None:
        self._file.write(self._trace.SerializeToString())
        self._trace = self._schema.Trace()  # a new one: to clear it would not give its memory back


def _key(slice_: Slice) -> tuple[int, int]:
    return slice_.lane.number, slice_.start
