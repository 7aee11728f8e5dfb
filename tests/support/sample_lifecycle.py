"""A lifecycle for the tests of files: `small` uses every key of a document, and `BIND` has its functions."""

from __future__ import annotations

from fsm_engine import Engine, EventEnum, Events, Lifecycle, Scope


class Ppo(EventEnum):
    """The phases of `small`."""

    COLLECT = "collect"
    LEARN = "learn"
    RETRY = "retry"


class SolverError(Exception):
    """An exception of the learning phase."""


def collect(engine: Engine, steps: int, source: object) -> int:
    return steps


def learn() -> None: ...


def is_solved() -> bool:
    return True


SOURCE = object()


def small() -> Lifecycle:
    """Return a lifecycle that uses every key of a document."""
    lifecycle = Lifecycle("ppo")
    rollout = Scope("roll.out", Scope.RUN)
    lifecycle.add_phase(Ppo.COLLECT, activity=collect, scope=rollout, counter="rounds", steps=64, source=SOURCE)
    lifecycle.add_phase(Ppo.LEARN, activity=learn, scope=rollout)
    lifecycle.add_path(Events.STARTED >> Ppo.COLLECT >> Ppo.LEARN >> Ppo.COLLECT)
    lifecycle.add_transition(Ppo.LEARN >> Events.COMPLETED, guard=is_solved, label="solved")
    lifecycle.add_transition(rollout >> Ppo.RETRY, error=(SolverError, MemoryError), limit=3)
    lifecycle.add_transition(Ppo.RETRY >> rollout)
    lifecycle.require(Ppo.COLLECT, before=Ppo.LEARN)
    return lifecycle


BIND = {
    "Ppo": Ppo,
    "collect": collect,
    "collect.source": SOURCE,
    "learn": learn,
    "is_solved": is_solved,
    "SolverError": SolverError,
}
