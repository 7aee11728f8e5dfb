"""Where everything in the picture of a timeline stands: an engine's lanes below each other, time from left to right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from string import ascii_lowercase

from fsm_engine.render.labels import one_line
from fsm_engine.render.picture import Label, Rect
from fsm_engine.render.text_metrics import LABEL_SIZE, LINE_HEIGHT, NOTE_SIZE, TITLE_SIZE, Text, text_width
from fsm_engine.render.timeline.elision import DETAILS, Gap, gaps, merged
from fsm_engine.render.timeline.flags import arranged
from fsm_engine.render.timeline.lanes import KINDS, NAMES, SMALL, Item, Lane, lanes
from fsm_engine.render.timeline.picture import Bar, Break, Mark, Row, Sample, Tick, TimelinePicture
from fsm_engine.render.timeline.quiet import innermost, quiet, shown
from fsm_engine.render.timeline.recorded import Recorded, heading, recorded
from fsm_engine.render.timeline.scale import Scale, marks, scale
from fsm_engine.render.timeline.stretches import Stretch, end, start
from fsm_engine.timeline.timeline import Timeline
from fsm_engine.timeline.units import duration

WIDTH, LEFT, RIGHT, MARGIN = 830.0, 100.0, 812.0, 10.0
TALL, APART, BETWEEN = 18.0, 6.0, 14.0  # a bar; between lanes; between engines
FLAG = 9.5 * LINE_HEIGHT + 2  # the height of the name of an event
LETTER, NARROW = 12.0, 12.0  # the height of letters below bars; how wide a bar has to be to have its letter inside
AXIS = 23.0  # how far below the lanes times are written
LONGEST = 64.0  # how wide the break of a long time is, at most
ROOM_OF_INNERMOST = 30.0  # how wide what is repeated should at least be, on average


def place(timeline: Timeline, title: str) -> TimelinePicture:
    """Return the picture of a timeline.

    Raises:
        ValueError: there is nothing in it.
    """
    engines = recorded(timeline)
    return _Layout(engines, title, _missing(timeline)).picture()


def _missing(timeline: Timeline) -> str:
    """Say what the picture cannot show."""
    dropped = timeline.dropped[0]
    sampled = [track.sampling for track in timeline.tracks if track.sampling is not None]
    left_out, iterations = sum(one.left_out for one in sampled), sum(one.iterations for one in sampled)
    told = [f"The first {dropped:,} moves were not kept."] if dropped else []
    told += [f"{left_out:,} of {iterations:,} iterations were not recorded."] if left_out else []
    return " ".join(told)


class _Layout:
    def __init__(self, engines: Sequence[Recorded], title: str, missing: str) -> None:
        self.engines, self.title, self.missing = engines, title, missing
        self.scale = _fitting(engines)
        self.keys: dict[str, str] = {}  # the letters of names that do not fit, by the name
        self.named: set[str] = set()  # the events whose name is there
        self.rows: list[Row] = []
        self.ticks: list[Tick] = []
        self.headings: list[Label] = []
        self.lines: dict[int, list[float]] = {}  # where the lanes of a track begin
        self.joins: list[Rect] = []
        self.bands: list[tuple[float, float]] = []
        self.y = MARGIN

    def picture(self) -> TimelinePicture:
        title = None
        if self.title:
            text = Text((one_line(self.title),), TITLE_SIZE)
            title, self.y = _label(text, WIDTH / 2, self.y + text.height / 2), self.y + text.height + BETWEEN
        for number, engine in enumerate(self.engines):
            self.y += BETWEEN * bool(number)
            self._engine(engine)
        bottom = self.y
        breaks = tuple(self._break(piece.gap, bottom) for piece in self.scale.pieces if piece.gap is not None)
        axis, times = self._axis([gap.text.bounds for gap in breaks if gap.text.bounds.y > bottom])
        legend = tuple(self._legend())
        note = self._note()
        return TimelinePicture(
            WIDTH,
            self.y + MARGIN,
            title,
            tuple(self.headings),
            tuple(self.rows),
            tuple(self.ticks),
            breaks,
            tuple(self.joins),
            tuple(self.bands),
            axis,
            times,
            legend,
            note,
        )

    # One engine

    def _engine(self, engine: Recorded) -> None:
        top = self.y
        if len(self.engines) > 1:
            text = Text((heading(engine),), LABEL_SIZE)
            self.headings.append(_from_left(text, MARGIN, self.y + text.height / 2))
            self.y += text.height + 4
        found = [lane for lane in lanes(engine, self.scale) if self._matters(lane)]
        self._events(engine, sum(map(self._height, found[:-1])) + APART * (len(found) - 1) + TALL)
        self.lines[engine.number] = []
        grounds = tuple(self._grounds(engine))
        for lane in found:
            self.lines[engine.number] += [self.y] * (lane.depths or 1)
            self._lane(lane, grounds)
            self.y += self._height(lane) + APART
        self.y -= APART
        self.bands.append((self.lines[engine.number][0], self.y))
        self.joins += self._joined(engine, top)

    def _grounds(self, engine: Recorded) -> Iterator[tuple[float, float]]:
        """Yield where an engine may have run, as far as it is shown, in pixels."""
        times = dict.fromkeys((host.start, host.end) for host in engine.hosts)
        for begin, finish in times or [(self.scale.start, self.scale.end)]:
            for piece in self.scale.pieces:
                left, right = max(piece.left, self.scale(begin)), min(piece.right, self.scale(finish))
                if piece.gap is None and left < right:
                    yield left, right

    def _matters(self, lane: Lane) -> bool:
        """Say whether a lane is drawn: phases that only take the engine's own time have their ticks alone."""
        wide = max((self.scale(item.end) - self.scale(item.start) for item in lane.items), default=0.0)
        return bool(lane.items) and (lane.name != KINDS["phase"] or wide >= 2)

    def _height(self, lane: Lane) -> float:
        """Return how tall a lane is: below its bars there is room for letters, if some need it."""
        return TALL + LETTER if any(self._needs_letter(item) for item in lane.items) else TALL

    def _needs_letter(self, item: Item) -> bool:
        return item.role == "handler" and self.scale(item.end) - self.scale(item.start) < NARROW

    def _events(self, engine: Recorded, height: float) -> None:
        visits = [v for v in shown(engine, self.scale) if self.scale.shows(v.entered.time, v.entered.time)]
        names = [visit.phase.rpartition(".")[2] for visit in visits]
        places = [(self.scale(visit.entered.time), name, text_width(name, SMALL)) for visit, name in zip(visits, names)]
        new = [number for number, name in enumerate(names) if engine.within is None or name not in self.named]
        flags = {new[at]: flag for at, flag in arranged([places[number] for number in new], WIDTH - MARGIN).items()}
        self.named |= {names[number] for number in flags}
        tall = (max((row for _, row in flags.values()), default=-1) + 1) * FLAG
        base = self.y + tall
        for number, visit in enumerate(visits):
            x, since = places[number][0], visit.entered.time - self.scale.start
            tip = f"{visit.phase} after {duration(since)}"
            if number in flags:
                flag, row = flags[number]
                text, middle = Text((names[number],), SMALL), base - row * FLAG - FLAG / 2
                near = x - 3 - text.width if flag.to_the_left else x + 3
                self.ticks.append(
                    Tick(x, middle - FLAG / 2 + 2, base + height + 4, tip, _from_left(text, near, middle))
                )
            else:
                self.ticks.append(Tick(x, base, base + height + 4, tip))
        self.y = base + 4

    def _lane(self, lane: Lane, grounds: Sequence[tuple[float, float]]) -> None:
        middle, share, room = self.y + TALL / 2, None, NAMES
        if lane.share is not None:
            note = Text((f"{lane.share:.0%}" if lane.share >= 0.005 else "< 1%",), SMALL)
            share = _to_right(note, LEFT - MARGIN, middle)
            room = share.bounds.left - MARGIN - 3
        size = NOTE_SIZE if text_width(one_line(lane.name), NOTE_SIZE) <= room else SMALL
        name = _from_left(Text((_cut(lane.name, room, size),), size), MARGIN, middle)
        tall = tuple(_rect(left, self.y, right, self.y + TALL) for left, right in grounds)
        self.rows.append(Row(name, share, tall, tuple(self._bars(lane))))

    def _bars(self, lane: Lane) -> Iterator[Bar]:
        free = 0.0
        for item in lane.items:
            left, right = self.scale(item.start), self.scale(item.end)
            room = _rect(left, self.y, max(right, left + 1), self.y + TALL)
            pieces = [p for p in self.scale.pieces if p.gap is None and p.left < room.right and left < p.right]
            shown = [_rect(max(p.left, left), room.top, min(p.right, room.right), room.bottom) for p in pieces]
            text = self._letter(item, room, free) if self._needs_letter(item) else self._name(item, room, shown)
            if text is not None and text.bounds.top > room.y:
                free = text.bounds.right + 2
            yield Bar(item, room, tuple(shown), text)

    def _name(self, item: Item, room: Rect, shown: Sequence[Rect]) -> Label | None:
        """Return what is written in a bar: where it is shown if that is wide enough, else across breaks."""
        widest = max(shown, key=lambda part: part.width, default=room)
        for part in (widest, room):
            for text in [Text((one_line(name),), size) for name in item.names for size in (NOTE_SIZE, SMALL)]:
                if text.width + 3 <= part.width:
                    return _label(text, part.x, part.y)
        if item.role != "handler":
            return None
        return _label(Text((self._key(item),), NOTE_SIZE), room.x, room.y)

    def _letter(self, item: Item, room: Rect, free: float) -> Label | None:
        text = Text((self._key(item),), SMALL)
        left = room.x - text.width / 2
        return _label(text, room.x, room.bottom + LETTER / 2) if left >= free else None

    def _key(self, item: Item) -> str:
        return self.keys.setdefault(one_line(item.names[-1]), _letters(len(self.keys)))

    def _joined(self, engine: Recorded, top: float) -> Iterator[Rect]:
        for host in dict.fromkeys(engine.hosts):
            if self.scale.shows(host.start, host.end):
                above = [bar.room for row in self.rows for bar in row.bars if bar.item.start == host.start]
                begin = max((room.bottom for room in above), default=top)
                yield _rect(self.scale(host.start), begin, self.scale(host.end), self.y)

    # What they share

    def _break(self, gap: Gap, bottom: float) -> Break:
        left, right, lines = self.scale(gap.start), self.scale(gap.end), self.lines[gap.track]
        top = lines[min(max(gap.depth, 0), len(lines) - 1)]
        room = _rect(left, self.bands[0][0], right, bottom)
        if not gap.what:
            return Break(room, _label(_broken(gap), room.x, bottom + AXIS))
        return Break(room, _label(_broken(gap), room.x, (top + lines[-1] + TALL) / 2))

    def _axis(self, taken: Sequence[Rect]) -> tuple[tuple[Rect, ...], tuple[Mark, ...]]:
        line, middle = self.y + 8, self.y + AXIS
        axis = tuple(_rect(piece.left, line, piece.right, line) for piece in self.scale.pieces if piece.gap is None)
        rooms, times = list(taken), []
        for x, name in marks(self.scale):
            text = Text((name,), NOTE_SIZE)
            label = _from_left(text, min(max(x - text.width / 2, MARGIN), WIDTH - 2 - text.width), middle)
            if not any(label.bounds.overlaps(room, 4) for room in rooms):
                rooms.append(label.bounds)
                times.append(Mark(x, label))
        self.y = middle + NOTE_SIZE * LINE_HEIGHT / 2 + 1
        return axis, tuple(times)

    def _legend(self) -> Iterator[Sample]:
        roles = {bar.item.role for row in self.rows for bar in row.bars}
        entries = [(role, name, "") for role, name in LEGEND.items() if role in roles]
        entries += [("handler", name, letter) for name, letter in self.keys.items()]
        self.y += BETWEEN
        x = LEFT
        for role, name, letter in entries:
            text = Text((_cut(name, WIDTH - LEFT - 40, NOTE_SIZE),), NOTE_SIZE)
            if x + 26 + text.width > RIGHT and x > LEFT:
                x, self.y = LEFT, self.y + TALL + 2
            room = _rect(x, self.y + 2, x + 20, self.y + 16)
            key = _label(Text((letter,), NOTE_SIZE), room.x, room.y) if letter else None
            yield Sample(role, room, _from_left(text, x + 26, room.y), key)
            x += 26 + text.width + 18
        self.y += TALL

    def _note(self) -> Label | None:
        if not self.missing:
            return None
        text = Text((self.missing,), NOTE_SIZE)
        self.y += text.height + 4
        return _from_left(text, LEFT, self.y - text.height / 2)


LEGEND = {"data": "wait for data", "step": "step", "phase": "other phase", "handler": "handler"}


def _fitting(engines: Sequence[Recorded]) -> Scale:
    """Return the scale that shows as much as there is room for."""
    begin = min(start(engine.runs[0]) for engine in engines)
    finish = max(end(engine.runs[-1]) for engine in engines)
    parts = [(engine.number, part) for engine in engines for part in _hosted(engine)]
    found: list[Gap] = []
    tried, repeated = _scaled(begin, finish, found), 0
    for detail in DETAILS:
        found = merged([gap for number, part in parts for gap in gaps(part, detail, number)])
        tried = _scaled(begin, finish, found)
        repeated = sum(1 for engine in engines for run in engine.runs for _ in innermost(run, tried))
        if repeated * ROOM_OF_INNERMOST + sum(map(_room, found)) <= RIGHT - LEFT:
            break
    free = RIGHT - LEFT - repeated * ROOM_OF_INNERMOST / 2 - sum(map(_room, found))
    long = quiet(engines, tried, most=max(int(free // LONGEST), 0))
    return _scaled(begin, finish, merged([*found, *long])) if long else tried


def _scaled(begin: int, finish: int, found: Sequence[Gap]) -> Scale:
    return scale(begin, finish, found, {gap: _room(gap) for gap in found}, LEFT, RIGHT)


def _room(gap: Gap) -> float:
    return _broken(gap).width + 14


def _hosted(engine: Recorded) -> Iterator[Stretch]:
    """Yield the runs of an engine, those together that the same call ran."""
    together: dict[object, list[Stretch]] = {}
    for number, run in enumerate(engine.runs):
        together.setdefault(engine.hosts[number] if engine.hosts else None, []).append(run)
    for found in together.values():
        yield Stretch(found[0].walk, "", range(found[0].places.start, found[-1].places.stop), runs=tuple(found))


def _broken(gap: Gap) -> Text:
    if not gap.what:
        return Text((f"({duration(gap.end - gap.start)})",), SMALL)
    more = [word for part in gap.what.split(", ") for word in part.rsplit(" ", 1)]
    return Text((*more, f"({duration(gap.end - gap.start)})"), SMALL)


def _letters(number: int) -> str:
    rest, place = divmod(number, len(ascii_lowercase))
    return (_letters(rest - 1) if rest else "") + ascii_lowercase[place]


def _cut(text: str, room: float, size: float) -> str:
    text = one_line(text)
    if text_width(text, size) <= room:
        return text
    while text and text_width(f"{text}…", size) > room:
        text = text[:-1]
    return f"{text}…"


def _rect(left: float, top: float, right: float, bottom: float) -> Rect:
    return Rect((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _label(text: Text, x: float, y: float) -> Label:
    return Label(text, Rect(x, y, text.width, text.height))


def _from_left(text: Text, left: float, y: float) -> Label:
    return _label(text, left + text.width / 2, y)


def _to_right(text: Text, right: float, y: float) -> Label:
    return _label(text, right - text.width / 2, y)
