"""`JointSave`: all ranks save one checkpoint, or none does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fsm_engine.distributed.meeting import Meeting, MeetingError
from fsm_engine.handlers.checkpoint.checkpoint_objects import check_plain
from fsm_engine.handlers.checkpoint.decision import Decision
from fsm_engine.handlers.checkpoint.rank_differences import difference, outline
from fsm_engine.handlers.checkpoint.rank_states import with_other_ranks
from fsm_engine.handlers.checkpoint.sharded_tensors import TABLE
from fsm_engine.handlers.checkpoint.shards import check_is_shared


class Contents(NamedTuple):
    """The contents of a checkpoint on one rank.

    Attributes:
        state: the state dicts of the objects, without sharded tensors.
        tensors: the parts that this rank has of the sharded tensors.
        shards: the name of the folder that these are written to; None without such tensors.
    """

    state: Any
    tensors: Mapping[str, Any]
    shards: str | None = None


class JointSave:
    """One save of all ranks: one rank decides, and gets the states of the others.

    Args:
        meeting: the meeting of the ranks.
        lead: the rank that decides and writes.
        what: the purpose, for messages; equal on all ranks.
        is_exact: whether the checkpoint holds the states of all ranks, or only the state of `lead`.
        handler: the save handler.
    """

    def __init__(self, meeting: Meeting, lead: int, what: str, is_exact: bool, handler: Any) -> None:
        self._meeting, self._lead, self._what, self._is_exact = meeting, lead, what, is_exact
        self._handler = handler

    def run(
        self, decide: Callable[[], Decision | None], collect: Callable[[Decision], Contents]
    ) -> tuple[Decision, Contents] | None:
        """Return the decision of `lead`, and the contents on this rank, which on `lead` include the other ranks.

        Args:
            decide: returns the decision, or None if nothing is saved; called on `lead`.
            collect: returns the contents on this rank.

        Raises:
            MeetingError: another rank does not save, or cannot.
            Exception: `decide` or `collect` raised it.
        """
        own = Contents(None, {})

        def announce() -> dict[str, Any] | None:
            nonlocal own
            decision = decide()
            if decision is None:
                return None
            own = with_shards(collect(decision), decision, self._handler)
            seen = outline(own.state) if self._is_exact else None
            return {**decision.as_plain_data(), "outline": seen, "shards": own.shards, "table": _table_hash(own)}

        def answer() -> dict[str, Any] | None:
            nonlocal own
            if announced is None:
                return None
            own = collect(decision := Decision.of(announced))._replace(shards=announced["shards"])
            self._check_shards(decision, own, announced["table"])
            found = difference(own.state, announced["outline"]) if self._is_exact else None
            check_plain(found)
            return found

        announced = self._meeting.tell(self._lead, self._what, announce)
        needs_all = announced is not None and announced["shards"] is not None
        differences = self._answers(answer, needs_all)
        if announced is None:
            return None
        if self._is_exact and self._meeting.rank == self._lead:
            own = own._replace(state=with_other_ranks(own.state, differences))
        return Decision.of(announced), own

    def _answers(self, answer: Callable[[], Any], needs_all: bool) -> Mapping[int, Any]:
        """Return the answers of the other ranks on `lead`. With `needs_all`, no rank returns if one has no answer."""
        error: Exception | None = None
        answers: Mapping[int, Any] = {}
        try:
            answers = self._meeting.collect(self._lead, self._what, answer)
        except Exception as failure:
            error = failure
        if needs_all:
            try:
                self._meeting.tell(self._lead, self._what, lambda: _raise(error))
            except MeetingError:
                if error is None:
                    raise
        if error is not None:
            raise error
        return answers

    def _check_shards(self, decision: Decision, own: Contents, table: str | None) -> None:
        """Check that this rank can write its part of the sharded tensors of `lead`."""
        if _table_hash(own) != table:
            raise ValueError(
                f"the sharded tensors of rank {self._lead} have other names or shapes. Shard the objects in to_save "
                f"alike on all ranks. Stages of a pipeline, which differ, cannot be saved together."
            )
        if own.shards is not None:
            check_is_shared(self._handler.dirname / decision.item.filename / own.shards, self._lead)


def with_shards(contents: Contents, decision: Decision, handler: Any) -> Contents:
    """Return the contents with a new folder for shards, if there are sharded tensors; on the rank that writes."""
    if not contents.tensors:
        return contents
    return contents._replace(shards=handler.begin_shards(decision.item.filename))


def _table_hash(contents: Contents) -> str | None:
    """Return a hash of the names, shapes and types of the sharded tensors; None if there are none."""
    return hashlib.sha256(repr(contents.state[TABLE]).encode()).hexdigest() if contents.tensors else None


def _raise(error: Exception | None) -> None:
    if error is not None:
        raise error
