"""A timeline in Perfetto's own format, which groups lanes by engine and is smaller than JSON.

Source: the schema in the `perfetto` package. Times are nanoseconds since 1970, and all identifiers contain the rank, so
concatenated files of several ranks are one trace.
"""

from __future__ import annotations

from math import isfinite
from typing import IO, Any

from fsm_engine._util.extras import import_extra
from fsm_engine.timeline.processes import processes_of
from fsm_engine.timeline.slices import Flows, Lane, Slice, SliceType, slices
from fsm_engine.timeline.timeline import Timeline

_PACKETS_PER_WRITE = 10_000
_BOOTTIME, _REALTIME = 6, 1


def write(timeline: Timeline, file: IO[bytes], rank: int | None) -> None:
    """Write `timeline` to `file`.

    Raises:
        ValueError: `rank` is given for a timeline of several ranks.
        ModuleNotFoundError: the package `perfetto` is not installed.
    """
    needs = "Perfetto's format needs perfetto, .json needs no other package"
    schema = import_extra("perfetto.protos.perfetto.trace.perfetto_trace_pb2", "perfetto", needs)
    for process in processes_of(timeline, rank):
        _Writer(process.timeline, file, process.number, process.name, schema).write()


class _Writer:
    """Writes packets in blocks. A packet that repeats is created once and copied with another time."""

    def __init__(self, timeline: Timeline, file: IO[bytes], rank: int, name: str, schema: Any) -> None:
        self._timeline, self._file, self._rank, self._name, self._schema = timeline, file, rank, name, schema
        self._trace = schema.Trace()
        self._numbers: dict[Any, int] = {}
        self._begins: dict[tuple[int, SliceType], Any] = {}
        self._open: dict[int, tuple[Any, list[int]]] = {}  # by lane: the packet that ends a slice, and open ends
        self._flows: dict[tuple[int, int], list[int]] = {}
        self._terminating: dict[tuple[int, int], int] = {}

    def write(self) -> None:
        """Write the timeline."""
        self._write_clocks()
        flows = Flows(self._timeline)
        if flows.is_needed:
            for slice_ in slices(self._timeline):
                flows.add(slice_)
        for number, flow in enumerate(flows.found()):
            id_ = self._rank << 32 | number + 1
            self._flows.setdefault(_key(flow.source), []).append(id_)
            self._terminating[_key(flow.target)] = id_
        for slice_ in slices(self._timeline):
            self._write_slice(slice_)
        for end, ends in self._open.values():
            self._write_ends(end, ends, None)
        for name in self._timeline.counters:
            self._write_counter(name)
        self._flush()

    def _write_clocks(self) -> None:
        """Set both clocks to the same time, start the numbering of names, and name the rank."""
        first = self._packet()
        for clock in (_BOOTTIME, _REALTIME):
            first.clock_snapshot.clocks.add(clock_id=clock, timestamp=self._timeline.wall)
        first.sequence_flags = self._schema.TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        first.timestamp = self._timeline.wall
        self._add(first)
        self._write_track("rank", None, self._name, self._rank)

    def _write_slice(self, slice_: Slice) -> None:
        lane, type_, start, stop, counters, device = slice_
        known = self._open.get(lane.number)
        if known is None:
            known = self._open[lane.number] = self._write_lane(lane), []
        end, ends = known
        self._write_ends(end, ends, start)
        ends.append(stop)
        begin = self._begins.get((lane.number, type_))
        if begin is None:
            begin = self._begins[lane.number, type_] = self._begin(lane, type_, counters is not None)
        begin.timestamp = start + self._timeline.wall
        event = begin.track_event
        if counters is not None:
            event.debug_annotations[0].int_value, event.debug_annotations[1].int_value = counters
        if device is None:
            self._add(begin)
        else:
            number = self._intern("debug_annotation_names", "device us")
            self._add(begin)
            self._trace.packet[-1].track_event.debug_annotations.add(name_iid=number, double_value=device / 1000)
        if self._flows:
            self._add_flows(self._trace.packet[-1].track_event, _key(slice_))
        if len(self._trace.packet) >= _PACKETS_PER_WRITE:
            self._flush()

    def _write_ends(self, end: Any, ends: list[int], start: int | None) -> None:
        """End the open slices of a lane that end before `start`; all of them for None."""
        while ends and (start is None or ends[-1] <= start):
            end.timestamp = ends.pop() + self._timeline.wall
            self._add(end)

    def _add_flows(self, event: Any, key: tuple[int, int]) -> None:
        event.flow_ids.extend(self._flows.get(key, ()))
        if key in self._terminating:
            event.terminating_flow_ids.append(self._terminating[key])

    def _write_lane(self, lane: Lane) -> Any:
        """Describe a lane, in the group of its track, and return the packet that ends a slice in it."""
        group = ("track", lane.track)
        if group not in self._numbers:
            self._write_track(group, "rank", f"{self._timeline.tracks[lane.track].name} {lane.track}", lane.track)
        packet = self._packet()
        packet.track_event.track_uuid = self._write_track(lane, group, lane.name, lane.number)
        packet.track_event.type = self._schema.TrackEvent.TYPE_SLICE_END
        return packet

    def _begin(self, lane: Lane, type_: SliceType, has_counters: bool) -> Any:
        """Return a packet that begins a slice, without its time and counters."""
        packet = self._packet()
        event = packet.track_event
        event.type = self._schema.TrackEvent.TYPE_SLICE_BEGIN
        event.track_uuid = self._uuid(lane)
        event.name_iid = self._intern("event_names", type_.name)
        event.category_iids.append(self._intern("event_categories", type_.category))
        for name in ("epoch", "iteration") if has_counters else ():
            event.debug_annotations.add(name_iid=self._intern("debug_annotation_names", name))
        for name, value in type_.args:
            field = "bool_value" if isinstance(value, bool) else "string_value"
            number = self._intern("debug_annotation_names", name)
            event.debug_annotations.add(name_iid=number, **{field: value})
        return packet

    def _intern(self, table: str, name: str) -> int:
        """Return the number of a name, and write the name the first time."""
        number = self._numbers.get((table, name))
        if number is None:
            number = self._numbers[table, name] = len(self._numbers) + 1
            packet = self._packet()
            getattr(packet.interned_data, table).add(iid=number, name=name)
            self._add(packet)
        return number

    def _write_counter(self, name: str) -> None:
        """Write the values of a counter. A value that is not finite becomes an instant event with a name."""
        value, instant, wall = self._packet(), self._packet(), self._timeline.wall
        value.track_event.type = self._schema.TrackEvent.TYPE_COUNTER
        value.track_event.track_uuid = self._write_track(("counter", name), "rank", name, -1, is_counter=True)
        instant.track_event.type = self._schema.TrackEvent.TYPE_INSTANT
        instant.track_event.track_uuid = self._uuid("rank")
        for time, number in self._timeline.counters[name]:
            packet = value if isfinite(number) else instant
            packet.timestamp = time + wall
            if isfinite(number):
                value.track_event.double_counter_value = number
            else:
                instant.track_event.name = f"{name} is {number}"
            self._add(packet)

    def _write_track(self, key: Any, parent: Any, name: str, position: int, is_counter: bool = False) -> int:
        """Describe a track in Perfetto's sense, and return its identifier."""
        packet = self._packet()
        track = packet.track_descriptor
        track.uuid, track.name, track.sibling_order_rank = self._uuid(key), name, position
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
        self._trace = self._schema.Trace()  # a new one, because clearing it would not free its memory


def _key(slice_: Slice) -> tuple[int, int]:
    return slice_.lane.number, slice_.start
