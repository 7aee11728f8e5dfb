"""The same random programs behave the same on pytorch-ignite and on fsm_engine.

Where fsm_engine differs on purpose, both must agree up to the point where the difference begins. Each difference has a
test of its own in test_deliberately_better.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from programs import EVENTS, KINDS, SIGNALS, USER_CODE, Program, Recording, Run, programs

import fsm_engine

ignite = pytest.importorskip("ignite.engine")

NO_EPOCH_OPEN = {
    "STARTED",
    "EPOCH_COMPLETED",
    "TERMINATE_SINGLE_EPOCH",
    "COMPLETED",
    "TERMINATE",
    "INTERRUPT",
    "EXCEPTION_RAISED",
}


def differences(program: Program, log: list[Any]) -> Iterator[tuple[int, str]]:
    """Yield each index of the log of a program at which fsm_engine may begin to differ, and the reason."""
    for place, entry in enumerate(log):
        if entry == "run" and place and program.kind == "generator":
            yield place, "a consumed generator is an error, not a run without iterations"
        number = log[:place].count("run")
        if entry == "run" and number and program.runs[number].has_data > program.runs[number - 1].has_data:
            yield place, "a suspended run without data that is given some uses it"
        if entry == "run" and place and _is_unknown_length(program) and _starts_anew(program.runs[number], log[place:]):
            yield place, "a new run counts the length of its data again"
        if entry == "run" and number and _is_unknown_length(program) and not program.runs[number].has_data:
            yield place, "a suspended run keeps its data even if the length of its epochs is unknown"
        if entry == "run" and place and _cut_an_epoch_short(program, log[:place]):
            yield place, "an epoch cut short does not shorten epochs of the next run"
        if entry[0] != "does":
            continue
        _, what, where = entry
        if what == "raise":
            yield place, "an exception ends the run, and the next run works"
        if what.startswith("terminate_epoch") and where in NO_EPOCH_OPEN:
            yield place, "terminate_epoch with no epoch open is an error where it is called"
        if what.startswith("terminate_epoch") and where == "EPOCH_STARTED":
            yield place, "terminate_epoch at EPOCH_STARTED skips the epoch"
        if what.startswith("terminate_epoch") and program.kind == "generator" and program.epoch_length is None:
            yield place, "an epoch without iterations does not set the length"
        if what == "terminate_epoch, skip" and where == "end":
            yield place, "terminate_epoch at the end of the data fires TERMINATE_SINGLE_EPOCH"
        if what.startswith("terminate_epoch") and any(act == "open" for act, _ in program.acts):
            yield place, "the data is opened again only for another epoch"
        if what == "interrupt" and where in ("STARTED", "EPOCH_STARTED", "DATALOADER_STOP_ITERATION", "end"):
            yield place, "a run that is interrupted there resumes properly"
        if where in ("INTERRUPT", "TERMINATE", "EXCEPTION_RAISED"):
            yield place, "a signal without an edge is dropped"
    if _is_unknown_length(program) and any(run.max_iters for run in program.runs):
        steps = [place for place, entry in enumerate(log) if entry[0] == "step"]
        yield steps[: program.length][-1] if steps else 0, "unknown length with max_iters leaves max_epochs alone"


def _is_unknown_length(program: Program) -> bool:
    return program.kind in ("unsized", "generator") and program.epoch_length is None


def _starts_anew(run: Run, log: list[Any]) -> bool:
    """Return True if the run at the beginning of `log` has no limit, or starts with epoch 0 and iteration 0."""
    has_limit = run.max_epochs is not None or run.max_iters is not None
    return not has_limit or (len(log) > 1 and log[1][1:3] == (0, 0))


def _cut_an_epoch_short(program: Program, log: list[Any]) -> bool:
    return any(run.max_iters for run in program.runs) or any(e[0] == "does" and "terminate" in e[1] for e in log)


def compare(program: Program) -> tuple[Recording, str]:
    """Run `program` on both, fail if they differ without a reason, and return our recording and the reason."""
    ours = Recording(fsm_engine, program).run()
    assert not ours.ran_away, program
    oracle = Recording(ignite, program).run()
    theirs = oracle.log
    if oracle.ran_away:
        return ours, "a run whose data is exhausted ends"
    if ours.log == theirs:
        return ours, ""
    first = next((k for k, (a, b) in enumerate(zip(ours.log, theirs)) if a != b), min(len(ours.log), len(theirs)))
    reasons = sorted(reason for reason in differences(program, ours.log) if reason[0] <= first)
    assert reasons, f"\n{program}\nafter {theirs[:first]}\nignite: {theirs[first:]}\nours: {ours.log[first:]}"
    return ours, reasons[0][1]


@hypothesis.settings(max_examples=2000, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(programs())
def test_random_programs_behave_as_on_ignite(program: Program) -> None:
    compare(program)


def test_every_signal_at_every_event_with_every_kind_of_data_behaves_as_on_ignite() -> None:
    done: set[tuple[str, str, str]] = set()
    for kind in KINDS:
        for where in EVENTS + USER_CODE:
            for what in (*SIGNALS, "raise"):
                for acts in _programs_with(where, what):
                    for runs in ((Run(max_epochs=2), Run(has_data=kind != "none", max_epochs=3)), (Run(max_iters=4),)):
                        if kind == "generator" and runs[0].max_iters:
                            continue
                        program = Program(kind, 3, 3 if kind in ("endless", "none") else None, runs, acts)
                        done |= {(kind, *pair) for pair in compare(program)[0].done}
    wanted = {(kind, where, what) for kind in KINDS for where in EVENTS + USER_CODE for what in (*SIGNALS, "raise")}
    assert wanted - done == {key for key in wanted if _cannot_occur(*key)}


def _programs_with(where: str, what: str) -> Iterator[dict[tuple[str, int], str]]:
    """Yield programs of actions that perform `what` at `where`."""
    leading = {"TERMINATE": "terminate", "TERMINATE_SINGLE_EPOCH": "terminate_epoch", "INTERRUPT": "interrupt"}
    first = leading.get(where, "raise" if where == "EXCEPTION_RAISED" else None)
    for number in (1, 2):
        yield {(where, number): what, **({("ITERATION_COMPLETED", 2): first} if first else {})}


def _cannot_occur(kind: str, where: str, what: str) -> bool:
    if where in ("GET_BATCH_STARTED", "GET_BATCH_COMPLETED"):
        return kind == "none"
    if where == "DATALOADER_STOP_ITERATION":
        return kind in ("none", "endless")
    if where == "end":
        return kind in ("none", "list", "endless")
    return where in ("open", "fetch") and kind in ("none", "list", *(["generator"] if where == "open" else []))
