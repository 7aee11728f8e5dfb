"""`Failures`: tells every rank which rank failed first, and why."""

from __future__ import annotations

import logging
import threading

from fsm_engine.distributed.event_log import EventLog, Message

_logger = logging.getLogger(__name__)


class RankError(RuntimeError):
    """Raised on a rank because another rank failed first. Its ``__cause__`` is the exception of this rank, if any."""


class Failures:
    """The exceptions that ended runs or sessions on the ranks, in the order of the log, which all ranks share.

    The exceptions of the other ranks, such as a connection that the failed rank has closed, usually come later. So the
    first one is the cause.

    Args:
        log: the messages of the group.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._received = threading.Condition()
        self._all: list[Message] = []
        self._reported: BaseException | None = None
        log.subscribe(self._receive)

    @property
    def has_any(self) -> bool:
        """True once a rank has failed, also if a handler of EXCEPTION_RAISED has handled it."""
        return bool(self._all)

    @property
    def has_other(self) -> bool:
        """True once another rank has failed before this one."""
        return bool(self._all) and self._all[0]["rank"] != self._log.rank

    def report(self, error: BaseException, place: str) -> None:
        """Tell all ranks that this rank failed with `error` in `place`. A second report of an exception is ignored."""
        if error is self._reported or isinstance(error, RankError):
            return
        self._reported = error
        self._log.post({"kind": "failed", "error": _text(error), "place": place})

    def is_caused_elsewhere(self, error: BaseException) -> bool:
        """Return True if another rank failed first, with another error than this one, which all ranks may raise."""
        return self.has_other and self._all[0]["error"] != _text(error)

    def error(self) -> RankError:
        """Return the exception that names the rank that failed first."""
        return RankError(_sentence(self._all[0]))

    def wait_for_own(self, timeout: float) -> None:
        """Wait until the report of this rank is in the log, so that an earlier one is known."""
        with self._received:
            self._received.wait_for(lambda: any(each["rank"] == self._log.rank for each in self._all), timeout)

    def _receive(self, _number: int, message: Message) -> None:
        if message["kind"] != "failed":
            return
        if not self._all and message["rank"] != self._log.rank:
            _logger.error("%s", _sentence(message))
        with self._received:
            self._all.append(message)
            self._received.notify_all()
        self._log.stop_waiting()


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _sentence(message: Message) -> str:
    return f"Rank {message['rank']} failed {message['place']}: {message['error']}"
