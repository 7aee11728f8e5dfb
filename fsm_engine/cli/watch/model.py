"""`Model`: the knowledge about an inspected process that its messages have given."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fsm_engine.cli.watch.curves import Curve

PROTOCOL = 1
_MOST_WARNINGS, _MOST_CURVES = 200, 100


@dataclass(frozen=True)
class Note:
    """A sentence about the last event: a reply of the server, or a change of the connection."""

    text: str
    is_error: bool = False


class WatchedEngine:
    """An engine of the process.

    Attributes:
        described: the description that the server sent.
        now: the last update about the engine; empty before the first.
        curves: the values by name.
        times: the nanoseconds spent in each phase while the terminal watched, without pauses.
    """

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.described = described
        self.now: Mapping[str, Any] = {}
        self.curves: dict[str, Curve] = {}
        self.times: Counter[str] = Counter()
        self._visit: tuple[int, str] | None = None

    @property
    def id(self) -> int:
        """The number of the engine."""
        return int(self.described["id"])

    @property
    def heading(self) -> str:
        """The name of its lifecycle, and of the place where it runs."""
        return str(self.described["heading"])

    @property
    def status(self) -> str:
        """The status; empty before the first update."""
        return str(self.now.get("status", ""))

    @property
    def phases(self) -> list[Mapping[str, Any]]:
        """The phases, in the order of the lifecycle."""
        return list(self.described["phases"])

    @property
    def counters(self) -> list[str]:
        """The counters of the lifecycle, the finest first."""
        return list(self.described["counters"])

    def phase_name(self, phase_id: str | None) -> str:
        """Return the short name of a phase."""
        return next((str(one["name"]) for one in self.phases if one["id"] == phase_id), phase_id or "-")

    def apply(self, update: Mapping[str, Any]) -> None:
        """Take an update."""
        self.now = {**self.now, **{name: value for name, value in update.items() if name not in ("moves", "spans")}}
        self._take_moves(update.get("moves", ()))
        for name, points in update.get("values", {}).items():
            if name in self.curves or len(self.curves) < _MOST_CURVES:
                self.curves.setdefault(name, Curve()).extend(points)

    def _take_moves(self, moves: Iterable[list[int] | None]) -> None:
        kinds = self.described["kinds"]
        for move in moves:
            if move is None:
                self._visit = None
            elif move[1] < len(kinds) and kinds[move[1]]["isTransition"]:
                if self._visit is not None:
                    start, phase = self._visit
                    self.times[phase] += max(move[0] - start - self._paused(start, move[0]), 0)
                self._visit = move[0], kinds[move[1]]["target"]

    def _paused(self, start: int, end: int) -> int:
        """Return the paused nanoseconds between two times."""
        total = 0
        for first, last in reversed(self.now.get("pauses", ())):
            if last is not None and last <= start:
                break
            total += max(min(end, end if last is None else last) - max(start, first), 0)
        return total


@dataclass
class Model:
    """An inspected process.

    Attributes:
        hello: the first message of the session, without its engines; empty before it.
        engines: the engines by number, in the order in which they appeared.
        warnings: the last warnings and errors of the process's log.
        breakpoints, offers: as the server describes them.
        look: the details of the pause; empty if there are none.
        failures: the failures by engine.
        now: the time of the last update, in nanoseconds of the server's clock.
        lost: why there is no connection; empty while there is one.
        closed: the last words of a server that ended; empty if it has said nothing.
        note: the last event.
        chosen: the number of the engine that the user chose; None for the engine that is paused, or the first.
    """

    hello: Mapping[str, Any] = field(default_factory=dict)
    engines: dict[int, WatchedEngine] = field(default_factory=dict)
    warnings: deque[Mapping[str, Any]] = field(default_factory=lambda: deque(maxlen=_MOST_WARNINGS))
    breakpoints: list[Mapping[str, Any]] = field(default_factory=list)
    offers: list[Mapping[str, Any]] = field(default_factory=list)
    look: Mapping[str, Any] = field(default_factory=dict)
    failures: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    now: int = 0
    lost: str = ""
    closed: str = ""
    note: Note | None = None
    chosen: int | None = None

    def apply(self, message: Mapping[str, Any]) -> None:
        """Take a message of the server. Messages of unknown types are ignored."""
        take = _TAKES.get(message["type"])
        if take is not None:
            take(self, message)

    def lose(self, reason: str) -> None:
        """Note that the connection was lost."""
        self.lost = f"{self.closed} It is shown again if it comes back." if self.closed else reason

    @property
    def shown(self) -> WatchedEngine | None:
        """The engine that is shown: the chosen one, else the one that is paused, else the first."""
        if self.chosen in self.engines:
            return self.engines[self.chosen]
        if self.is_paused and self.look.get("engine") in self.engines:
            return self.engines[self.look["engine"]]
        return next(iter(self.engines.values()), None)

    @property
    def is_paused(self) -> bool:
        """Whether the run is paused."""
        return any(engine.status == "paused" for engine in self.engines.values())

    @property
    def is_ready(self) -> bool:
        """Whether the first update about an engine has arrived."""
        return any(engine.now for engine in self.engines.values())

    def _take_hello(self, message: Mapping[str, Any]) -> None:
        before, old = self.hello.get("session"), self.engines
        self.hello = {name: value for name, value in message.items() if name != "engines"}
        self.lost = self.closed = ""
        self.engines = {one["id"]: WatchedEngine(one) for one in message["engines"]}
        self.warnings.clear()
        self.look, self.failures = {}, {}
        self._take_offers(message)
        self._take_breakpoints(message)
        if before == message["session"]:
            for engine in self.engines.values():
                if engine.id in old:
                    engine.curves, engine.times = old[engine.id].curves, old[engine.id].times
        elif before is not None:
            self.chosen = None
            self.note = Note("The process was restarted; this is its new session.")

    def _take_engine(self, message: Mapping[str, Any]) -> None:
        described = message["engine"]
        if described["id"] in self.engines:
            self.engines[described["id"]].described = described
        else:
            self.engines[described["id"]] = WatchedEngine(described)

    def _take_gone(self, message: Mapping[str, Any]) -> None:
        for known in (self.engines, self.failures):
            known.pop(message["engine"], None)

    def _take_update(self, message: Mapping[str, Any]) -> None:
        self.now = max(self.now, message["now"]) if message["now"] else self.now
        self.warnings.extend(message.get("warnings", ()))
        for update in message["engines"]:
            if update["id"] in self.engines:
                self.engines[update["id"]].apply(update)
        for number in [number for number in self.failures if self._is_over(number)]:
            del self.failures[number]

    def _is_over(self, number: int) -> bool:
        """Return True if the engine with a failure runs again."""
        engine = self.engines.get(number)
        return (
            engine is not None
            and engine.status == "running"
            and engine.now.get("since", 0) > self.failures[number]["time"]
        )

    def _take_look(self, message: Mapping[str, Any]) -> None:
        self.look = message

    def _take_failure(self, message: Mapping[str, Any]) -> None:
        self.failures[message["engine"]] = message

    def _take_reply(self, message: Mapping[str, Any]) -> None:
        if message["text"]:
            self.note = Note(message["text"], is_error=not message["ok"])

    def _take_note(self, message: Mapping[str, Any]) -> None:
        self.note = Note(message["text"])

    def _take_closed(self, message: Mapping[str, Any]) -> None:
        self.closed = message["text"]

    def _take_offers(self, message: Mapping[str, Any]) -> None:
        self.offers = message["offers"]

    def _take_breakpoints(self, message: Mapping[str, Any]) -> None:
        self.breakpoints = message["breakpoints"]


_TAKES = {name.removeprefix("_take_"): take for name, take in vars(Model).items() if name.startswith("_take_")}
