"""Test custom lifecycles: without data, without epochs, with activities, counters and engines as activities."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from fsm_engine import BusyError, Engine, EventEnum, Events, Lifecycle, LifecycleError, Scope

DRIVERS = ("compiled", "transitions")


class P(EventEnum):
    COLLECT = "collect"
    LEARN = "learn"
    EVALUATE = "evaluate"
    REPORT = "report"


def collect(engine: Engine) -> list[int]:
    return [engine.state.rounds] * 3


def learn(engine: Engine) -> int:
    return sum(engine.state.output)


def solved(engine: Engine) -> bool:
    return bool(engine.state.rounds >= 3)


def ppo() -> Lifecycle:
    lifecycle = Lifecycle("ppo")
    lifecycle.add_phase(P.COLLECT, activity=collect, counter="rounds")
    lifecycle.add_phase(P.LEARN, activity=learn)
    lifecycle.add_path(Events.STARTED >> P.COLLECT >> P.LEARN >> P.COLLECT)
    lifecycle.add_transition(P.LEARN >> Events.COMPLETED, guard=solved)
    return lifecycle


def log_of(engine: Engine) -> list[Any]:
    log: list[Any] = []
    for phase in engine.lifecycle.phases[1:]:
        if phase.event is not Events.EXCEPTION_RAISED:
            engine.add_event_handler(phase.event, lambda e, n=phase.name: log.append((n, e.state.rounds)))
    return log


@pytest.mark.parametrize("driver", DRIVERS)
def test_collect_and_learn_until_solved(driver: str) -> None:
    engine = Engine(lifecycle=ppo())
    log = log_of(engine)
    state = engine.run(driver=driver)
    rounds = [(name, number) for number in (1, 2, 3) for name in ("COLLECT", "LEARN")]
    assert log == [("STARTED", 0), *rounds, ("COMPLETED", 3)]
    assert (state.output, engine.outcome) == (9, "completed")
    engine.run(driver=driver)
    assert log[8:] == log[:8]


def test_filters_use_the_counter() -> None:
    engine, seen = Engine(lifecycle=ppo()), []
    engine.on(P.COLLECT(every=2))(lambda: seen.append(engine.state.rounds))
    engine.on(P.LEARN(once=3))(lambda: seen.append("learned thrice"))
    engine.run()
    engine.run()
    assert seen == [2, "learned thrice"] * 2


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_copy_of_an_interrupted_run_resumes(driver: str) -> None:
    engine = Engine(lifecycle=ppo())
    engine.run(until=P.LEARN(once=2), driver=driver)
    for resumed in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine)), engine):
        assert (resumed.phase.name, resumed.state.rounds, resumed.state.output) == ("INTERRUPT", 2, [2, 2, 2])
        log = log_of(resumed)
        resumed.run(driver=driver)
        assert log == [("RESUMED", 2), ("COLLECT", 3), ("LEARN", 3), ("COMPLETED", 3)]
        assert resumed.state.output == 9


def test_the_state_dict_has_the_phase_and_the_counters() -> None:
    engine = Engine(lifecycle=ppo())
    engine.run(until=P.LEARN(once=2))
    saved = engine.state_dict()
    assert dict(saved) == {"rounds": 2, "phase": "P.LEARN"}
    other = Engine(lifecycle=ppo())
    other.state.output = [2, 2, 2]
    other.load_state_dict(saved)
    log = log_of(other)
    other.run()
    assert log == [("RESUMED", 2), ("COLLECT", 3), ("LEARN", 3), ("COMPLETED", 3)]


@pytest.mark.parametrize(
    ("given", "fragments"),
    [
        ({"rounds": 2}, ("'phase' is absent", "['rounds']")),
        ({"phase": "P.LEARN"}, ("'rounds' is absent", "['phase']")),
        ({"rounds": 2, "phase": "P.SLEEP"}, ("'P.SLEEP'", "P.COLLECT, P.LEARN")),
    ],
)
def test_an_invalid_state_dict_raises_and_changes_nothing(given: dict[str, Any], fragments: tuple[str, ...]) -> None:
    engine = Engine(lifecycle=ppo())
    before = engine.state.attributes()
    with pytest.raises(ValueError, match=r"^(Required|'phase')") as error:
        engine.load_state_dict(given)
    assert all(fragment in str(error.value) for fragment in fragments), str(error.value)
    assert engine.state.attributes() == before


@pytest.mark.parametrize("limit", [{"max_epochs": 2}, {"max_iters": 2}, {"epoch_length": 2}])
def test_limits_of_epochs_are_rejected_without_epochs(limit: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(limit))}=2") as error:
        Engine(lifecycle=ppo()).run(**limit)  # type: ignore[arg-type]
    assert "ppo" in str(error.value)


def test_signals_work_without_epochs() -> None:
    engine = Engine(lifecycle=ppo())
    engine.on(P.LEARN(once=2))(lambda: engine.terminate())
    log = log_of(engine)
    engine.run()
    assert log[-2:] == [("TERMINATE", 2), ("COMPLETED", 2)]
    assert engine.outcome == "terminated"
    with pytest.raises(RuntimeError, match="where no epoch is open"):
        engine.terminate_epoch()


def test_engine_with_a_step_is_the_training_lifecycle() -> None:
    def step(engine: Engine, batch: Any) -> Any:
        return batch

    one, other = Engine(step), Engine(lifecycle=Lifecycle.training(step))
    assert one.lifecycle == other.lifecycle
    assert other.run([7]).output == 7


def test_a_step_and_a_lifecycle_together_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"both a step and a lifecycle.*Lifecycle\.training\(step\)"):
        Engine(lambda engine, batch: None, lifecycle=ppo())
    with pytest.raises(TypeError, match="lifecycle must be a Lifecycle, got <function"):
        Engine(lifecycle=solved)  # type: ignore[arg-type]


def test_a_lifecycle_is_a_definition_that_engines_copy() -> None:
    lifecycle = ppo()
    one, other = Engine(lifecycle=lifecycle), Engine(lifecycle=lifecycle)
    one.lifecycle.insert(P.REPORT, after=P.LEARN)
    assert len(one.lifecycle.phases) == len(other.lifecycle.phases) + 1 == len(lifecycle.phases) + 1
    assert not other.has_registered_events(P.REPORT)


def test_an_unfinished_lifecycle_does_not_run() -> None:
    with pytest.raises(LifecycleError, match=r"^STARTED gets stuck"):
        Engine(lifecycle=Lifecycle("empty")).run()


# Activities


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_engine_is_an_activity(driver: str) -> None:
    evaluator = Engine(lambda engine, batch: batch * 10)
    trainer = Engine(lambda engine, batch: batch)
    trainer.lifecycle.insert(P.EVALUATE, after=Events.EPOCH_COMPLETED, activity=evaluator, data=[1, 2])
    log: list[Any] = []
    trainer.on(P.EVALUATE)(lambda: log.append(("evaluate", trainer.state.epoch)))
    evaluator.on(Events.COMPLETED)(lambda: log.append(("evaluated", evaluator.state.output)))
    trainer.on(Events.COMPLETED)(lambda: log.append("completed"))
    trainer.run([7], max_epochs=2, driver=driver)
    assert log == [("evaluate", 1), ("evaluated", 20), ("evaluate", 2), ("evaluated", 20), "completed"]
    assert trainer.state.output == 7
    assert "run of training" in str(trainer.lifecycle)


def test_a_result_that_is_not_none_becomes_the_output() -> None:
    lifecycle = Lifecycle("chain")
    results = iter([1, None, 3])
    for event in (P.COLLECT, P.LEARN, P.EVALUATE):
        lifecycle.add_phase(event, activity=lambda engine: seen.append(engine.state.output) or next(results))
    lifecycle.add_path(Events.STARTED >> P.COLLECT >> P.LEARN >> P.EVALUATE >> Events.COMPLETED)
    seen: list[Any] = []
    assert Engine(lifecycle=lifecycle).run().output == 3
    assert seen == [None, 1, 1]


def test_keyword_arguments_are_passed_to_the_activity() -> None:
    lifecycle = Lifecycle("chain")
    lifecycle.add_phase(P.COLLECT, activity=lambda count: count, count=5)
    lifecycle.add_path(Events.STARTED >> P.COLLECT >> Events.COMPLETED)
    assert Engine(lifecycle=lifecycle).run().output == 5
    with pytest.raises(ValueError, match=r"takes parameters \['count'\] but will be called with .*, size=\.$"):
        Lifecycle("chain").add_phase(P.COLLECT, activity=lambda count: count, size=5)


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_activity_may_fire_phases(driver: str) -> None:
    def play(engine: Engine) -> None:
        for _ in range(2):
            engine.fire_event(P.EVALUATE)
            engine.fire_event(P.REPORT)

    lifecycle = Lifecycle("play")
    lifecycle.add_phase(P.COLLECT, activity=play)
    lifecycle.add_path(Events.STARTED >> P.COLLECT)
    lifecycle.add_path(P.COLLECT >> P.EVALUATE >> P.REPORT >> Events.COMPLETED)
    lifecycle.add_path(P.REPORT >> P.EVALUATE)
    engine, log = Engine(lifecycle=lifecycle), []
    engine.observe(lambda _, transition: log.append(transition.label))
    engine.run(driver=driver)
    assert log == ["run", "collect", *["evaluate", "report"] * 2, "completed", "done"]


def test_a_custom_scope_has_an_exit() -> None:
    rollout = Scope("rollout", Scope.RUN)
    lifecycle = ppo()
    lifecycle.add_phase(P.EVALUATE, scope=rollout)
    lifecycle.add_phase(P.REPORT, scope=rollout)
    lifecycle.remove_transition(P.LEARN >> P.COLLECT)
    lifecycle.add_path(P.LEARN >> P.EVALUATE >> P.REPORT >> P.COLLECT)
    engine, log = Engine(lifecycle=lifecycle), []
    engine.on_exit(rollout)(lambda transition: log.append((engine.state.rounds, str(transition))))
    engine.run()
    assert log == [(1, "REPORT --collect--> COLLECT"), (2, "REPORT --collect--> COLLECT")]


def test_data_is_available_to_activities() -> None:
    engine = Engine(lifecycle=ppo())
    engine.run([1, 2, 3])
    assert engine.state.dataloader == [1, 2, 3]


def test_a_custom_lifecycle_cannot_change_during_a_run() -> None:
    engine = Engine(lifecycle=ppo())
    engine.run(until=P.LEARN)
    with pytest.raises(BusyError, match="lifecycle cannot be changed while its engine is in INTERRUPT"):
        engine.lifecycle.insert(P.REPORT, after=P.LEARN)
    engine.run()
    engine.lifecycle.insert(P.REPORT, after=P.LEARN)
    engine.run()
    assert engine.outcome == "completed"
