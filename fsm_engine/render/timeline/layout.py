"""The layout of a timeline picture: the lanes of the engines below each other, time from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from fsm_engine.render.labels import one_line
from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.text_metrics import LABEL_SIZE, LINE_HEIGHT, NOTE_SIZE, TITLE_SIZE, Text, text_width
from fsm_engine.render.timeline.axis_fitting import break_text, fit_axis
from fsm_engine.render.timeline.elision import Gap
from fsm_engine.render.timeline.engine_records import EngineRecord, engine_records
from fsm_engine.render.timeline.flags import arrange_flags
from fsm_engine.render.timeline.lanes import CATEGORIES, NAME_WIDTH, SMALL, Item, Lane, engine_lanes
from fsm_engine.render.timeline.pauses import shown_visits
from fsm_engine.render.timeline.picture import Bar, Break, EventLine, LegendEntry, Row, Tick, TimelinePicture
from fsm_engine.render.timeline.time_axis import axis_ticks
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.units import format_duration

WIDTH, LEFT, RIGHT, MARGIN = 830.0, 100.0, 812.0, 10.0
BAR_HEIGHT, LANE_GAP, ENGINE_GAP = 18.0, 6.0, 14.0
FLAG_HEIGHT = 9.5 * LINE_HEIGHT + 2
LETTER_HEIGHT, LETTER_WIDTH = 12.0, 12.0  # the height of a letter below a bar; the least width of a bar with one inside
AXIS_HEIGHT = 23.0  # the distance from the lanes to the labels of the axis
LEGEND = {
    "data": "wait for data",
    "step": "step",
    "phase": "other phase",
    "handler": "handler",
    "wait": "wait for other ranks",
}


def lay_out(timeline: Timeline, title: str) -> TimelinePicture:
    """Return the picture of a timeline.

    Raises:
        ValueError: no run was recorded.
    """
    return _Layout(engine_records(timeline), title, _missing_records(timeline)).picture()


def _missing_records(timeline: Timeline) -> str:
    """Return a note about moves, iterations and ranks that the timeline does not have."""
    dropped = timeline.dropped[0]
    sampled = [track.sampling for track in timeline.tracks if track.sampling is not None]
    left_out, iterations = sum(one.left_out for one in sampled), sum(one.iterations for one in sampled)
    notes = [f"The first {dropped:,} moves were not kept."] if dropped else []
    notes += [f"{left_out:,} of {iterations:,} iterations were not recorded."] if left_out else []
    return " ".join([*notes, *timeline.rank_notes])


class _Layout:
    def __init__(self, engines: Sequence[EngineRecord], title: str, missing: str) -> None:
        self.engines, self.title, self.missing = engines, title, missing
        self.axis = fit_axis(engines, LEFT, RIGHT)
        self.letters: dict[str, str] = {}  # by handler whose name does not fit
        self.named: set[str] = set()  # the events with a name in the picture
        self.rows: list[Row] = []
        self.event_lines: list[EventLine] = []
        self.headings: list[Label] = []
        self.lane_tops: dict[int, list[float]] = {}  # by track
        self.joins: list[Rect] = []
        self.bands: list[tuple[float, float]] = []
        self.y = MARGIN  # the bottom of the part that is laid out

    def picture(self) -> TimelinePicture:
        title = None
        if self.title:
            text = Text((one_line(self.title),), TITLE_SIZE)
            title, self.y = _label(text, WIDTH / 2, self.y + text.height / 2), self.y + text.height + ENGINE_GAP
        for number, engine in enumerate(self.engines):
            self.y += ENGINE_GAP * bool(number)
            self._add_engine(engine)
        bottom = self.y
        breaks = tuple(self._break(piece.gap, bottom) for piece in self.axis.pieces if piece.gap is not None)
        axis, ticks = self._axis([gap.text.bounds for gap in breaks if gap.text.bounds.y > bottom])
        legend = tuple(self._legend())
        note = self._note()
        return TimelinePicture(
            WIDTH,
            self.y + MARGIN,
            title,
            tuple(self.headings),
            tuple(self.rows),
            tuple(self.event_lines),
            breaks,
            tuple(self.joins),
            tuple(self.bands),
            axis,
            ticks,
            legend,
            note,
        )

    # One engine

    def _add_engine(self, engine: EngineRecord) -> None:
        top = self.y
        if len(self.engines) > 1:
            text = Text((engine.heading,), LABEL_SIZE)
            self.headings.append(_label_from_left(text, MARGIN, self.y + text.height / 2))
            self.y += text.height + 4
        lanes = [lane for lane in engine_lanes(engine, self.axis) if self._is_drawn(lane)]
        height = sum(map(self._lane_height, lanes[:-1])) + LANE_GAP * (len(lanes) - 1) + BAR_HEIGHT
        self._add_events(engine, height)
        self.lane_tops[engine.number] = []
        backgrounds = tuple(self._backgrounds(engine))
        for lane in lanes:
            self.lane_tops[engine.number] += [self.y] * (lane.depths or 1)
            self._add_lane(lane, backgrounds)
            self.y += self._lane_height(lane) + LANE_GAP
        self.y -= LANE_GAP
        self.bands.append((self.lane_tops[engine.number][0], self.y))
        self.joins += self._joins(engine, top)

    def _backgrounds(self, engine: EngineRecord) -> Iterator[tuple[float, float]]:
        """Yield the left and right ends of the shown times at which an engine may have run."""
        times = dict.fromkeys((host.start, host.end) for host in engine.hosts)
        for start, end in times or [(self.axis.start, self.axis.end)]:
            for piece in self.axis.pieces:
                left, right = max(piece.left, self.axis(start)), min(piece.right, self.axis(end))
                if piece.gap is None and left < right:
                    yield left, right

    def _is_drawn(self, lane: Lane) -> bool:
        """Return True unless the lane is empty, or has other phases that are too short for a bar."""
        widest = max((self._width(item) for item in lane.items), default=0.0)
        return bool(lane.items) and (lane.name != CATEGORIES["phase"] or widest >= 2)

    def _lane_height(self, lane: Lane) -> float:
        """Return the height of a lane, with space for letters below its bars if a bar needs one."""
        return BAR_HEIGHT + LETTER_HEIGHT if any(map(self._needs_letter, lane.items)) else BAR_HEIGHT

    def _needs_letter(self, item: Item) -> bool:
        return item.role == "handler" and self._width(item) < LETTER_WIDTH

    def _width(self, item: Item) -> float:
        return self.axis(item.end) - self.axis(item.start)

    def _add_events(self, engine: EngineRecord, height: float) -> None:
        visits = [v for v in shown_visits(engine, self.axis) if self.axis.shows(v.entered.time, v.entered.time)]
        names = [visit.phase.rpartition(".")[2] for visit in visits]
        events = [(self.axis(visit.entered.time), name, text_width(name, SMALL)) for visit, name in zip(visits, names)]
        is_first = engine.parent is None and engine.rank == self.engines[0].rank
        candidates = [n for n, name in enumerate(names) if is_first or name not in self.named]
        arranged = arrange_flags([events[number] for number in candidates], WIDTH - MARGIN)
        flags = {candidates[index]: flag for index, flag in arranged.items()}
        self.named |= {names[number] for number in flags}
        base = self.y + (max((row for _, row in flags.values()), default=-1) + 1) * FLAG_HEIGHT
        for number, visit in enumerate(visits):
            x, top, label = events[number][0], base, None
            tip = f"{visit.phase} after {format_duration(visit.entered.time - self.axis.start)}"
            if number in flags:
                flag, row = flags[number]
                text, middle = Text((names[number],), SMALL), base - row * FLAG_HEIGHT - FLAG_HEIGHT / 2
                left = x - 3 - text.width if flag.to_the_left else x + 3
                top, label = middle - FLAG_HEIGHT / 2 + 2, _label_from_left(text, left, middle)
            self.event_lines.append(EventLine(x, top, base + height + 4, tip, label))
        self.y = base + 4

    def _add_lane(self, lane: Lane, backgrounds: Sequence[tuple[float, float]]) -> None:
        middle, share, width = self.y + BAR_HEIGHT / 2, None, NAME_WIDTH
        if lane.share is not None:
            note = Text((f"{lane.share:.0%}" if lane.share >= 0.005 else "< 1%",), SMALL)
            share = _label(note, LEFT - MARGIN - note.width / 2, middle)
            width = share.bounds.left - MARGIN - 3
        size = NOTE_SIZE if text_width(one_line(lane.name), NOTE_SIZE) <= width else SMALL
        name = _label_from_left(Text((_shorten(lane.name, width, size),), size), MARGIN, middle)
        rects = tuple(_rect(left, self.y, right, self.y + BAR_HEIGHT) for left, right in backgrounds)
        self.rows.append(Row(name, share, rects, tuple(self._bars(lane))))

    def _bars(self, lane: Lane) -> Iterator[Bar]:
        free = 0.0  # from where a letter fits below a bar
        for item in lane.items:
            left, right = self.axis(item.start), self.axis(item.end)
            bounds = _rect(left, self.y, max(right, left + 1), self.y + BAR_HEIGHT)
            pieces = [p for p in self.axis.pieces if p.gap is None and p.left < bounds.right and left < p.right]
            shown = [_rect(max(p.left, left), bounds.top, min(p.right, bounds.right), bounds.bottom) for p in pieces]
            text = self._letter(item, bounds, free) if self._needs_letter(item) else self._name(item, bounds, shown)
            if text is not None and text.bounds.top > bounds.y:
                free = text.bounds.right + 2
            yield Bar(item, bounds, tuple(shown), text)

    def _name(self, item: Item, bounds: Rect, shown: Sequence[Rect]) -> Label | None:
        """Return the text in a bar: in its widest shown part, or across breaks; for a handler, at least a letter."""
        widest = max(shown, key=lambda part: part.width, default=bounds)
        for part in (widest, bounds):
            for text in [Text((one_line(name),), size) for name in item.names for size in (NOTE_SIZE, SMALL)]:
                if text.width + 3 <= part.width:
                    return _label(text, part.x, part.y)
        return _label(Text((self._letter_of(item),), NOTE_SIZE), bounds.x, bounds.y) if item.role == "handler" else None

    def _letter(self, item: Item, bounds: Rect, free: float) -> Label | None:
        """Return the letter below a bar, if it fits."""
        text = Text((self._letter_of(item),), SMALL)
        fits = bounds.x - text.width / 2 >= free
        return _label(text, bounds.x, bounds.bottom + LETTER_HEIGHT / 2) if fits else None

    def _letter_of(self, item: Item) -> str:
        return self.letters.setdefault(one_line(item.names[-1]), _letter_name(len(self.letters)))

    def _joins(self, engine: EngineRecord, top: float) -> Iterator[Rect]:
        for host in dict.fromkeys(engine.hosts):
            if self.axis.shows(host.start, host.end):
                above = [bar.bounds for row in self.rows for bar in row.bars if bar.item.start == host.start]
                begin = max((bounds.bottom for bounds in above), default=top)
                yield _rect(self.axis(host.start), begin, self.axis(host.end), self.y)

    # The whole picture

    def _break(self, gap: Gap, bottom: float) -> Break:
        left, right, tops = self.axis(gap.start), self.axis(gap.end), self.lane_tops[gap.track]
        bounds = _rect(left, self.bands[0][0], right, bottom)
        top = tops[min(max(gap.depth, 0), len(tops) - 1)]
        y = (top + tops[-1] + BAR_HEIGHT) / 2 if gap.content else bottom + AXIS_HEIGHT
        return Break(bounds, _label(break_text(gap), bounds.x, y))

    def _axis(self, occupied: Sequence[Rect]) -> tuple[tuple[Rect, ...], tuple[Tick, ...]]:
        line, middle = self.y + 8, self.y + AXIS_HEIGHT
        pieces = tuple(_rect(piece.left, line, piece.right, line) for piece in self.axis.pieces if piece.gap is None)
        labels, ticks = list(occupied), []
        for x, name in axis_ticks(self.axis):
            text = Text((name,), NOTE_SIZE)
            left = min(max(x - text.width / 2, MARGIN), WIDTH - 2 - text.width)
            label = _label_from_left(text, left, middle)
            if not any(label.bounds.overlaps(other, 4) for other in labels):
                labels.append(label.bounds)
                ticks.append(Tick(x, label))
        self.y = middle + NOTE_SIZE * LINE_HEIGHT / 2 + 1
        return pieces, tuple(ticks)

    def _legend(self) -> Iterator[LegendEntry]:
        roles = {bar.item.role for row in self.rows for bar in row.bars}
        entries = [(role, name, "") for role, name in LEGEND.items() if role in roles]
        entries += [("handler", name, letter) for name, letter in self.letters.items()]
        self.y += ENGINE_GAP
        x = LEFT
        for role, name, letter in entries:
            text = Text((_shorten(name, WIDTH - LEFT - 40, NOTE_SIZE),), NOTE_SIZE)
            if x + 26 + text.width > RIGHT and x > LEFT:
                x, self.y = LEFT, self.y + BAR_HEIGHT + 2
            bounds = _rect(x, self.y + 2, x + 20, self.y + 16)
            letter_label = _label(Text((letter,), NOTE_SIZE), bounds.x, bounds.y) if letter else None
            yield LegendEntry(role, bounds, _label_from_left(text, x + 26, bounds.y), letter_label)
            x += 26 + text.width + 18
        self.y += BAR_HEIGHT

    def _note(self) -> Label | None:
        if not self.missing:
            return None
        text = Text((self.missing,), NOTE_SIZE)
        self.y += text.height + 4
        return _label_from_left(text, LEFT, self.y - text.height / 2)


def _letter_name(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ... for 0, 1, ..."""
    rest, index = divmod(number, len(ascii_lowercase))
    return (_letter_name(rest - 1) if rest else "") + ascii_lowercase[index]


def _shorten(text: str, width: float, size: float) -> str:
    """Return `text` with an ellipsis at the end if it is wider than `width`."""
    text = one_line(text)
    if text_width(text, size) <= width:
        return text
    while text and text_width(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def _rect(left: float, top: float, right: float, bottom: float) -> Rect:
    return Rect((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _label(text: Text, x: float, y: float) -> Label:
    return Label(text, Rect(x, y, text.width, text.height))


def _label_from_left(text: Text, left: float, y: float) -> Label:
    return _label(text, left + text.width / 2, y)
