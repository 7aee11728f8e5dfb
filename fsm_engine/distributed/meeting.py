"""`Meeting`: ranks exchange plain data at a place that all of them reach, such as the save of a checkpoint."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.distributed.distributed_c10d import Store

from fsm_engine.distributed.failures import Failures
from fsm_engine.timeline.collective_calls import collective_call

_CHUNK = 2**22
"""The bytes of one value in the store, which refuses values above 8 MiB."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.0005, 0.02
"""Seconds between two looks at the store."""

_FIX = (
    "Call ranks.attach() with the same engines in the same order on all ranks, run these on all ranks, and attach the "
    "same handlers."
)


class MeetingError(RuntimeError):
    """Raised on a rank if another one does not come to a meeting, cannot do its part, or is at another place."""


class Meeting:
    """Exchanges plain data between the ranks through the store of the process group.

    The ranks come to the same meetings in the same order. Collectives are not used, because a rank that does not come
    would take part in them with other data. A rank that waits ends with an error when another rank fails, or after the
    timeout; the error names the ranks that have not come.

    Args:
        store: the store that all ranks share.
        rank: the number of this process.
        world_size: the number of processes.
        failures: the failures of the group.
        timeout: how long to wait for other ranks, in seconds.

    Attributes:
        store: a connection to the store, which no thread uses for long.
    """

    def __init__(self, store: Store, rank: int, world_size: int, failures: Failures, timeout: float) -> None:
        self.rank, self.world_size, self.timeout = rank, world_size, timeout
        self.store, self._failures = store.clone(), failures
        self._count = 0
        self._told: list[str] = []  # the keys of values that other ranks may not have read yet

    def tell(self, lead: int, what: str, make: Callable[[], Any]) -> Any:
        """Return ``make()`` of the rank `lead` on all ranks.

        Args:
            lead: the rank that calls `make`.
            what: the purpose of the meeting, for messages. It is equal on all ranks.
            make: returns plain data. Its exception is raised on `lead`.

        Raises:
            ValueError: there is no rank `lead`.
            MeetingError: `make` failed on `lead`, or `lead` does something else or does not come.
        """
        if lead >= self.world_size:
            raise ValueError(f"rank {lead} should {what}, and there are only ranks 0 to {self.world_size - 1}.")
        self._count += 1
        if self.rank != lead:
            return self._heard(lead, what)
        try:
            value = make()
        except Exception as error:
            self._told += self._put({"what": what, "error": _text(error)})
            raise
        self._told += self._put({"what": what, "value": value})
        return value

    def collect(self, lead: int, what: str, make: Callable[[], Any]) -> Mapping[int, Any]:
        """Return ``make()`` of each other rank on the rank `lead`; on other ranks an empty mapping.

        An exception of `make` is raised on its rank.

        Raises:
            MeetingError: on `lead`, if `make` failed on another rank, or a rank does something else or does not come.
        """
        self._count += 1
        if self.rank != lead:
            try:
                value = make()
            except Exception as error:
                self._put({"what": what, "error": _text(error)})
                raise
            self._put({"what": what, "value": value})
            return {}
        answers = self._answers(lead, what)
        errors = {rank: answer["error"] for rank, answer in answers.items() if "error" in answer}
        if errors:
            raise MeetingError(f"could not {what}: {in_words(errors)}")
        return {rank: answer["value"] for rank, answer in answers.items()}

    def errors(self, lead: int, what: str, error: Exception | None) -> Mapping[int, str]:
        """Return the errors of all ranks by rank, without the ranks that have none.

        Raises:
            MeetingError: a rank does something else or does not come.
        """
        own = {} if error is None else {self.rank: _text(error)}
        others = self.collect(lead, what, lambda: own)
        every = {rank: text for answer in (own, *others.values()) for rank, text in answer.items()}
        return self.tell(lead, what, lambda: dict(sorted(every.items())))  # type: ignore[no-any-return]

    def exchange(self, what: str, value: Any) -> list[Any]:
        """Return the values of all ranks, which are plain data, in the order of the ranks, on all ranks.

        Raises:
            MeetingError: a rank does something else or does not come.
        """
        others = self.collect(0, what, lambda: value)
        return self.tell(0, what, lambda: [value, *(others[rank] for rank in range(1, self.world_size))])  # type: ignore[no-any-return]

    def _heard(self, lead: int, what: str) -> Any:
        message = self._take([lead], what)[lead]
        if message["what"] != what:
            error = MeetingError(_mismatch({self.rank: what, lead: message["what"]}))
            self._count += 1
            self._put({"what": what, "error": str(error)})  # `lead` waits for an answer
            raise error
        if "error" in message:
            raise MeetingError(f"could not {what}: {in_words({lead: message['error']})}")
        return message["value"]

    def _answers(self, lead: int, what: str) -> dict[int, Any]:
        answers = self._take([rank for rank in range(self.world_size) if rank != lead], what)
        for key in [*self._told, *(key for rank in answers for key in self._keys(rank))]:
            self.store.delete_key(key)  # a rank that answers has read the values of earlier meetings
        self._told.clear()
        others = {rank: answer["what"] for rank, answer in answers.items() if answer["what"] != what}
        if others:
            raise MeetingError(_mismatch({lead: what, **others}))
        return answers

    def _put(self, value: Any) -> list[str]:
        """Write `value`, and return the keys of its parts."""
        buffer = io.BytesIO()
        torch.save(value, buffer)
        data = buffer.getvalue()
        parts = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
        key = self._key(self.rank)
        for number, part in enumerate(parts):
            self.store.set(f"{key}/{number}", part)  # type: ignore[arg-type]  # it takes bytes
        self.store.set(key, str(len(parts)))
        return [key, *(f"{key}/{number}" for number in range(len(parts)))]

    def _take(self, ranks: Sequence[int], what: str) -> dict[int, Any]:
        """Wait for the values of `ranks`, and return them."""
        with collective_call(what, is_wait=True):
            self._wait_for(ranks, what)
        return {rank: self._get(rank) for rank in ranks}

    def _wait_for(self, ranks: Sequence[int], what: str) -> None:
        deadline, pause = time.monotonic() + self.timeout, _SHORTEST_PAUSE
        while not self.store.check([self._key(rank) for rank in ranks]):
            if self._failures.has_other:
                raise self._failures.error()
            if time.monotonic() > deadline:
                missing = [rank for rank in ranks if not self.store.check([self._key(rank)])]
                raise MeetingError(
                    f"rank {self.rank} waits to {what}, and {_names(missing)} did not come within "
                    f"{self.timeout:g} s. Every rank has to do it. {_FIX}"
                )
            time.sleep(pause)  # does not block in the store, because signals have to be handled meanwhile
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _get(self, rank: int) -> Any:
        data = b"".join(bytes(self.store.get(key)) for key in self._keys(rank)[1:])
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)

    def _keys(self, rank: int) -> list[str]:
        key = self._key(rank)
        return [key, *(f"{key}/{part}" for part in range(int(self.store.get(key))))]

    def _key(self, rank: int) -> str:
        return f"meeting/{self._count}/{rank}"


def in_words(errors: Mapping[int, str]) -> str:
    """Return the errors of ranks as part of a sentence; ranks with the same error are named together."""
    ranks: dict[str, list[int]] = {}
    for rank, text in errors.items():
        ranks.setdefault(text, []).append(rank)
    return "; ".join(f"{_names(same)}: {text}" for text, same in ranks.items())


def _names(ranks: Sequence[int]) -> str:
    return f"rank{'s' if len(ranks) > 1 else ''} {', '.join(map(str, ranks))}"


def _mismatch(places: Mapping[int, str]) -> str:
    listed = "; ".join(f"rank {rank}: {what}" for rank, what in sorted(places.items()))
    return f"ranks do different things at the same time ({listed}). {_FIX}"


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, MeetingError) else f"{type(error).__name__}: {error}".rstrip(": ")
