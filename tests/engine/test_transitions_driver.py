"""The library `transitions`: as a second driver, as what a lifecycle is written out to, and as what it is read from."""

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


def test_the_machine_stands_where_the_run_is() -> None:
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


def test_the_machine_makes_every_move_itself() -> None:
    engine, seen = Engine(echo), []
    names = ["Events.EPOCH_STARTED", "Events.ITERATION_COMPLETED"]
    for name in names:
        engine.machine.get_state(name).add_callback("enter", lambda *_, name=name: seen.append(name))
    engine.run([7], driver="transitions")
    assert seen == names


def test_another_driver_is_refused() -> None:
    with pytest.raises(ValueError, match=r"driver='fast'.*'compiled' or 'transitions'"):
        Engine(echo).run([7], driver="fast")


def test_it_is_the_graph_of_the_engine_as_it_is_now() -> None:
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


# Written out


def test_a_word_of_labels_is_accepted_or_not() -> None:
    machine = Lifecycle.training().to_transitions()
    between = [transition.label for transition in path(Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED)]
    for label in ("run", "next_epoch", "next_batch", "got_batch", *between, "step_done", "epoch_full", "nothing_left"):
        assert machine.model.trigger(label)
    assert machine.model.phase == "Events.COMPLETED"
    with pytest.raises(transitions.MachineError):
        machine.model.trigger("step_done")


# Read


class Trainer:
    """The model of a machine written with the library."""

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
def test_a_machine_written_with_the_library_trains(driver: str) -> None:
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


def test_where_the_conditions_leave_it_open_the_activity_chooses() -> None:
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
    with pytest.raises(IllegalTransition) as error:
        Engine(lifecycle=Lifecycle.from_transitions(machine, {"play": lambda: "unknown"})).run()
    assert str(error.value) == (
        "nothing says how play is left: won and lost have no conditions. Let its activity return the name of the "
        "trigger to take."
    )


@pytest.mark.parametrize(
    ("machine", "activities", "message"),
    [
        (
            lambda: machine_of(Trainer()),
            {"sleeping": echo},
            "there is no state 'sleeping' for an activity: training, validating, finished.",
        ),
        (lambda: machine_of([Trainer(), Trainer()]), {}, "the machine has 2 models, and a lifecycle follows one."),
        (
            lambda: transitions.extensions.HierarchicalMachine(
                states=["a", {"name": "b", "children": ["c"]}], initial="a", auto_transitions=False
            ),
            {},
            "the machine has nested states. Write its states as phases of scopes instead.",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(machine: Any, activities: Any, message: str) -> None:
    import transitions.extensions  # noqa: F401

    with pytest.raises(LifecycleError) as error:
        Lifecycle.from_transitions(machine(), activities)
    assert str(error.value) == message


# Discovery


def test_discovery_finds_where_callback_events_sit() -> None:
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


def test_what_was_discovered_can_be_declared() -> None:
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


def test_nothing_to_discover_is_said() -> None:
    engine = Engine(echo)
    with engine.discover() as found:
        engine.run([7])
    assert str(found) == "no callback event was fired"
