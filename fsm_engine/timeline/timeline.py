"""`Timeline`: the tracks of all engines that were recorded together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import perf_counter_ns, time_ns
from typing import TYPE_CHECKING, Any

from fsm_engine._util.extras import import_extra
from fsm_engine.timeline.arguments import check_positive_integer
from fsm_engine.timeline.counters import Counter
from fsm_engine.timeline.track import Track

if TYPE_CHECKING:
    from fsm_engine.lifecycle.coverage import Coverage
    from fsm_engine.lifecycle.lifecycle import Lifecycle
    from fsm_engine.timeline.comparison import Divergence
    from fsm_engine.timeline.summary import Summary
    from fsm_engine.timeline.verification import Violation

CAPACITY = 1_000_000
"""The default number of moves, and of handler calls, that a track keeps, at 24 bytes each."""


class Timeline:
    """A record of one or more engines: their moves and handler calls, with times.

    Times are nanoseconds of the monotonic clock, `time.perf_counter_ns`, on the host. If the host submits work to a
    device, they tell when it was submitted; record with ``device=True`` for the times of the device.

    Args:
        capacity: the number of moves, and of handler calls, that each track keeps. The oldest are dropped and counted.

    Attributes:
        tracks: one track per engine, in the order in which they were first recorded.
        counters: the values that `count` added, by name. Iterating over a counter yields times and values.
        wall: the offset from a time of this timeline to nanoseconds since 1970.

    Raises:
        ValueError: `capacity` is not a positive integer.

    Example:
        >>> trainer = Engine(lambda engine, batch: batch)
        >>> with trainer.record() as timeline:
        ...     _ = trainer.run([1, 2], max_epochs=2)
        >>> len(list(timeline.tracks[0].moves))
        24
        >>> print(timeline.verify(trainer.lifecycle))
        None
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        check_positive_integer("capacity", capacity, "the number of records that a track keeps")
        self.capacity = capacity
        self.tracks: list[Track] = []
        self.counters: dict[str, Counter] = {}
        self.wall = max(time_ns() - perf_counter_ns() for _ in range(9))  # a delay between the calls makes it smaller

    @property
    def dropped(self) -> tuple[int, int]:
        """The number of moves and of handler calls that were dropped because a track was full.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record(capacity=10) as timeline:
            ...     _ = trainer.run(range(100))
            >>> timeline.dropped
            (395, 0)
        """
        moves, spans = zip(*(track.dropped for track in self.tracks)) if self.tracks else ((), ())
        return sum(moves), sum(spans)

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return a dictionary for each move, handler call and value of a counter, ordered by time.

        Moves have the keys ``track, time, source, label, target, epoch, iteration``, handler calls ``track, time,
        duration, handler, event, place, raised``, values ``time, counter, value``. Times and durations are in
        nanoseconds. Moves have ``device`` if device times were recorded: how long the work submitted before the next
        move took on the device. They have ``starts_gap`` if iterations were left out: whether that happened after the
        move. All values are plain data.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> row = timeline.to_dicts()[0]
            >>> row["source"], row["target"]
            ('IDLE', 'Events.STARTED')
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
        device_times = track.device_times
        for index, move in enumerate(track.moves):
            kind = move.kind
            row = {"track": number, "time": move.time, "source": kind.source, "label": kind.label}
            row |= {"target": kind.target, "epoch": move.epoch, "iteration": move.iteration}
            if track.device_ring is not None:
                row["device"] = device_times.get(index)
            if track.sampling is not None:
                row["starts_gap"] = kind.starts_gap
            yield row
        for span in track.spans:
            handler = span.handler
            names = {"handler": handler.name, "event": handler.event, "place": handler.place}
            yield {"track": number, "time": span.start, "duration": span.duration, **names, "raised": span.raised}

    def to_pandas(self) -> Any:
        """Return the rows of `to_dicts` as a `pandas.DataFrame` with a column for each key.

        ``table.dropna(subset="label")`` are the moves, ``table.dropna(subset="counter")`` the values of counters.

        Raises:
            ModuleNotFoundError: pandas is not installed.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> int((timeline.to_pandas()["target"] == "Events.ITERATION_STARTED").sum())
            4
        """
        pandas = import_extra("pandas", None, "Timeline.to_pandas needs pandas")
        return pandas.DataFrame(self.to_dicts())

    def summary(self) -> Summary:
        """Return the time per phase, transition and handler. The `str` of the result has tables.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> summary = timeline.summary()
            >>> print(str(summary).startswith("training: "))
            True
        """
        from fsm_engine.timeline.summary import summarize

        return summarize(self)

    def verify(self, lifecycle: Lifecycle, track: int = 0) -> Violation | None:
        """Check that `lifecycle` allows every move of a track, with a machine of the `transitions` library.

        The machine is independent of the engine. It knows the transitions, but not their guards. After iterations that
        were left out, the check continues in the phase of the next move.

        Returns:
            None if all moves are legal, else the first illegal move; its `str` lists the legal ones.

        Raises:
            ImportError: the `transitions` library is not installed.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> print(timeline.verify(trainer.lifecycle))
            None
            >>> timeline.verify(Lifecycle("other")) is None
            False
        """
        from fsm_engine.timeline.verification import find_violation

        return find_violation(self.tracks[track], lifecycle)

    def coverage(self, lifecycle: Lifecycle, track: int = 0) -> Coverage:
        """Return the phases and transitions of `lifecycle` that the kept moves of a track cover.

        Raises:
            ValueError: the track has a move that `lifecycle` does not have.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> timeline.coverage(trainer.lifecycle).is_complete
            False
        """
        from fsm_engine.timeline.comparison import coverage_of

        return coverage_of(self.tracks[track], lifecycle)

    def diff(self, other: Timeline, track: int = 0) -> Divergence | None:
        """Return the first step in which a track differs from the same track of `other`. Times are not compared.

        Returns:
            None if the moves and their counters are equal, else the step and both moves.

        Raises:
            ValueError: a track has dropped its first moves, or the tracks record different iterations.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> with trainer.record() as longer:
            ...     _ = trainer.run([1, 2], max_epochs=3)
            >>> print(timeline.diff(timeline), timeline.diff(longer) is None)
            None False
        """
        from fsm_engine.timeline.comparison import find_divergence

        return find_divergence(self.tracks[track], other.tracks[track])

    def count(self, name: str, value: float) -> None:
        """Add a value to a counter at the present time: ``timeline.count("loss", engine.state.output)``.

        Exports show the values of a counter as a curve. A counter keeps `capacity` values, at 16 bytes each. Any thread
        may call this method.

        Raises:
            TypeError: `value` is not a real number. For a tensor, pass ``tensor.item()``, which waits for its device.

        Example:
            >>> trainer = Engine(lambda engine, batch: timeline.count("loss", batch))
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([0.5, 0.25])
            >>> [value for time, value in timeline.counters["loss"]]
            [0.5, 0.25]
        """
        counter = self.counters.get(name) or self.counters.setdefault(name, Counter(self.capacity))
        counter.add_value(name, value)

    def to_chrome(self, rank: int | None = None) -> dict[str, Any]:
        """Return the timeline in Chrome's trace event format, for `json.dump`. Perfetto and chrome://tracing show it.

        Args:
            rank: the number of the process in the trace; by default, the recorded rank, or 0.

        Raises:
            ValueError: `rank` is given for a timeline of several ranks.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> sorted(timeline.to_chrome())
            ['baseTimeNanoseconds', 'displayTimeUnit', 'traceEvents']
        """
        from fsm_engine.timeline.chrome import to_chrome

        return to_chrome(self, rank)

    def export(self, path: str | os.PathLike[str], format: str | None = None, rank: int | None = None) -> Path:  # noqa: A002
        """Write the timeline to a file for a trace viewer, atomically, and return its path.

        Each scope has a lane, and so have phases and handlers. An arrow leads from a handler or a phase to the run of
        another engine that it started. Counters are curves. The file is written piece by piece, which takes little
        memory. The viewer may need more: Perfetto needs several gigabytes for a file of one gigabyte.

        Args:
            path: ``.json`` or ``.json.gz`` for Chrome's trace event format; ``.pftrace`` or ``.perfetto`` for
                Perfetto's format, in which concatenated files of several ranks are one trace.
            format: ``"json"``, ``"json.gz"`` or ``"perfetto"``; by default, the suffix of `path` decides.
            rank: the number of the process in the trace; by default, the recorded rank, or 0. A merged timeline has a
                process for each rank.

        Raises:
            ValueError: the format or the suffix is unknown, or `rank` is given for a timeline of several ranks.
            ModuleNotFoundError: the package for Perfetto's format is not installed:
                ``pip install "fsm-engine[perfetto]"``.
            OSError: the file cannot be written.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> timeline.export(folder / "trace.json.gz").name
            'trace.json.gz'
        """
        from fsm_engine.timeline.export import export

        return export(self, path, format, rank)

    @classmethod
    def merge(cls, recordings: Iterable[Timeline | str | os.PathLike[str]]) -> Timeline:
        """Return one timeline of several ranks, whose times are on the clock of rank 0.

        An example::

            Timeline.merge(sorted(Path().glob("rank*.fsmt"))).draw("run.html")

        A recording inside `fsm_engine.distributed.session` has its rank, and measurements of its clock against the
        clock of rank 0; see `timeline.rank`. Other recordings get the number of their argument as their rank, and are
        aligned by the wall clock. Ranks may be missing, and the recording of a rank may end early. `rank_notes` has
        sentences about both, which pictures and pages show.

        Args:
            recordings: a timeline, or the file of one, for each rank.

        Raises:
            ValueError: two recordings have the same rank, or are of different runs; a recording has no tracks or was
                merged before; there is none.
            OSError: a file cannot be read.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with session() as ranks, trainer.record() as timeline:
            ...     _ = trainer.run([1, 2])
            >>> path = timeline.save(folder / f"rank{ranks.rank}.fsmt")
            >>> merged = Timeline.merge([path])
            >>> [track.rank.number for track in merged.tracks]
            [0]
        """
        from fsm_engine.timeline.merging import merge

        return merge(recordings)

    @property
    def rank_notes(self) -> list[str]:
        """Sentences about the ranks of a merged timeline: which are missing, and how their clocks are aligned."""
        from fsm_engine.timeline.merging import rank_notes

        return rank_notes(self)

    def merge_torch_trace(self, trace: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
        """Write a trace of `torch.profiler` together with the events of this timeline.

        The timeline becomes a process of its own. Events that overlap the time of the trace are included in full.

        Args:
            trace: a file written by ``profiler.export_chrome_trace``, ``.json`` or ``.json.gz``.
            out: the file to write, atomically; ``.json`` or ``.json.gz``. It may be the same file.

        Returns:
            The path of the written file.

        Raises:
            ValueError: `trace` is not a trace of `torch.profiler`, or does not overlap this timeline.
            OSError: a file cannot be read or written.

        Example:
            >>> trainer = Engine(lambda engine, batch: torch.ones(2).sum())
            >>> with torch.profiler.profile() as profile, trainer.record() as timeline:
            ...     _ = trainer.run([1, 2])
            >>> profile.export_chrome_trace(str(folder / "torch.json"))
            >>> timeline.merge_torch_trace(folder / "torch.json", folder / "both.json.gz").name
            'both.json.gz'
        """
        from fsm_engine.timeline.torch_trace import merge_torch_trace

        return merge_torch_trace(self, trace, out)

    def draw(
        self,
        path: str | os.PathLike[str],
        format: str | None = None,  # noqa: A002  # the word that matplotlib and Graphviz use
        *,
        title: str | None = None,
        theme: str = "auto",
    ) -> Path:
        """Draw the timeline to a file, atomically, and return its path.

        Scopes, waits for data, the step and handler calls have a lane each. The lanes of an engine that ran inside a
        handler are below. The time axis is broken where a run repeats itself; the break says how much is left out. The
        first call of each handler is always shown.

        Args:
            path: its suffix is the format: .svg, .png, .pdf, or .html for a page with the whole record, zoom, search,
                the summary, and a diagram of the phases that the run visited.
            format: the format without the dot; by default, the suffix of `path` decides.
            title: a title above the picture.
            theme: ``"light"``, ``"dark"`` or ``"print"``. ``"auto"`` is light or dark as the reader's page; only .svg
                and .html can follow the page, other formats are light.

        Raises:
            ValueError: an unknown suffix, format or theme; a timeline without a run.
            ImportError: .png and .pdf need Typst; the message has the command that installs it.
            OSError: the file cannot be written.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> timeline.draw(folder / "timeline.svg", title="Training").name
            'timeline.svg'
        """
        from fsm_engine.render.timeline import draw_timeline

        return draw_timeline(self, path, format, title=title, theme=theme)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the timeline to a file atomically, and return its path. See `timeline.files` for the format.

        Raises:
            OSError: the file cannot be written.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> timeline.save(folder / "run.fsmt").name
            'run.fsmt'
        """
        from fsm_engine.timeline.files import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Timeline:
        """Return the timeline that `save` wrote. Loading evaluates no code.

        Raises:
            ValueError: the file is not a timeline, is damaged, or has a newer version.
            OSError: the file cannot be read.

        Example:
            >>> trainer = Engine(lambda engine, batch: batch)
            >>> with trainer.record() as timeline:
            ...     _ = trainer.run([1, 2], max_epochs=2)
            >>> path = timeline.save(folder / "run.fsmt")
            >>> print(Timeline.load(path).diff(timeline))
            None
        """
        from fsm_engine.timeline.files import load

        return load(path)

    def __repr__(self) -> str:
        if not self.tracks:
            return "<Timeline: nothing was recorded>"
        names = ", ".join(dict.fromkeys(track.name for track in self.tracks))
        moves, spans = (sum(map(len, rings)) for rings in zip(*((t.move_ring, t.span_ring) for t in self.tracks)))
        tracks = "1 track" if len(self.tracks) == 1 else f"{len(self.tracks)} tracks"
        dropped = sum(self.dropped)
        more = f", {dropped:,} older ones dropped" if dropped else ""
        return f"<Timeline of {names}: {tracks}, {moves:,} moves, {spans:,} handler calls{more}>"

    def _repr_mimebundle_(self, **_wanted: object) -> dict[str, str]:
        """Return the output for a notebook: the picture, and the longest phases and handlers."""
        from fsm_engine._util.html import mimebundle
        from fsm_engine.render.timeline.notebook import timeline_html

        return mimebundle(self.__repr__, lambda: timeline_html(self.tracks))
