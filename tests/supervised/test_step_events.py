"""The phases of the supervised training step: their order, the values on the state, and unchanged results."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from fsm_engine import Engine, Events, StepEvents, create_supervised_trainer, supervised_training_step

PHASES = [event for event in StepEvents if event is not StepEvents.UNSCALED]
STEP = [event.name for event in PHASES]
BACKWARD = STEP[STEP.index("OPTIM_STEP_STARTED") :]
FORWARD = STEP[: -len(BACKWARD)]


def parts_of_a_training():
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, torch.optim.SGD(model.parameters(), lr=0.1), nn.CrossEntropyLoss()


def batches(count=4):
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(4, 5, generator=generator), torch.randint(3, (4,), generator=generator)) for _ in range(count)]


def trainer_of(**options):
    return create_supervised_trainer(*parts_of_a_training(), **options)


def values_of(trainer):
    return [name for name in ("loss", "x", "y", "y_pred") if hasattr(trainer.state, name)]


def log_of(trainer, *more):
    log = []
    for event in (*PHASES, *more):
        trainer.add_event_handler(event, log.append, event.name)
    return log


def test_a_step_is_a_path_of_seven_phases():
    trainer = trainer_of()
    log = log_of(trainer, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED)
    trainer.run(batches(2))
    assert log == ["ITERATION_STARTED", *STEP, "ITERATION_COMPLETED"] * 2


@pytest.mark.parametrize("steps", [2, 3])
def test_with_gradient_accumulation_the_optimizer_steps_in_every_nth_iteration(steps):
    trainer = trainer_of(gradient_accumulation_steps=steps)
    log = log_of(trainer)
    trainer.run(batches(2 * steps))
    assert log == (FORWARD * steps + BACKWARD) * 2


def test_the_graph_has_an_exit_without_an_optimizer_step_if_gradients_accumulate():
    def exits(trainer):
        return [str(t) for t in trainer.lifecycle.successors(StepEvents.BACKWARD_COMPLETED) if t.via is None]

    assert exits(trainer_of()) == ["BACKWARD_COMPLETED --optim_step_started--> OPTIM_STEP_STARTED"]
    assert exits(trainer_of(gradient_accumulation_steps=2)) == [
        "BACKWARD_COMPLETED --accumulate--> ITERATION_COMPLETED",
        "BACKWARD_COMPLETED --optim_step_started--> OPTIM_STEP_STARTED",
    ]
    trainer_of().lifecycle.require(StepEvents.BACKWARD_COMPLETED, before=StepEvents.OPTIM_STEP_STARTED)


def test_a_value_is_on_the_state_from_the_event_after_its_computation():
    trainer, data, seen = trainer_of(), batches(1), {}
    for event in PHASES:
        trainer.add_event_handler(event, lambda e, name=event.name: seen.setdefault(name, values_of(e)))
    trainer.run(data)
    assert seen == {
        "FORWARD_STARTED": ["x", "y"],
        "FORWARD_COMPLETED": ["x", "y", "y_pred"],
        **{key: ["loss", "x", "y", "y_pred"] for key in STEP[2:]},
    }
    assert values_of(trainer) == []


def test_the_values_on_the_state_equal_the_values_of_the_step():
    model, optimizer, loss_fn = parts_of_a_training()
    trainer, data, seen = create_supervised_trainer(model, optimizer, loss_fn), batches(1), {}

    @trainer.on(StepEvents.LOSS_COMPLETED)
    def keep(engine):
        state = engine.state
        seen.update(x=state.x, y=state.y, y_pred=state.y_pred.tolist(), loss=state.loss.item())
        assert all(parameter.grad is None for parameter in model.parameters())

    @trainer.on(StepEvents.BACKWARD_COMPLETED)
    def look_at_gradients():
        seen["with_gradients"] = [parameter.grad is not None for parameter in model.parameters()]

    expected = copy.deepcopy(model)(data[0][0])
    trainer.run(data)
    assert seen.pop("x") is data[0][0]
    assert seen.pop("y") is data[0][1]
    assert seen == {
        "y_pred": expected.tolist(),
        "loss": loss_fn(expected, data[0][1]).item(),
        "with_gradients": [True] * 4,
    }


def attach_to_edge(trainer):
    trainer.add_event_handler(
        StepEvents.BACKWARD_STARTED >> StepEvents.BACKWARD_COMPLETED, lambda e: e.state.loss.item()
    )


def attach_to_exit(trainer):
    trainer.on_exit(StepEvents.LOSS_COMPLETED)(lambda e: e.state.loss.item())


@pytest.mark.parametrize("attach", [attach_to_edge, attach_to_exit])
def test_handlers_of_edges_and_exits_have_the_values(attach):
    trainer = trainer_of()
    attach(trainer)
    trainer.run(batches(2))
    assert trainer.state.iteration == 2
    assert values_of(trainer) == []


def test_without_handlers_the_values_are_on_the_state_too():
    trainer, names = trainer_of(), []

    def loss_fn(y_pred, y):
        names.append(values_of(trainer))
        return nn.functional.cross_entropy(y_pred, y)

    trainer._process_function.loss_fn = loss_fn
    trainer.run(batches(2))
    assert names == [["x", "y", "y_pred"]] * 2


def test_an_exception_in_the_step_removes_the_values_from_the_state():
    trainer = trainer_of()
    log = log_of(trainer)
    trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda error: log.append(repr(error)))
    trainer.add_event_handler(StepEvents.LOSS_COMPLETED, lambda: 1 / 0)
    trainer.run(batches(1))
    assert log == [*STEP[:3], "ZeroDivisionError('division by zero')"]
    assert values_of(trainer) == []


def test_the_autograd_graph_is_freed_when_the_step_ends():
    trainer, losses = trainer_of(), []
    trainer.add_event_handler(StepEvents.LOSS_COMPLETED, lambda e: losses.append(weakref.ref(e.state.loss)))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: losses.append(losses[-1]() is None))
    gc.disable()
    try:
        trainer.run(batches(1))
    finally:
        gc.enable()
    assert losses[1:] == [True]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("observed", [False, True])
def test_losses_and_weights_equal_a_plain_loop_bit_by_bit(steps, observed):
    model, optimizer, loss_fn = parts_of_a_training()
    expected = []
    for number, (x, y) in enumerate(batches(6)):
        if number % steps == 0:
            optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        (loss / steps if steps > 1 else loss).backward()
        if (number + 1) % steps == 0:
            optimizer.step()
        expected.append(loss.item())

    twin, *rest = parts_of_a_training()
    trainer, losses = create_supervised_trainer(twin, *rest, gradient_accumulation_steps=steps), []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: losses.append(e.state.output))
    if observed:
        log_of(trainer)
    trainer.run(batches(6))
    assert losses == expected
    assert [p.tolist() for p in twin.parameters()] == [p.tolist() for p in model.parameters()]


def test_gradients_can_be_clipped_between_backward_and_step():
    model, optimizer, loss_fn = parts_of_a_training()
    trainer, norms = create_supervised_trainer(model, optimizer, loss_fn), []

    @trainer.on(StepEvents.BACKWARD_COMPLETED)
    def clip():
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)

    @trainer.on(StepEvents.OPTIM_STEP_STARTED)
    def measure():
        norms.append(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in model.parameters()])).item())

    trainer.run(batches(3))
    assert norms == pytest.approx([0.01] * 3, rel=1e-3)


def test_handlers_run_outside_of_autocast():
    trainer, seen = trainer_of(device="cpu", amp_mode="amp"), []
    for event in PHASES:
        trainer.add_event_handler(event, lambda: seen.append(torch.is_autocast_enabled("cpu")))
    trainer.run(batches(1))
    assert seen == [False] * len(PHASES)


def test_a_step_called_inside_another_step_fires_no_events():
    model, optimizer, loss_fn = parts_of_a_training()
    step = supervised_training_step(model, optimizer, loss_fn)
    outer = Engine(lambda engine, batch: step(engine, batch))
    assert not outer.has_registered_events(StepEvents.FORWARD_STARTED)
    outer.run(batches(2))
    twin, *rest = parts_of_a_training()
    create_supervised_trainer(twin, *rest).run(batches(2))
    assert [p.tolist() for p in model.parameters()] == [p.tolist() for p in twin.parameters()]


def test_outside_a_run_the_step_calls_the_handlers_and_the_phase_stays():
    trainer = trainer_of()
    log = log_of(trainer)
    trainer.state.iteration = 1
    trainer._process_function(trainer, batches(1)[0])
    assert log == STEP
    assert trainer.phase.name == "IDLE"


def test_a_custom_step_that_wraps_the_step_can_have_its_phases():
    model, optimizer, loss_fn = parts_of_a_training()
    step = supervised_training_step(model, optimizer, loss_fn)

    def twice(engine, batch):
        return step(engine, batch)

    twice.paths = step.paths
    trainer = Engine(twice)
    log = log_of(trainer)
    trainer.run(batches(1))
    assert log == STEP


def test_a_pickled_or_copied_trainer_has_the_same_phases():
    trainer = trainer_of(gradient_accumulation_steps=2)
    for twin in (pickle.loads(pickle.dumps(trainer)), copy.deepcopy(trainer)):
        assert twin.lifecycle == trainer.lifecycle
        log = log_of(twin)
        twin.run(batches(2))
        assert log == FORWARD * 2 + BACKWARD


def test_has_handlers_counts_handlers_of_edges_and_exits():
    trainer = trainer_of()
    handle = trainer.add_event_handler(StepEvents.LOSS_COMPLETED, lambda e: e.state.loss.item())
    assert trainer.has_handlers(StepEvents)
    assert trainer.has_handlers(StepEvents.LOSS_COMPLETED)
    assert not trainer.has_handlers(StepEvents.FORWARD_STARTED)
    handle.remove()
    assert not trainer.has_handlers(StepEvents)
    trainer.on_exit(StepEvents.FORWARD_STARTED)(lambda: None)
    trainer.add_event_handler(StepEvents.LOSS_COMPLETED >> StepEvents.BACKWARD_STARTED, lambda: None)
    heard = [event.name for event in StepEvents if trainer.has_handlers(event)]
    assert heard == ["FORWARD_STARTED", "LOSS_COMPLETED", "BACKWARD_STARTED"]
    with pytest.raises(TypeError, match=r"^1 is not an event\."):
        trainer.has_handlers(1)
