"""`DataPass`: the current pass of a run over its data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fsm_engine.runtime.part import Part


class DataPass(Part):
    """The iterator of the current pass, and the values with which another process can open the same pass.

    Attributes:
        iterator: the open iterator; None if the data is not open.
        has_data: True if the run has data.
        at_end: True if the last fetch found the end of the data.
        data_exhausted: True if the data ended and yielded no batch when it was opened again.
        start: ``state.iteration`` at the beginning of the pass.
        times_opened: the number of times that this run has opened its data.
        skip: the number of batches to skip when the data is opened next.
        opening_rng: the RNG states when the pass was opened, if the run `resumes_exactly`.
        must_reopen: True if a loaded or copied run was inside a pass, which has to be opened again before it resumes.
        loader_state: from a loaded run, the state dict of data that saves its own position.
        derived_length: the epoch length that came from the length of the data or from counting its batches; None if the
            user gave the epoch length. A new run does not reset it.
        has_warned_of_length: True after the warning that data is longer than the epochs of a continued run.
        saved_data: the description of the data of a loaded or unpickled run, until the next run starts.
        resume_rng: from a loaded run, the RNG states to restore when the next run starts.
        loaded_opening_rng: `opening_rng` of a loaded run that had ended inside a pass, until the next run starts.
    """

    __slots__ = (
        "at_end",
        "data_exhausted",
        "derived_length",
        "has_data",
        "has_warned_of_length",
        "iterator",
        "loaded_opening_rng",
        "loader_state",
        "must_reopen",
        "opening_rng",
        "resume_rng",
        "saved_data",
        "skip",
        "start",
        "times_opened",
    )
    PROCESS = frozenset({"iterator"})
    SAVED = ("has_data", "data_exhausted", "at_end", "start", "times_opened", "opening_rng", "derived_length")

    def __init__(self) -> None:
        self.resume_rng: Mapping[str, Any] | None = None
        self.saved_data: Mapping[str, Any] | None = None
        self.loaded_opening_rng: dict[str, Any] | None = None
        self.derived_length: int | None = None
        self.has_warned_of_length = False
        super().__init__()

    def restart(self) -> None:
        """Close the pass, and reset all attributes that concern one run only."""
        self.has_data = False
        self.at_end = False
        self.data_exhausted = False
        self.start = 0
        self.times_opened = 0
        self.skip = 0
        self.opening_rng: dict[str, Any] | None = None
        self.must_reopen = False
        self.loader_state: dict[str, Any] | None = None
        self.reset_process()

    def reset_process(self) -> None:
        """Drop the iterator, which belongs to this process."""
        self.iterator: Iterator[Any] | None = None
