"""The parts of a supervised step: values, inserted and replaced phases, errors, suspended runs, accumulation."""

from __future__ import annotations

import copy
import itertools
from contextlib import contextmanager

import pytest
import torch
from torch import nn

from fsm_engine import (
    BusyError,
    Engine,
    EventEnum,
    Events,
    Lifecycle,
    LifecycleError,
    Scope,
    StepEvents,
    create_supervised_tbptt_trainer,
    create_supervised_trainer,
    supervised_training_step,
)


class Mine(EventEnum):
    CLIP = "clip"
    RETRY = "retry"
    SKIP = "skip"
    SECOND = "second"
    PENALTY = "penalty"


class Net(nn.Module):
    """A network without dropout that can fail."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))

    def forward(self, x):
        return self.layers(x)


def parts_of_a_training():
    torch.manual_seed(7)
    model = Net()
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5), nn.CrossEntropyLoss()


def batches(count=6):
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(4, 5, generator=generator), torch.randint(3, (4,), generator=generator)) for _ in range(count)]


def weights_of(model):
    return [parameter.tolist() for parameter in model.parameters()]


def values_of(trainer):
    return [name for name in ("x", "y", "y_pred", "loss") if hasattr(trainer.state, name)]


def phases_of(trainer):
    return [event for event in StepEvents if trainer.has_registered_events(event)]


def log_of(trainer, *more):
    log = []
    for event in (*phases_of(trainer), *more):
        trainer.add_event_handler(event, log.append, str(getattr(event, "name", event)))
    return log


# Every combination of options, against a loop written by hand

OPTIONS = [
    {"steps": steps, "amp": amp, "scaled": scaled, "transformed": transformed, "observed": observed}
    for steps, (amp, scaled), transformed, observed in itertools.product(
        (1, 3), ((False, False), (True, False), (True, True)), (False, True), (False, True)
    )
]


def scaler_of(options):
    return torch.amp.GradScaler("cpu", init_scale=8.0) if options["scaled"] else None


def double(y_pred):
    return y_pred * 2


def with_bias(model, x):
    return model(x) + 1


def by_hand(options, data):
    """Train with a loop written by hand; return outputs and weights."""
    (model, optimizer, loss_fn), scaler, steps = parts_of_a_training(), scaler_of(options), options["steps"]
    outputs = []
    model.train()
    for number, (x, y) in enumerate(data):
        if number % steps == 0:
            optimizer.zero_grad()
        with torch.amp.autocast("cpu", enabled=options["amp"]):
            y_pred = double(with_bias(model, x)) if options["transformed"] else model(x)
            loss = loss_fn(y_pred, y)
        part = loss / steps if steps > 1 else loss
        (scaler.scale(part) if scaler else part).backward()
        if number % steps == steps - 1:
            if scaler:
                scaler.step(optimizer)
                scaler.update()
            else:
                optimizer.step()
        outputs.append((loss.item(), y_pred.float().sum().item()))
    return outputs, weights_of(model)


def options_of_a_trainer(options):
    given = {"gradient_accumulation_steps": options["steps"]}
    if options["amp"]:
        given |= {"amp_mode": "amp", "scaler": scaler_of(options) or False, "device": "cpu"}
    if options["transformed"]:
        given |= {"model_transform": double, "model_fn": with_bias, "device": "cpu", "non_blocking": True}
    return given | {"output_transform": lambda x, y, y_pred, loss: (loss.item(), y_pred.float().sum().item())}


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(map(str, options.values())))
@pytest.mark.parametrize("kind", ["parts", "function", "deterministic"])
def test_outputs_and_weights_equal_a_loop_written_by_hand_bit_by_bit(options, kind):
    (model, *rest), given, outputs = parts_of_a_training(), options_of_a_trainer(options), []
    if kind == "function":
        step = supervised_training_step(model, *rest, **given)
        trainer = Engine(lambda engine, batch: step(engine, batch))
    else:
        trainer = create_supervised_trainer(model, *rest, deterministic=kind == "deterministic", **given)
    if options["observed"]:
        log_of(trainer)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: outputs.append(e.state.output))
    trainer.run(batches())
    assert (outputs, weights_of(model)) == by_hand(options, batches())


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
def test_the_parts_fire_the_events_that_the_function_fires(steps, scaled):
    given = {"gradient_accumulation_steps": steps}
    if scaled:
        given |= {"device": "cpu", "amp_mode": "amp", "scaler": True}
    logs = []
    for wrapped in (False, True):
        trainer = create_supervised_trainer(*parts_of_a_training(), **given)
        if wrapped:
            step = trainer._process_function
            trainer._process_function = lambda engine, batch, step=step: step(engine, batch)
        logs.append(log_of(trainer, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED))
        trainer.run(batches(4))
    assert logs[0] == logs[1]
    assert ("UNSCALED" in logs[0]) == scaled
    assert logs[0].count("OPTIM_STEP_COMPLETED") == 4 // steps


def test_trainers_of_one_kind_share_graph_and_function():
    one, other = (create_supervised_trainer(*parts_of_a_training()) for _ in range(2))
    assert one.lifecycle.graph is other.lifecycle.graph
    assert one._current_program().compiled is other._current_program().compiled


def test_the_function_reads_the_flag_after_parts_only():
    source = create_supervised_trainer(*parts_of_a_training()).source
    lines = source[source.index("# ITERATION_STARTED") : source.index("# ITERATION_COMPLETED")].splitlines()
    assert sum("signals.needs_attention" in line for line in lines) == 6  # LOSS_COMPLETED, BACKWARD_COMPLETED have none


# Values


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_values_are_dropped_on_every_way_out_of_the_step(driver):
    pytest.importorskip("transitions")

    def loss_is_even(engine):
        return engine.state.iteration % 2 == 0

    trainer = create_supervised_trainer(*parts_of_a_training(), gradient_accumulation_steps=4)
    lifecycle = trainer.lifecycle
    lifecycle.add_transition(StepEvents.LOSS_COMPLETED >> Events.ITERATION_COMPLETED, guard=loss_is_even)
    lifecycle.add_transition(StepEvents.FORWARD_COMPLETED >> Mine.SKIP, error=ArithmeticError)
    lifecycle.add_exits(Mine.SKIP, like=Events.ITERATION_COMPLETED)
    seen = []
    trainer.add_event_handler(StepEvents.FORWARD_COMPLETED(once=3), lambda: 1 / 0)
    for event in (Mine.SKIP, Events.ITERATION_COMPLETED):
        trainer.add_event_handler(event, lambda e, n: seen.append((n, e.state.iteration, values_of(e))), event.name)
    trainer.add_event_handler(StepEvents.BACKWARD_COMPLETED(once=2), trainer.terminate)
    trainer.run(batches(), driver=driver)
    assert seen == [("SKIP" if n == 3 else "ITERATION_COMPLETED", n, []) for n in (1, 2, 3, 4, 5)]


def test_a_transition_that_skips_the_optimizer_keeps_the_output():
    model, *rest = parts_of_a_training()
    trainer, outputs = create_supervised_trainer(model, *rest), []

    def never(engine):
        return engine.state.iteration > 0

    trainer.lifecycle.add_transition(StepEvents.BACKWARD_COMPLETED >> Events.ITERATION_COMPLETED, guard=never)
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: outputs.append(e.state.output))
    before = weights_of(model)
    trainer.run(batches())
    assert weights_of(model) == before
    assert outputs == [rest[1](model(x), y).item() for x, y in batches()]


def test_copies_that_share_the_step_have_values_of_their_own():
    trainer = create_supervised_trainer(*parts_of_a_training())
    twin = copy.deepcopy(trainer)
    assert twin._process_function is trainer._process_function
    data = batches(2)
    trainer.run(data[:1], until=StepEvents.LOSS_COMPLETED)
    twin.run(data[1:], until=StepEvents.FORWARD_COMPLETED)
    assert trainer.state.x is data[0][0]
    assert twin.state.x is data[1][0]
    assert (values_of(trainer), values_of(twin)) == (["x", "y", "y_pred", "loss"], ["x", "y", "y_pred"])
    trainer.run()
    assert (values_of(trainer), values_of(twin)) == ([], ["x", "y", "y_pred"])


def test_a_new_run_drops_the_values_of_a_run_that_stays_suspended():
    trainer = create_supervised_trainer(*parts_of_a_training())
    trainer.run(batches(1), until=StepEvents.LOSS_COMPLETED)
    trainer.state.max_epochs = None
    seen = []
    trainer.add_event_handler(Events.STARTED, lambda e: seen.extend(values_of(e)))
    trainer.run(batches(1))
    assert seen == []


def test_the_step_reads_values_that_handlers_and_activities_have_changed():
    def shifted(engine):
        engine.state.y_pred = engine.state.y_pred + 1
        return "ignored"

    model, _, loss_fn = parts = parts_of_a_training()
    trainer, outputs = create_supervised_trainer(*parts), []
    trainer.lifecycle.insert(Mine.SECOND, after=StepEvents.FORWARD_STARTED, activity=shifted)

    @trainer.on(StepEvents.LOSS_COMPLETED)
    def weigh(engine):
        engine.state.loss = engine.state.loss * 3

    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: outputs.append(e.state.output))
    x, y = batches(1)[0]
    expected = (loss_fn(model(x) + 1, y) * 3).item()
    trainer.run(batches(1))
    assert outputs == [expected]


# Inserted and replaced parts


def test_clipping_is_behind_the_accumulation_guard_and_after_unscaling():
    steps, model_and_rest = 4, parts_of_a_training()
    model, *rest = model_and_rest
    scaler = torch.amp.GradScaler("cpu", init_scale=16.0)
    trainer = create_supervised_trainer(
        model, *rest, device="cpu", amp_mode="amp", scaler=scaler, gradient_accumulation_steps=steps
    )
    norms = []

    def clip():
        norms.append(nn.utils.clip_grad_norm_(model.parameters(), 0.1).item())

    trainer.lifecycle.insert(Mine.CLIP, before=StepEvents.OPTIM_STEP_STARTED, activity=clip)
    trainer.run(batches(8))

    twin, optimizer, loss_fn = parts_of_a_training()
    scaler, expected = torch.amp.GradScaler("cpu", init_scale=16.0), []
    for number, (x, y) in enumerate(batches(8)):
        if number % steps == 0:
            optimizer.zero_grad()
        with torch.amp.autocast("cpu"):
            loss = loss_fn(twin(x), y)
        scaler.scale(loss / steps).backward()
        if number % steps == steps - 1:
            scaler.unscale_(optimizer)
            expected.append(nn.utils.clip_grad_norm_(twin.parameters(), 0.1).item())
            scaler.step(optimizer)
            scaler.update()
    assert norms == expected
    assert all(0.1 < norm < 16 for norm in norms)
    assert weights_of(model) == weights_of(twin)


def test_gradients_are_unscaled_at_the_event_of_that_name():
    model, *rest = parts_of_a_training()
    scaler, seen = torch.amp.GradScaler("cpu", init_scale=1024.0), {}
    trainer = create_supervised_trainer(model, *rest, device="cpu", amp_mode="amp", scaler=scaler)
    for event in (StepEvents.BACKWARD_COMPLETED, StepEvents.UNSCALED):
        trainer.add_event_handler(event, lambda n: seen.update({n: model.layers[2].bias.grad.abs().sum()}), event.name)
    trainer.run(batches(1))
    assert seen["BACKWARD_COMPLETED"] == seen["UNSCALED"] * 1024


@pytest.mark.parametrize("called", [False, True])
@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_leads_past_the_end_of_the_optimizer_step(called, fused):
    model = Net()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1, fused=fused)
    scaler, log = torch.amp.GradScaler("cpu", init_scale=4.0), []
    trainer = create_supervised_trainer(
        model, optimizer, nn.CrossEntropyLoss(), device="cpu", amp_mode="amp", scaler=scaler
    )
    if called:
        step = trainer._process_function
        trainer._process_function = lambda engine, batch: step(engine, batch)
    before = [weights_of(model)]

    @trainer.on(StepEvents.BACKWARD_COMPLETED(once=2))
    def overflow():
        model.layers[2].bias.grad[0] = torch.inf

    trainer.add_event_handler(StepEvents.OPTIM_STEP_COMPLETED, lambda: log.append(trainer.state.iteration))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: before.append(weights_of(model)))
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: outputs.append(trainer.state.output))
    trainer.run(batches(3))
    assert log == ([1, 2, 3] if fused else [1, 3])
    assert [one == other for one, other in itertools.pairwise(before)] == [False, True, False]
    assert scaler.get_scale() == 2.0
    assert all(isinstance(output, float) for output in outputs)
    assert not trainer.state.step_values()


def test_without_a_scaler_unscaled_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"UNSCALED.*phases of this lifecycle, but it has no UNSCALED"):
        create_supervised_trainer(*parts_of_a_training()).on(StepEvents.UNSCALED)(print)


def test_two_optimizers_step_in_one_replaced_part():
    torch.manual_seed(1)
    model, loss_fn = Net(), nn.CrossEntropyLoss()
    first = torch.optim.SGD(model.layers[0].parameters(), lr=0.1)
    second = torch.optim.Adam(model.layers[2].parameters(), lr=0.01)
    trainer = create_supervised_trainer(model, first, loss_fn)

    def step_both():
        first.step()
        second.step()
        second.zero_grad()

    trainer.lifecycle.replace(StepEvents.OPTIM_STEP_STARTED, activity=step_both)
    outputs = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: outputs.append(e.state.output))
    trainer.run(batches())

    torch.manual_seed(1)
    twin, expected = Net(), []
    optimizers = [
        torch.optim.SGD(twin.layers[0].parameters(), 0.1),
        torch.optim.Adam(twin.layers[2].parameters(), 0.01),
    ]
    for x, y in batches():
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = loss_fn(twin(x), y)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        expected.append(loss.item())
    assert (outputs, weights_of(model)) == (expected, weights_of(twin))


def test_a_gradient_penalty_is_a_handler_and_a_phase():
    def penalized(x, loss):
        (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
        return loss + 0.1 * gradient.square().sum()

    def add_penalty(engine):
        engine.state.loss = penalized(engine.state.x, engine.state.loss)

    model, *rest = parts_of_a_training()
    trainer = create_supervised_trainer(model, *rest)
    trainer.lifecycle.insert(Mine.PENALTY, after=StepEvents.LOSS_COMPLETED, activity=add_penalty)
    trainer.add_event_handler(StepEvents.FORWARD_STARTED, lambda e: e.state.x.requires_grad_())
    trainer.run(batches())

    twin, optimizer, loss_fn = parts_of_a_training()
    for x, y in batches():
        optimizer.zero_grad()
        x.requires_grad_()
        penalized(x, loss_fn(twin(x), y)).backward()
        optimizer.step()
    assert weights_of(model) == weights_of(twin)


def test_a_replaced_last_part_sets_the_output():
    trainer = create_supervised_trainer(*parts_of_a_training())

    def output(engine):
        engine.state.output = "mine"
        return "ignored"

    trainer.lifecycle.replace(StepEvents.OPTIM_STEP_COMPLETED, activity=output)
    assert trainer.run(batches(1)).output == "mine"


# Errors


def fail_at(trainer, event, iteration, error=MemoryError):
    def fail(engine):
        if engine.state.iteration == iteration and not engine.state.errors:
            raise error("does not fit")

    trainer.add_event_handler(event, fail)


class Failing(torch.autograd.Function):
    """Raises in the backward pass, after the gradients of later layers are complete."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        raise MemoryError("does not fit")


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("event", [*[e for e in StepEvents if e is not StepEvents.UNSCALED], "BACKWARD"], ids=str)
def test_a_retry_begins_with_the_batch_and_keeps_earlier_gradients(event, steps):
    data = batches()
    model, *rest = parts_of_a_training()
    trainer = create_supervised_trainer(model, *rest, gradient_accumulation_steps=steps)
    failing = 3 if steps == 3 else 2  # the last iteration of three whose gradients are added up
    if event == "BACKWARD":
        middle = lambda _, args, out: Failing.apply(out) if has_to_fail() else out  # noqa: E731
        model.layers[0].register_forward_hook(middle)
        has_to_fail = lambda: trainer.state.iteration == failing and not trainer.state.errors  # noqa: E731
    else:
        fail_at(trainer, event, failing)
    trainer.lifecycle.add_transition(Scope.ITERATION >> Mine.RETRY, error=MemoryError, limit=1)
    trainer.lifecycle.add_transition(Mine.RETRY >> Scope.ITERATION)
    log = log_of(trainer, Mine.RETRY)
    trainer.run(data)
    assert list(trainer.state.errors.values()) == [1]
    if event is not StepEvents.OPTIM_STEP_COMPLETED:  # otherwise the optimizer has stepped twice
        twin, optimizer, loss_fn = parts_of_a_training()
        create_supervised_trainer(twin, optimizer, loss_fn, gradient_accumulation_steps=steps).run(data)
        assert weights_of(model) == weights_of(twin)
    assert log[log.index("RETRY") + 1] == "FORWARD_STARTED"


def test_a_run_saved_after_a_failed_backward_pass_resumes_with_the_earlier_gradients():
    data, (model, optimizer, loss_fn) = batches(), parts_of_a_training()
    trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=3)
    trainer.resumes_exactly, failing, saved = True, [5], []

    def fail_once(_model, _args, output):
        return Failing.apply(output) if trainer.state.iteration in failing else output

    model.layers[0].register_forward_hook(fail_once)

    def save(engine):
        saved.append(copy.deepcopy((engine.state_dict(), model.state_dict(), optimizer.state_dict())))

    trainer.add_event_handler(Events.EXCEPTION_RAISED, lambda e, _error: e.call_when_safe(save))
    trainer.run(data)

    (twin, *rest), (state, *states) = parts_of_a_training(), saved[0]
    for part, loaded in zip((twin, rest[0]), states):
        part.load_state_dict(loaded)
    resumed = create_supervised_trainer(twin, *rest, gradient_accumulation_steps=3)
    resumed.load_state_dict(state)
    resumed.run(data)
    whole, *rest = parts_of_a_training()
    create_supervised_trainer(whole, *rest, gradient_accumulation_steps=3).run(data)
    assert weights_of(twin) == weights_of(whole)


def test_an_error_after_unscaling_can_be_retried():
    model, *rest = parts_of_a_training()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    trainer = create_supervised_trainer(model, *rest, device="cpu", amp_mode="amp", scaler=scaler)
    fail_at(trainer, StepEvents.OPTIM_STEP_STARTED, 2)
    trainer.lifecycle.add_transition(Scope.ITERATION >> Mine.RETRY, error=MemoryError, limit=1)
    trainer.lifecycle.add_transition(Mine.RETRY >> Scope.ITERATION)
    trainer.run(batches())
    options = {"steps": 1, "amp": True, "scaled": True, "transformed": False}
    assert weights_of(model) == by_hand(options, batches())[1]


@pytest.mark.parametrize(
    ("part", "phase"),
    [
        ("prepare", "ITERATION_STARTED"),
        ("forward", "FORWARD_STARTED"),
        ("compute_loss", "FORWARD_COMPLETED"),
        ("backward", "BACKWARD_STARTED"),
        ("unscale", "UNSCALED"),
        ("step_optimizer", "OPTIM_STEP_STARTED"),
        ("output", "OPTIM_STEP_COMPLETED"),
    ],
)
def test_a_failing_part_is_reported_by_its_phase(part, phase, caplog):
    trainer = create_supervised_trainer(*parts_of_a_training(), device="cpu", amp_mode="amp", scaler=True)

    def fail(*_args):
        raise ArithmeticError("by zero")

    setattr(trainer._process_function, part, fail)
    with pytest.raises(ArithmeticError):
        trainer.run(batches(1))
    assert f"terminating in {phase} " in caplog.text
    assert values_of(trainer) == []


def test_an_output_that_fails_after_accumulating_is_reported_there(caplog):
    def fail(*_values):
        raise ArithmeticError("by zero")

    trainer = create_supervised_trainer(*parts_of_a_training(), gradient_accumulation_steps=2, output_transform=fail)
    with pytest.raises(ArithmeticError):
        trainer.run(batches(1))
    assert "terminating in BACKWARD_COMPLETED " in caplog.text


# Signals


@pytest.mark.parametrize("event", [event for event in StepEvents if event is not StepEvents.UNSCALED])
@pytest.mark.parametrize("request_it", [Engine.terminate, Engine.interrupt, Engine.terminate_epoch])
def test_signals_wait_for_the_end_of_the_iteration(event, request_it):
    trainer = create_supervised_trainer(*parts_of_a_training())
    log = log_of(trainer, Events.ITERATION_COMPLETED, Events.INTERRUPT, Events.COMPLETED)
    safe = []
    trainer.add_event_handler(event(once=1), request_it)
    trainer.add_event_handler(event(once=1), lambda e: e.call_when_safe(lambda e: safe.append(e.phase.name)))
    trainer.run(batches(2))
    names = [event.name for event in phases_of(trainer)]
    end = "INTERRUPT" if request_it is Engine.interrupt else "COMPLETED"
    assert log == [*names, "ITERATION_COMPLETED", end]
    assert safe == ["ITERATION_COMPLETED"]


# The step as a function


def test_the_step_of_a_trainer_can_be_read_and_wrapped():
    model, *rest = parts_of_a_training()
    trainer, calls = create_supervised_trainer(model, *rest), []
    log = log_of(trainer)
    step = trainer._process_function

    def wrapped(engine, batch):
        calls.append(batch)
        return step(engine, batch) + 1

    trainer._process_function = wrapped
    assert trainer._process_function is trainer.lifecycle.step is wrapped
    data = batches(2)
    output = trainer.run(data).output
    assert calls == data
    assert log == [event.name for event in phases_of(trainer)] * 2
    twin, *rest = parts_of_a_training()
    assert create_supervised_trainer(twin, *rest).run(data).output + 1 == output
    assert weights_of(model) == weights_of(twin)
    assert trainer.lifecycle.check() == []


def test_a_function_that_does_not_call_the_step_fires_none_of_its_phases():
    trainer = create_supervised_trainer(*parts_of_a_training(), gradient_accumulation_steps=2)
    log = log_of(trainer, Events.ITERATION_COMPLETED)
    trainer._process_function = lambda engine, batch: "done"
    assert trainer.run(batches(2)).output == "done"
    assert log == ["ITERATION_COMPLETED"] * 2


def test_the_step_cannot_be_replaced_after_its_phases_were_edited():
    trainer = create_supervised_trainer(*parts_of_a_training())
    trainer.lifecycle.insert(Mine.CLIP, before=StepEvents.OPTIM_STEP_STARTED, activity=print)
    step, graph = trainer._process_function, trainer.lifecycle.graph
    with pytest.raises(LifecycleError, match=r"edited .*CLIP.*Assign the function first"):
        trainer._process_function = print
    assert (trainer._process_function, trainer.lifecycle.graph) == (step, graph)


def test_a_function_with_other_parameters_is_an_error_where_it_is_assigned():
    trainer = create_supervised_trainer(*parts_of_a_training())
    with pytest.raises(ValueError, match="will be called with \\(engine, batch\\)"):
        trainer._process_function = lambda: None
    trainer.run(batches(1), until=StepEvents.LOSS_COMPLETED)
    with pytest.raises(BusyError):
        trainer._process_function = lambda engine, batch: None


def test_a_lifecycle_with_parts_needs_a_step_that_has_them():
    trainer = create_supervised_trainer(*parts_of_a_training())
    lifecycle = Lifecycle.from_json(trainer.lifecycle.to_json(), {"supervised_training_step": lambda engine, batch: 1})
    with pytest.raises(LifecycleError, match="no attribute model, which ITERATION_STARTED uses"):
        Engine(lifecycle=lifecycle).run([1])
    lifecycle = Lifecycle.from_json(
        trainer.lifecycle.to_json(), {"supervised_training_step": trainer._process_function}
    )
    assert lifecycle == trainer.lifecycle
    Engine(lifecycle=lifecycle).run(batches(1))


@pytest.mark.parametrize(
    "options",
    [{"gradient_accumulation_steps": 2}, {"model_transform": torch.tanh}, {"device": "cpu", "amp_mode": "amp"}],
)
def test_the_lifecycle_of_a_step_without_options_refuses_a_step_with_options(options):
    text = create_supervised_trainer(*parts_of_a_training()).lifecycle.to_json()
    step = supervised_training_step(*parts_of_a_training(), **options)
    lifecycle = Lifecycle.from_json(text, {"supervised_training_step": step})
    assert [finding.code for finding in lifecycle.check()] == ["step"]
    with pytest.raises(LifecycleError, match=r"ignore them.*made with the same options"):
        Engine(lifecycle=lifecycle).run(batches(1))


@pytest.mark.parametrize("steps", ["2", 1.5, None])
def test_a_number_of_accumulated_iterations_that_is_no_int_is_an_error(steps):
    with pytest.raises(TypeError, match=r"gradient_accumulation_steps=.*an int"):
        create_supervised_trainer(*parts_of_a_training(), gradient_accumulation_steps=steps)


@pytest.mark.parametrize("make", [create_supervised_trainer, supervised_training_step])
def test_an_optimizer_that_needs_a_closure_is_an_error(make):
    model = Net()
    with pytest.raises(ValueError, match=r"LBFGS.step\(\) needs a closure.*Engine\(step\)"):
        make(model, torch.optim.LBFGS(model.parameters()), nn.CrossEntropyLoss())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.optim.lr_scheduler.StepLR(optimizer, 1)  # replaces optimizer.step
    make(model, optimizer, nn.CrossEntropyLoss())


# Accumulation


def epochs_by_hand(steps, epochs, data):
    model, optimizer, loss_fn = parts_of_a_training()
    for _ in range(epochs):
        for start in range(0, len(data), steps):
            window = data[start : start + steps]
            optimizer.zero_grad()
            for x, y in window:
                (loss_fn(model(x), y) / len(window)).backward()
            optimizer.step()
    return weights_of(model)


@pytest.mark.parametrize("count", [4, 5, 6, 7])
def test_the_optimizer_can_step_at_the_end_of_an_epoch(count):
    model, *rest = parts_of_a_training()
    trainer = create_supervised_trainer(model, *rest, gradient_accumulation_steps=3, step_at_epoch_end=True)
    trainer.run(batches(count), max_epochs=2)
    assert weights_of(model) == epochs_by_hand(3, 2, batches(count))


def test_the_optimizer_can_step_at_the_end_of_a_run():
    model, *rest = parts_of_a_training()
    trainer = create_supervised_trainer(model, *rest, gradient_accumulation_steps=3, step_at_epoch_end=True)
    trainer.run(batches(6), max_iters=5)
    assert weights_of(model) == epochs_by_hand(3, 1, batches(6)[:5])


def test_a_step_at_the_end_of_an_epoch_needs_its_length():
    trainer = create_supervised_trainer(*parts_of_a_training(), gradient_accumulation_steps=3, step_at_epoch_end=True)
    with pytest.raises(ValueError, match="epoch_length="):
        trainer.run(iter(batches()))


class Parallel(Net):
    """Records for each forward and backward pass whether gradients are averaged."""

    is_synced = True

    def __init__(self):
        super().__init__()
        self.log = []

    @contextmanager
    def no_sync(self):
        self.is_synced = False
        yield
        self.is_synced = True

    def forward(self, x):
        self.log.append(("forward", self.is_synced))
        y = super().forward(x)
        y.register_hook(lambda _: self.log.append(("backward", self.is_synced)))
        return y


def test_a_distributed_model_averages_gradients_only_before_the_optimizer_steps():
    model = Parallel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), gradient_accumulation_steps=2)
    for event in phases_of(trainer):
        trainer.add_event_handler(event, lambda: model.log.append(model.is_synced))
    trainer.run(batches(2))
    passes = [entry for entry in model.log if isinstance(entry, tuple)]
    assert passes == [("forward", False), ("backward", False), ("forward", True), ("backward", True)]
    assert all(entry for entry in model.log if not isinstance(entry, tuple))  # never open between phases


# Truncated backpropagation


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(2, 4, batch_first=True), nn.Linear(4, 1)

    def forward(self, x, hidden=None):
        y, hidden = self.rnn(x, hidden)
        return self.head(y), hidden


def test_a_chunk_goes_through_the_phases_of_a_step_and_can_be_clipped():
    torch.manual_seed(5)
    model = Recurrent()
    trainer = create_supervised_tbptt_trainer(
        model, torch.optim.SGD(model.parameters(), lr=0.1), nn.MSELoss(), tbtt_step=3, dim=1
    )
    trainer.lifecycle.insert(
        Mine.CLIP,
        before=StepEvents.OPTIM_STEP_STARTED,
        activity=lambda: nn.utils.clip_grad_norm_(model.parameters(), 0.01),
    )
    log = log_of(trainer, Mine.CLIP)
    x, y = torch.randn(2, 6, 2), torch.randn(2, 6, 1)
    output = trainer.run([(x, y)]).output
    names = [event.name for event in phases_of(trainer)]
    assert log == [*names[:5], "CLIP", *names[5:]] * 2

    torch.manual_seed(5)
    twin, hidden, losses = Recurrent(), None, []
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1)
    for x_chunk, y_chunk in zip(x.split(3, 1), y.split(3, 1)):
        optimizer.zero_grad()
        y_pred, hidden = twin(x_chunk, None if hidden is None else hidden.detach())
        loss = nn.functional.mse_loss(y_pred, y_chunk)
        loss.backward()
        nn.utils.clip_grad_norm_(twin.parameters(), 0.01)
        optimizer.step()
        losses.append(loss.item())
    assert output == sum(losses) / 2
    assert weights_of(model) == weights_of(twin)
    assert values_of(trainer) == []
