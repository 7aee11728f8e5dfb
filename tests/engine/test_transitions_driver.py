"""The `transitions` library: as a second driver, as a target of exports, and as a source of lifecycles."""

from __future__ import annotations

from typing import Any

import pytest
from training_graph import path

from fsm_engine import Engine, EventEnum, Events, IllegalTransition, Lifecycle, LifecycleError

transitions = pytest.importorskip("transitions")


class B(EventEnum):
    BACKWARD = "backward"
    GUIDE_STARTED = "guide_started"
    GUIDE_COMPLETED = "guide_completed"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def moves(engine: Engine) -> list[str]:
    seen: list[str] = []
    engine.observe(lambda _, transition: seen.append(str(transition)))
    return seen


# The driver


def test_the_machine_is_in_the_phase_of_the_run() -> None:
    engine, seen = Engine(echo), []
    machine = engine.machine
    assert type(machine) is transitions.Machine
    assert machine.model.phase == "IDLE"
    engine.on(Events.ITERATION_STARTED)(lambda: seen.append(machine.model.phase))
    engine.run([7, 8], driver="transitions", until=Events.ITERATION_COMPLETED(once=2))
    assert seen == ["Events.ITERATION_STARTED"] * 2
    assert engine.machine is machine
    assert machine.model.phase == "Events.INTERRUPT"
    engine.run(driver="transitions")
    assert engine.machine.model.phase == "IDLE"


def test_the_machine_takes_every_transition_itself() -> None:
    engine, seen = Engine(echo), []
    names = ["Events.EPOCH_STARTED", "Events.ITERATION_COMPLETED"]
    for name in names:
        engine.machine.get_state(name).add_callback("enter", lambda *_, name=name: seen.append(name))
    engine.run([7], driver="transitions")
    assert seen == names


def test_an_unknown_driver_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"driver='fast'.*'compiled' or 'transitions'"):
        Engine(echo).run([7], driver="fast")


def test_the_machine_follows_changes_of_the_lifecycle() -> None:
    engine = Engine(lambda engine, batch: engine.fire_event(B.BACKWARD))
    before = engine.machine
    engine.lifecycle.add_path(Events.ITERATION_STARTED >> B.BACKWARD >> Events.ITERATION_COMPLETED, required=True)
    assert engine.machine is not before
    assert "B.BACKWARD" in engine.machine.states
    one, other = moves(engine), []
    engine.run([7], driver="transitions")
    other, one[:] = one[:], []
    engine.run([7])
    assert one == other


# Export


def test_the_exported_machine_accepts_or_rejects_a_sequence_of_labels() -> None:
    machine = Lifecycle.training().to_transitions()
    between = [transition.label for transition in path(Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)]
    for label in ("run", "next_epoch", "next_batch", "got_batch", *between, "step_done", "epoch_full", "nothing_left"):
        assert machine.model.trigger(label)
    assert machine.model.phase == "Events.COMPLETED"
    with pytest.raises(transitions.MachineError):
        machine.model.trigger("step_done")


# Import


class Trainer:
    """The model of a machine of the library."""

    def __init__(self) -> None:
        self.loss, self.log = 8.0, []

    def is_good(self) -> bool:
        return self.loss < 2

    def on_enter_validating(self) -> None:
        self.log.append("entered validating")


def machine_of(model: Any, **more: Any) -> Any:
    return transitions.Machine(
        model=model,
        states=["training", "validating", "finished"],
        initial="training",
        transitions=[
            {"trigger": "validate", "source": "training", "dest": "validating"},
            {"trigger": "stop", "source": "validating", "dest": "finished", "conditions": "is_good"},
            {"trigger": "resume", "source": "validating", "dest": "training"},
        ],
        auto_transitions=False,
        **more,
    )


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_machine_of_the_library_trains(driver: str) -> None:
    model = Trainer()

    def train(engine: Engine) -> float:
        model.loss /= 2
        return model.loss

    lifecycle = Lifecycle.from_transitions(
        machine_of(model), {"training": train, "validating": lambda: None}, name="mine"
    )
    assert lifecycle.check() == []
    engine = Engine(lifecycle=lifecycle)
    seen = moves(engine)
    engine.on("validating")(lambda: model.log.append(model.state))
    engine.run(driver=driver)
    assert seen == [
        "IDLE --run--> STARTED",
        "STARTED --training--> training",
        *("training --validate--> validating", "validating --resume--> training") * 2,
        "training --validate--> validating",
        "validating --stop--> finished",
        "finished --completed--> COMPLETED",
        "COMPLETED --done--> IDLE",
    ]
    assert model.log == ["entered validating", "validating"] * 3
    assert (engine.state.output, model.state) == (1.0, "finished")
    model.loss, model.log = 2.0, []
    engine.run(driver=driver)
    assert (engine.state.output, model.log) == (1.0, ["entered validating", "validating"])


def test_the_activity_chooses_among_exits_without_conditions() -> None:
    model = type("Model", (), {})()
    machine = transitions.Machine(
        model=model,
        states=["play", "win", "lose"],
        initial="play",
        transitions=[["won", "play", "win"], ["lost", "play", "lose"]],
        auto_transitions=False,
    )
    for choice, state in (("won", "win"), ("lost", "lose")):
        engine = Engine(lifecycle=Lifecycle.from_transitions(machine, {"play": lambda *, choice=choice: choice}))
        engine.run()
        assert model.state == state
    with pytest.raises(IllegalTransition, match=r"exit of play .*won and lost have no conditions.* name of a trigger"):
        Engine(lifecycle=Lifecycle.from_transitions(machine, {"play": lambda: "unknown"})).run()


@pytest.mark.parametrize(
    ("machine", "activities", "message"),
    [
        (lambda: machine_of(Trainer()), {"sleeping": echo}, "'sleeping' .* training, validating, finished"),
        (lambda: machine_of([Trainer(), Trainer()]), {}, "one model, but it has 2"),
        (
            lambda: transitions.extensions.HierarchicalMachine(
                states=["a", {"name": "b", "children": ["c"]}], initial="a", auto_transitions=False
            ),
            {},
            "nested states",
        ),
    ],
)
def test_machines_that_cannot_be_imported_are_errors(machine: Any, activities: Any, message: str) -> None:
    import transitions.extensions  # noqa: F401

    with pytest.raises(LifecycleError, match=message):
        Lifecycle.from_transitions(machine(), activities)


# Discovery


def test_discovery_finds_where_callback_events_are_fired() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(B.GUIDE_STARTED)
        engine.fire_event(B.GUIDE_COMPLETED)

    engine = Engine(step)
    engine.register_events(*B)
    log: list[str] = []
    engine.on(B.GUIDE_STARTED)(lambda: log.append("handler"))
    before = engine.lifecycle.graph
    with engine.discover() as found:
        engine.run([7, 8, 9])
    assert (
        found.moves
        == engine.lifecycle.discovered
        == {
            Events.ITERATION_STARTED >> B.GUIDE_STARTED: 3,
            B.GUIDE_STARTED >> B.GUIDE_COMPLETED: 3,
            B.GUIDE_COMPLETED >> Events.ITERATION_COMPLETED: 3,
        }
    )
    assert str(found).splitlines() == [
        "ITERATION_STARTED -> GUIDE_STARTED        3",
        "GUIDE_STARTED     -> GUIDE_COMPLETED      3",
        "GUIDE_COMPLETED   -> ITERATION_COMPLETED  3",
    ]
    assert engine.lifecycle.graph is before
    assert not engine.has_handlers(Events)
    engine.run([7])
    assert sum(found.moves.values()) == 9
    assert log == ["handler"] * 4


def test_discovered_moves_can_be_declared() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(B.GUIDE_STARTED)

    engine = Engine(step)
    engine.register_events(B.GUIDE_STARTED)
    with engine.discover() as found:
        engine.run([7])
    first, last = found.moves
    engine.lifecycle.add_path(first >> last.target, required=True)
    with engine.discover() as found:
        engine.run([7])
    assert [edge for edge in engine.lifecycle.discovered if edge not in (first, last)] == []
    assert engine.lifecycle.check() == []


def test_discovery_without_callback_events_says_so() -> None:
    engine = Engine(echo)
    with engine.discover() as found:
        engine.run([7])
    assert str(found) == "no callback event was fired"
