"""`Timeline`: the tracks of all engines that were recorded together, and what can be asked of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from fsm_engine.timeline.arguments import check_positive_integer
from fsm_engine.timeline.counters import Counter
from fsm_engine.timeline.track import Track

if TYPE_CHECKING:
    from fsm_engine.lifecycle.coverage import Coverage
    from fsm_engine.lifecycle.lifecycle import Lifecycle
    from fsm_engine.timeline.comparing import Parting
    from fsm_engine.timeline.replay import Misstep
    from fsm_engine.timeline.summary import Summary

CAPACITY = 1_000_000
"""The default number of moves, and of handler calls, that a track keeps, at 24 bytes each."""


class Timeline:
    """What engines did, and when: a track for each, with its moves and the calls of its handlers.

    Times are nanoseconds of the monotonic clock, `time.perf_counter_ns`, on the host: where work is done on another
    device, they tell when it was handed over. How long that took is known beside if it was recorded with
    ``device=True``.

    Args:
        capacity: the number of moves, and of handler calls, that each track keeps. Older ones are dropped and counted.

    Attributes:
        tracks: one per engine, in the order in which they were first recorded.
        counters: the values that `count` was given, by name: each gives times and values when it is iterated over.
        wall: what to add to a time to get nanoseconds since 1970.

    Raises:
        ValueError: `capacity` is not a positive integer.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        check_positive_integer("capacity", capacity, "the number of records that a track keeps")
        self.capacity = capacity
        self.tracks: list[Track] = []
        self.counters: dict[str, Counter] = {}
        self.wall = max(time_ns() - perf_counter_ns() for _ in range(9))  # what comes between the two makes it less

    @property
    def dropped(self) -> tuple[int, int]:
        """How many moves and calls of handlers were forgotten, because there was no more room."""
        moves, spans = zip(*(track.dropped for track in self.tracks)) if self.tracks else ((), ())
        return sum(moves), sum(spans)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary per move, call of a handler and value of a counter, in the order of their times.

        Moves have the keys ``track, time, source, label, target, epoch, iteration``, calls ``track, time, duration,
        handler, event, place, raised``, values ``time, counter, value``. Times and durations are in nanoseconds. Moves
        have ``device`` if that was recorded: how long a device took for what was done until the next move; and
        ``is_cut`` if iterations were left out: whether some were behind it. All of it is plain data.
        """
        rows = [row for number in range(len(self.tracks)) for row in self._rows(number)]
        rows += [
            {"time": time, "counter": name, "value": value}
            for name, counter in self.counters.items()
            for time, value in counter
        ]
        return sorted(rows, key=lambda row: row["time"])

    def _rows(self, number: int) -> Iterator[dict[str, Any]]:
        track = self.tracks[number]
        device = track.device_times
        for place, move in enumerate(track.moves):
            kind = move.kind
            row = {"track": number, "time": move.time, "source": kind.source, "label": kind.label}
            row |= {"target": kind.target, "epoch": move.epoch, "iteration": move.iteration}
            if track.device_ring is not None:
                row["device"] = device.get(place)
            if track.sampling is not None:
                row["is_cut"] = kind.is_cut
            yield row
        for span in track.spans:
            handler = span.handler
            names = {"handler": handler.name, "event": handler.event, "place": handler.place}
            yield {"track": number, "time": span.start, "duration": span.duration, **names, "raised": span.raised}

    def to_pandas(self) -> Any:
        """Return the rows of `to_dicts` as a `pandas.DataFrame`, with a column for each key.

        ``table.dropna(subset="label")`` are the moves, ``table.dropna(subset="counter")`` the values of counters.

        Raises:
            ImportError: if pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError:
            raise ImportError("A timeline as a table needs pandas. Install it with pip install pandas.") from None
        return pandas.DataFrame(self.to_dicts())

    def summary(self) -> Summary:
        """Return what the time was spent on, per phase, transition and handler; made to be printed."""
        from fsm_engine.timeline.summary import summarized

        return summarized(self)

    def verify(self, lifecycle: Lifecycle, track: int = 0) -> Misstep | None:
        """Replay a track as a word over labels in a machine of the `transitions` library, which knows no guards.

        Returns:
            None if every move is one that `lifecycle` has, where the run was; else the first that is not. What comes
            after iterations that were left out is taken from where it begins.

        Raises:
            ImportError: if that library is not installed.
        """
        from fsm_engine.timeline.replay import replayed

        return replayed(self.tracks[track], lifecycle)

    def coverage(self, lifecycle: Lifecycle, track: int = 0) -> Coverage:
        """Return which phases and transitions of `lifecycle` a track has covered, as far as it is kept; print it.

        Raises:
            ValueError: for a move that `lifecycle` does not have.
        """
        from fsm_engine.timeline.comparing import covered

        return covered(self.tracks[track], lifecycle)

    def diff(self, other: Timeline, track: int = 0) -> Parting | None:
        """Return the first step in which a track goes another way, or has other counters, than that of `other`.

        Returns:
            None if they are the same, whatever their times; else the step, and what each did; print it.

        Raises:
            ValueError: if one has lost its beginning, for lack of room, or leaves out other iterations.
        """
        from fsm_engine.timeline.comparing import parting

        return parting(self.tracks[track], other.tracks[track])

    def count(self, name: str, value: float) -> None:
        """Keep a number beside the run, with the present time: ``timeline.count("loss", engine.state.output)``.

        The exports show those of one name as a curve. As many are kept as there is room for moves, at 16 bytes each.
        Any thread may call this.

        Raises:
            TypeError: something that is no number. A tensor is none: give ``tensor.item()``, which waits for its
                device.
        """
        counter = self.counters.get(name) or self.counters.setdefault(name, Counter(self.capacity))
        counter.add(name, value)

    def to_chrome(self, rank: int = 0) -> dict[str, Any]:
        """Return the timeline in Chrome's trace event format, for `json.dump`; Perfetto and chrome://tracing show it.

        `rank` is the number of the process in it.
        """
        from fsm_engine.timeline.chrome import to_chrome

        return to_chrome(self, rank)

    def export(self, path: str | os.PathLike[str], format: str | None = None, rank: int = 0) -> Path:  # noqa: A002
        """Write the timeline for another program to show, whole or not at all, and return its path.

        Scopes, phases and handlers have a lane each; an arrow leads from a handler, or a phase, to the run of another
        engine that it began; what `count` was given is a curve. It is written piece by piece: a timeline of any size
        takes little memory. Programs that show it may need more than that, Perfetto some gigabytes for a file of one.

        Args:
            path: ``.json`` or ``.json.gz`` for Chrome's trace event format, ``.pftrace`` or ``.perfetto`` for that of
                Perfetto, whose files may be joined, one behind the other, into one of several ranks.
            format: ``"json"``, ``"json.gz"`` or ``"perfetto"``, whatever the path ends in.
            rank: the number of the process in it.

        Raises:
            ValueError: a format that is not known.
            ImportError: for Perfetto's, if its package is not installed: ``pip install fsm-engine[perfetto]``.
            OSError: it cannot be written.
        """
        from fsm_engine.timeline.export import export

        return export(self, path, format, rank)

    def merge_torch_trace(self, trace: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
        """Put the timeline into what `torch.profiler` exported, at the right time, and write both to `out`.

        It becomes a process of its own beside those of the trace; of the timeline, what overlaps the profiler's window
        is put in, with the times it really had: a phase that the window cuts is whole.

        Args:
            trace: a file written by ``profiler.export_chrome_trace``, ``.json`` or ``.json.gz``; it is left as it is,
                unless `out` is the same.
            out: what is written, whole or not at all; ``.json`` or ``.json.gz``.

        Returns:
            The path of what is written.

        Raises:
            ValueError: `trace` is no trace of `torch.profiler`, or was taken at another time than this timeline.
            OSError: a file cannot be read or written.
        """
        from fsm_engine.timeline.merging import merged

        return merged(self, trace, out)

    def draw(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  # the word that matplotlib and Graphviz use
        *,
        title: str | None = None,
        theme: str = "auto",
    ) -> Path:
        """Draw the timeline to a file, and return its path. A file that is there is replaced whole or not at all.

        Scopes, the wait for data, the step and the calls of handlers have a lane each; an engine that ran inside a
        handler has its lanes below. What a long run repeats is left out in the middle, with its number; the time axis
        is broken there. What happens only now and then is shown the first time.

        Args:
            path: its suffix tells the format: .svg, .png, .pdf, or .html: a page with everything that was recorded, to
                zoom into and to search, with the summary and the part of the lifecycle that was run through.
            format: that without the dot, whatever the suffix is.
            title: written above the picture.
            theme: ``"auto"``, without a background, for light and dark pages; ``"light"``, ``"dark"``, ``"print"``.

        Raises:
            ValueError: an unknown suffix, format or theme, or a timeline in which nothing happened.
            ImportError: .png and .pdf need Typst; the message has the command that installs it.
            OSError: the file cannot be written.
        """
        from fsm_engine.render.timeline import draw_timeline

        return draw_timeline(self, path, format, title=title, theme=theme)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the timeline to a file, whole or not at all, and return its path. See `timeline.files` for the format.

        Raises:
            OSError: it cannot be written.
        """
        from fsm_engine.timeline.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Timeline:
        """Return the timeline that `save` wrote. Nothing in the file is evaluated.

        Raises:
            ValueError: a file that is none, is damaged, or of a newer version.
            OSError: it cannot be read.
        """
        from fsm_engine.timeline.files import load

        return load(path)

    def __repr__(self) -> str:
        return f"<Timeline of {', '.join(map(repr, self.tracks)) or 'nothing'}>"
