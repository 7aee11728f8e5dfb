"""`Controls`: turns keys into commands, and keeps the state of the screen."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from fsm_engine.cli.watch.breakpoint_line import COUNTERS, GRAMMAR, read_breakpoint
from fsm_engine.cli.watch.model import Model, Note
from fsm_engine.cli.watch.questions import PhasePrompt, Prompt, Question

HELP = (
    ("p", "pause at the next move"),
    ("space", "pause, or continue"),
    ("c", "continue"),
    ("n  i  e", "step to the next phase, iteration, epoch"),
    ("b  u", "add a breakpoint, remove one"),
    ("v", "set an offered value"),
    ("s", "save a checkpoint at the next safe place"),
    ("t t", "terminate the run"),
    ("tab", "show the next engine"),
    ("↑ ↓", "scroll the details"),
    ("q", "leave; the run continues"),
    ("?", "show or hide this help"),
)
_WATCHING = frozenset({"q", "?", "tab", "up", "down", "page up", "page down", "escape"})
_PAGE = 10


class Controls:
    """The state of the screen, and the commands that the keys have made.

    Attributes:
        question: the open question, if any.
        prompt: the open line, if any.
        shows_help: whether the list of keys is shown.
        scroll: the number of lines of details that are above the screen.
        is_done: whether the user has left.
        wants_suspension: whether the user has pressed Ctrl-Z.
        has_continued: whether the last command continues a paused run.
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self.question: Question | None = None
        self.prompt: Prompt | None = None
        self.shows_help = self.is_done = False
        self.scroll = 0
        self.has_continued = self.wants_suspension = False
        self._commands: list[dict[str, Any]] = []
        self._actions: dict[str, Callable[[], None]] = {
            "p": lambda: self._send("pause"),
            " ": lambda: self._send("continue" if self.model.is_paused else "pause"),
            "c": lambda: self._send("continue"),
            "n": lambda: self._send("step", by="phase"),
            "i": lambda: self._send("step", by="iteration"),
            "e": lambda: self._send("step", by="epoch"),
            "b": self._ask_for_breakpoint,
            "u": self._ask_for_number,
            "v": self._ask_for_value,
            "s": lambda: self._send("save"),
            "t": self._ask_to_terminate,
            "tab": self._show_next_engine,
            "up": lambda: self._scroll(-1),
            "down": lambda: self._scroll(1),
            "page up": lambda: self._scroll(-_PAGE),
            "page down": lambda: self._scroll(_PAGE),
            "escape": self._hide_help,
            "q": self._leave,
            "?": self._switch_help,
        }

    def press(self, key: str) -> None:
        """Take a key: a character or a name such as ``enter``."""
        if key == "suspend":
            self.wants_suspension = True
        elif self.question is not None:
            answer = self.question.answers.get(key)
            self.question = None
            if answer is not None:
                answer()
        elif self.prompt is not None:
            if self.prompt.press(key):
                self.prompt = None
        elif key in self._actions:
            refusal = "" if key in _WATCHING else self._refusal()
            if refusal:
                self.model.note = Note(refusal, is_error=True)
            else:
                self._actions[key]()

    def take_commands(self) -> list[dict[str, Any]]:
        """Return the commands to send, oldest first, and forget them."""
        taken, self._commands = self._commands, []
        return taken

    def _refusal(self) -> str:
        """Return the reason why no command can be sent; empty if one can."""
        if self.model.lost:
            return "Not connected: the key has done nothing."
        if self.model.hello.get("readOnly"):
            return "This inspector is read-only: the run can be watched only."
        return "" if self.model.shown is not None else "No engine is inspected."

    def _send(self, command: str, **arguments: Any) -> None:
        shown = self.model.shown
        self.has_continued = command == "continue"
        self._commands.append({"command": command, "engine": None if shown is None else shown.id} | arguments)

    # Breakpoints and values

    def _ask_for_breakpoint(self) -> None:
        shown = self.model.shown
        phases = [] if shown is None else shown.phases
        counters = COUNTERS if shown is None else shown.counters

        def accept(line: str) -> None:
            command = read_breakpoint(line, phases, counters)
            self._send(command.pop("command"), **command)

        self.prompt = PhasePrompt("break at", GRAMMAR, accept, phases=phases)

    def _ask_for_number(self) -> None:
        engines = {str(one["number"]): one["engine"] for one in self.model.breakpoints}
        numbers = list(engines)

        def accept(line: str) -> None:
            if line.strip() not in numbers:
                raise ValueError(f"there is no breakpoint {line.strip()!r}; there are {', '.join(numbers)}")
            self._send("unbreak", engine=engines[line.strip()], number=int(line))

        if numbers:
            self.prompt = Prompt("remove breakpoint", f"a number: {', '.join(numbers)}", accept)
        else:
            self.model.note = Note("There is no breakpoint. b adds one.", is_error=True)

    def _ask_for_value(self) -> None:
        offers = {str(one["label"]): one for one in self.model.offers}
        names = list(offers)

        def accept(line: str) -> None:
            name, _, value = line.strip().rpartition("=" if "=" in line else " ")
            name = name.strip() or (names[0] if len(names) == 1 else "")
            if name not in names:
                raise ValueError(f"{name!r} is not offered; offered are {', '.join(names)}")
            self._send("set", engine=offers[name]["engine"], name=offers[name]["name"], value=_number(value))

        if names:
            self.prompt = Prompt("set", f"NAME = NUMBER; the names are {', '.join(names)}", accept)
        else:
            self.model.note = Note("No value is offered. inspector.offer(name, get, set) offers one.", is_error=True)

    # The end of the run, and of the program

    def _ask_to_terminate(self) -> None:
        self.question = Question("Terminate the run? t terminates it.", {"t": lambda: self._send("terminate")})

    def _leave(self) -> None:
        if self.model.is_paused and not self.model.lost and not self.model.hello.get("readOnly"):
            text = "The run is paused. c continues it and leaves; q leaves it paused."
            self.question = Question(text, {"c": self._continue_and_leave, "q": self._end})
        else:
            self._end()

    def _continue_and_leave(self) -> None:
        self._send("continue")
        self._end()

    def _end(self) -> None:
        self.is_done = True

    # The screen

    def _show_next_engine(self) -> None:
        numbers, shown = list(self.model.engines), self.model.shown
        if shown is not None:
            self.model.chosen = numbers[(numbers.index(shown.id) + 1) % len(numbers)]
            self.scroll = 0

    def _scroll(self, lines: int) -> None:
        self.scroll = max(self.scroll + lines, 0)

    def _switch_help(self) -> None:
        self.shows_help = not self.shows_help

    def _hide_help(self) -> None:
        self.shows_help = False


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ValueError(f"{text.strip()!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{text.strip()} is not finite")
    return value
