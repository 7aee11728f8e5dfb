"""The names of engines in recordings: the user's name, class or variable, else the name of the lifecycle."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from fsm_engine import Engine, EventEnum, Events
from fsm_engine.render.timeline.engine_records import engine_records
from fsm_engine.timeline import Timeline


class Phases(EventEnum):
    VALIDATE = "validate"


class Judge(Engine):
    pass


def step(engine: Engine, batch: Any) -> None:
    pass


def headings(trainer: Engine) -> list[str]:
    with trainer.record() as timeline:
        trainer.run([1], max_epochs=1)
    return [record.heading for record in engine_records(timeline)]


def trainer_that_calls(handler: Any) -> Engine:
    trainer = Engine(step)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, handler)
    return trainer


def test_an_evaluator_is_named_by_the_variable_of_the_handler() -> None:
    validator = Engine(step)

    def validate() -> None:
        validator.run([1])

    assert headings(trainer_that_calls(validate)) == ["training", "validator, run by validate"]


in_module = Engine(step)


def test_an_evaluator_is_named_by_the_variable_of_the_module() -> None:
    def validate() -> None:
        in_module.run([1])

    assert headings(trainer_that_calls(validate)) == ["training", "in_module, run by validate"]


def test_an_evaluator_is_named_by_the_attribute_of_the_object() -> None:
    class Experiment:
        def __init__(self) -> None:
            self.evaluator = Engine(step)

        def validate(self) -> None:
            self.evaluator.run([1])

    assert headings(trainer_that_calls(Experiment().validate))[1] == "evaluator, run by validate"


def test_an_evaluator_in_a_phase_is_named_by_the_variable_of_the_program() -> None:
    trainer, evaluator = Engine(step), Engine(step)
    trainer.lifecycle.insert(Phases.VALIDATE, after=Events.EPOCH_COMPLETED, activity=evaluator, data=[1])
    assert headings(trainer) == ["training", "evaluator, run by VALIDATE"]


def test_a_class_takes_precedence_over_a_variable_and_a_name_over_both() -> None:
    judge, named = Judge(step), Judge(step, name="held-out set")

    def validate() -> None:
        judge.run([1])
        named.run([1])

    assert headings(trainer_that_calls(validate))[1:] == ["Judge, run by validate", "held-out set, run by validate"]


def test_an_engine_without_a_variable_is_named_by_its_lifecycle() -> None:
    engines = [Engine(step)]

    def validate() -> None:
        engines[0].run([1])

    assert headings(trainer_that_calls(validate))[1] == "training, run by validate"


def test_the_name_is_kept_in_files_and_copies_and_shown_in_the_repr(tmp_path: Any) -> None:
    trainer = Engine(step, name="digits")
    with trainer.record() as timeline:
        trainer.run([1], max_epochs=1)
    timeline.save(tmp_path / "run.fsmt")
    assert [track.name for track in Timeline.load(tmp_path / "run.fsmt").tracks] == ["digits"]
    assert [copied.name for copied in (copy.deepcopy(trainer), pickle.loads(pickle.dumps(trainer)))] == ["digits"] * 2
    assert repr(trainer).startswith("<Engine digits: completed")
    assert (Engine(step).name, repr(Engine(step))) == (None, "<Engine training: idle>")


def test_a_name_that_is_not_a_string_is_refused() -> None:
    with pytest.raises(TypeError, match=r"name=3 must be a string.*name="):
        Engine(step, name=3)  # type: ignore[arg-type]


def test_the_factories_pass_the_name_on() -> None:
    torch = pytest.importorskip("torch")
    from fsm_engine import create_supervised_evaluator, create_supervised_trainer

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    for deterministic in (False, True):
        trainer = create_supervised_trainer(
            model, optimizer, torch.nn.MSELoss(), deterministic=deterministic, name="digits"
        )
        assert trainer.name == "digits"
    assert create_supervised_evaluator(model, name="validation").name == "validation"
