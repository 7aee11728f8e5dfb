"""`JointSave`: all ranks save one checkpoint, or none does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fsm_engine.distributed.meeting import Meeting
from fsm_engine.handlers.checkpoint.checkpoint_objects import check_plain
from fsm_engine.handlers.checkpoint.decision import Decision
from fsm_engine.handlers.checkpoint.rank_differences import difference, outline
from fsm_engine.handlers.checkpoint.rank_states import with_other_ranks


class JointSave:
    """One save of all ranks: one rank decides, and gets the states of the others.

    Args:
        meeting: the meeting of the ranks.
        lead: the rank that decides and writes.
        what: the purpose, for messages; equal on all ranks.
        is_exact: whether the checkpoint holds the states of all ranks, or only the state of `lead`.
    """

    def __init__(self, meeting: Meeting, lead: int, what: str, is_exact: bool) -> None:
        self._meeting, self._lead, self._what, self._is_exact = meeting, lead, what, is_exact
        self._own: Any = None

    def run(
        self, decide: Callable[[], Decision | None], collect: Callable[[Decision], Any]
    ) -> tuple[Decision | None, Any]:
        """Return the decision of `lead`, and the checkpoint of this rank, which on `lead` includes the other ranks.

        Args:
            decide: returns the decision, or None if nothing is saved; called on `lead`.
            collect: returns the checkpoint of this rank.

        Raises:
            MeetingError: another rank does not save, or cannot.
            Exception: `decide` or `collect` raised it.
        """

        def announce() -> dict[str, Any] | None:
            decision = decide()
            if decision is None:
                return None
            self._own = collect(decision)
            return {**decision.as_plain_data(), "outline": outline(self._own) if self._is_exact else None}

        announced = self._meeting.tell(self._lead, self._what, announce)
        differences = self._meeting.collect(self._lead, self._what, lambda: self._answer(announced, collect))
        if announced is None:
            return None, None
        if self._is_exact and self._meeting.rank == self._lead:
            self._own = with_other_ranks(self._own, differences)
        return Decision.of(announced), self._own

    def _answer(self, announced: Any, collect: Callable[[Decision], Any]) -> dict[str, Any] | None:
        """Return how the checkpoint of this rank differs from the one that `lead` has announced."""
        if announced is None:
            return None
        self._own = collect(Decision.of(announced))
        found = difference(self._own, announced["outline"]) if self._is_exact else None
        check_plain(found)
        return found
