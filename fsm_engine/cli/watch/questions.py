"""Questions that take the next key, and lines that a user types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from fsm_engine.cli.watch import breakpoint_line
from fsm_engine.cli.watch.breakpoint_line import Phase


@dataclass(frozen=True)
class Question:
    """A question.

    Attributes:
        text: the question, with the keys that answer it. Any other key takes it back.
        answers: the actions by key.
    """

    text: str
    answers: Mapping[str, Callable[[], None]]


@dataclass
class Prompt:
    """A line that is being typed.

    Attributes:
        title: the beginning of the line on the screen.
        help: the form of the line.
        accept: takes the line, and raises a ValueError if it is malformed.
        line: the text so far.
        error: the reason why the last line was refused.
    """

    title: str
    help: str
    accept: Callable[[str], None]
    line: str = ""
    error: str = ""

    def press(self, key: str) -> bool:
        """Take a key. Return True if the prompt is over."""
        if key == "escape":
            return True
        if key == "enter":
            return self._enter()
        if key == "backspace":
            self._edit(self.line[:-1])
        elif key == "erase":
            self._edit("")
        elif len(key) == 1 and key.isprintable():
            self._edit(self.line + key)
        return False

    def _enter(self) -> bool:
        try:
            self.accept(self.line)
        except ValueError as error:
            self.error = str(error)
            return False
        return True

    def _edit(self, line: str) -> None:
        self.line, self.error = line[:200], ""


@dataclass
class PhasePrompt(Prompt):
    """A line that begins with a phase, which can be chosen from a list.

    Attributes:
        phases: the phases of the engine.
        index: the number of the highlighted phase among those that match.
    """

    phases: Sequence[Phase] = field(default_factory=list)
    index: int = 0

    @property
    def matches(self) -> list[Phase]:
        """The phases that match the line so far; none once the phase is complete."""
        return breakpoint_line.matching_phases(self.line, self.phases)

    def press(self, key: str) -> bool:
        """Take a key. Return True if the prompt is over."""
        matches = self.matches
        if key in ("up", "down") and matches:
            self.index = (self.index + (1 if key == "down" else -1)) % len(matches)
            return False
        is_open = matches and not any(self._is_exact(phase) for phase in matches)
        if key == "tab" or (key == "enter" and is_open):
            if matches:
                self._edit(breakpoint_line.with_phase(self.line, matches[self.index % len(matches)], self.phases))
            return key == "enter" and bool(matches) and self._enter()
        return super().press(key)

    def _is_exact(self, phase: Phase) -> bool:
        word = self.line.rpartition(">>")[2].strip().lower()
        return word in (str(phase["name"]).lower(), str(phase["id"]).lower())

    def _edit(self, line: str) -> None:
        super()._edit(line)
        self.index = 0
