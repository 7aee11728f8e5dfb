"""Schedulers of optimizer settings, compared with torch and pytorch-ignite."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import sys
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import lr_scheduler as of_torch

from fsm_engine import Engine, Events
from fsm_engine.handlers import param_scheduler as ours
from fsm_engine.handlers.param_scheduler import (
    ConcatScheduler,
    CosineAnnealingScheduler,
    LinearCyclicalScheduler,
    LRScheduler,
    ParamGroupScheduler,
    ParamScheduler,
    PiecewiseLinear,
    ReduceLROnPlateauScheduler,
    create_lr_scheduler_with_warmup,
)

quick = settings(max_examples=25, deadline=None)


def optimizer_of(groups=1, lr=0.1, **kwargs):
    """Return an optimizer whose groups have the learning rates lr, 2 lr, ..."""
    parameters = [{"params": [torch.zeros(1, requires_grad=True)], "lr": lr * (n + 1)} for n in range(groups)]
    return torch.optim.SGD(parameters, lr=lr, **kwargs)


def values_of(scheduler, events, optimizer, name="lr", engine=None):
    """Call `scheduler` `events` times, and return the value of each group of `optimizer` after each call."""
    rows = []
    for _ in range(events):
        scheduler(engine)
        rows.append([group[name] for group in optimizer.param_groups])
    return rows


def saved(state):
    """Return `state` after saving it to a file and loading it with ``weights_only=True``."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def close(values):
    return [pytest.approx(row, rel=1e-9, abs=1e-9) for row in values]


# The same values as in pytorch-ignite


@pytest.fixture(scope="module")
def theirs():
    return pytest.importorskip("ignite.handlers.param_scheduler")


values = st.floats(-10, 10).map(lambda value: round(value, 3))
cycles = st.fixed_dictionaries(
    {
        "start_value": values,
        "end_value": values,
        "cycle_size": st.integers(2, 9),
        "cycle_mult": st.sampled_from([1, 1.0, 1.5, 2]),
        "start_value_mult": st.sampled_from([1, 0.5, 2.0]),
        "end_value_mult": st.sampled_from([1, 0.9, 2.0]),
    }
)
milestones = st.lists(st.tuples(st.integers(-2, 12), values), min_size=1, max_size=5).map(
    lambda pairs: sorted(pairs, key=lambda pair: pair[0])
)
linear = cycles.map(lambda kwargs: ("LinearCyclicalScheduler", kwargs))
warm = st.tuples(cycles, st.integers(0, 4)).map(lambda drawn: {**drawn[0], "warmup_duration": drawn[1]})
monotonic = warm.map(lambda kwargs: ("LinearCyclicalScheduler", {**kwargs, "monotonic": True}))
cosine = warm.map(lambda kwargs: ("CosineAnnealingScheduler", kwargs))
piecewise = milestones.map(lambda pairs: ("PiecewiseLinear", {"milestones_values": pairs}))
simple = linear | monotonic | cosine | piecewise


def made(library, optimizer, drawn, **kwargs):
    name, arguments = drawn
    return getattr(library, name)(optimizer, "lr", **arguments, **kwargs)


def same_values(theirs, make, groups=1, events=30):
    """Return the values of a scheduler of Ignite and of the same scheduler here."""
    sequences = []
    for library in (theirs, ours):
        optimizer = optimizer_of(groups)
        sequences.append(values_of(make(library, optimizer), events, optimizer))
    return sequences


@quick
@given(simple)
def test_the_values_are_the_same_as_in_ignite(theirs, drawn):
    expected, found = same_values(theirs, lambda library, optimizer: made(library, optimizer, drawn))
    assert found == close(expected)


@quick
@given(simple)
def test_simulated_values_are_the_same_as_in_ignite(theirs, drawn):
    name, arguments = drawn
    expected, found = (
        getattr(library, name).simulate_values(num_events=20, param_name="lr", save_history=True, **arguments)
        for library in (theirs, ours)
    )
    assert found == close(expected)


@quick
@given(st.lists(st.tuples(simple, st.integers(0, 6)), min_size=2, max_size=4))
def test_concatenated_values_are_the_same_as_in_ignite(theirs, parts):
    durations = [duration or 1 for _, duration in parts[:-1]]  # Ignite allows 0 for the first duration only

    def make(library, optimizer):
        return library.ConcatScheduler([made(library, optimizer, drawn) for drawn, _ in parts], durations)

    expected, found = same_values(theirs, make)
    assert found == close(expected)
    simulated = [
        library.ConcatScheduler.simulate_values(15, make(library, o).schedulers, durations, ["lr", "momentum"])
        for library, o in ((theirs, optimizer_of(2)), (ours, optimizer_of(2)))
    ]
    assert simulated[1] == close(simulated[0])


@quick
@given(simple, simple)
def test_values_of_groups_are_the_same_as_in_ignite(theirs, first, second):
    def make(library, optimizer):
        parts = [made(library, optimizer, drawn, param_group_index=n) for n, drawn in enumerate((first, second))]
        return library.ParamGroupScheduler(parts, names=["first", "second"])

    expected, found = same_values(theirs, make, groups=2)
    assert found == close(expected)
    simulated = ParamGroupScheduler.simulate_values(30, make(ours, optimizer_of(2)).schedulers)
    assert simulated == [[number, *row] for number, row in enumerate(found)]


@quick
@given(simple, st.sampled_from([0.0, 0.01, 1.0]), st.integers(2, 6), st.sampled_from([None, 0.1, 0.5]))
def test_values_with_a_warm_up_are_the_same_as_in_ignite(theirs, drawn, start, duration, end):
    def make(library, optimizer):
        return library.create_lr_scheduler_with_warmup(made(library, optimizer, drawn), start, duration, end)

    expected, found = same_values(theirs, make)
    assert found == close(expected)


@pytest.mark.parametrize("first", [0.5, 0.1])
def test_the_end_value_of_a_warm_up_is_not_repeated_by_the_scheduler_after_it(theirs, first):
    def make(library, optimizer):
        after = library.PiecewiseLinear(optimizer, "lr", [(0, first), (4, 0.1)])
        return library.create_lr_scheduler_with_warmup(after, 0.0, 3, 0.5)

    expected, found = same_values(theirs, make, events=6)
    assert found == close(expected)
    warm_up = [[0.0], [0.25], [0.5]]
    assert found == close(warm_up + ([[0.4], [0.3], [0.2]] if first == 0.5 else [[0.1]] * 3))


@quick
@given(st.lists(st.floats(0, 5), min_size=1, max_size=20), st.integers(0, 2), st.sampled_from([None, 0, 1]))
def test_learning_rates_on_a_plateau_are_the_same_as_in_ignite(theirs, metrics, patience, group):
    kwargs = {"patience": patience, "factor": 0.5, "param_group_index": group}
    sequences = []
    for library, engine in ((theirs, Engine(lambda engine, batch: None)), (ours, Engine(lambda engine, batch: None))):
        optimizer = optimizer_of(2)
        scheduler = library.ReduceLROnPlateauScheduler(optimizer, "loss", **kwargs)
        rows = []
        for metric in metrics:
            engine.state.metrics = {"loss": metric}
            rows += values_of(scheduler, 1, optimizer, engine=engine)
        sequences.append(rows)
    assert sequences[1] == close(sequences[0])
    simulated = [
        library.ReduceLROnPlateauScheduler.simulate_values(len(metrics), metrics, 1.0, patience=patience)
        for library in (theirs, ours)
    ]
    assert simulated[1] == close(simulated[0])


@pytest.mark.parametrize(
    ("given", "lowest"),
    [({"min_lr": [0.04, 0.03]}, [0.04, 0.03]), ({"min_lr": 0.03, "param_group_index": 1}, [0.1, 0.03])],
)
def test_the_learning_rate_on_a_plateau_stops_at_min_lr(given, lowest):
    optimizer = optimizer_of(2)
    scheduler = ReduceLROnPlateauScheduler(optimizer, "loss", patience=0, **given)
    engine = Engine(lambda engine, batch: None)
    engine.state.metrics = {"loss": 1.0}

    assert values_of(scheduler, 9, optimizer, engine=engine)[-1] == lowest


# The same values as in a training loop of torch

TORCH = {
    "lambda": lambda o: of_torch.LambdaLR(o, lambda n: 0.9**n),
    "multiplicative": lambda o: of_torch.MultiplicativeLR(o, lambda n: 0.9),
    "step": lambda o: of_torch.StepLR(o, 2),
    "milestones": lambda o: of_torch.MultiStepLR(o, [2, 5]),
    "constant": lambda o: of_torch.ConstantLR(o, 0.3, 3),
    "linear": lambda o: of_torch.LinearLR(o, 0.1, 1.0, 6),
    "exponential": lambda o: of_torch.ExponentialLR(o, 0.8),
    "polynomial": lambda o: of_torch.PolynomialLR(o, 6, 2.0),
    "cosine": lambda o: of_torch.CosineAnnealingLR(o, 7),
    "warm_restarts": lambda o: of_torch.CosineAnnealingWarmRestarts(o, 3, 2),
    "cyclic": lambda o: of_torch.CyclicLR(o, 0.01, 0.2, 3),
    "one_cycle": lambda o: of_torch.OneCycleLR(o, 0.5, 20),
    "sequential": lambda o: of_torch.SequentialLR(
        o, [of_torch.ConstantLR(o, 0.1, 2), of_torch.ExponentialLR(o, 0.9)], [3]
    ),
    "chained": lambda o: of_torch.ChainedScheduler([of_torch.ConstantLR(o, 0.1, 2), of_torch.ExponentialLR(o, 0.9)]),
}
every_scheduler_of_torch = pytest.mark.parametrize("make", TORCH.values(), ids=TORCH)


def fresh(make=None):
    optimizer = optimizer_of(2, momentum=0.9)
    return (optimizer, make(optimizer)) if make else optimizer


def in_a_loop_of_torch(make, steps):
    """Return the learning rates and momenta of each step in a training loop of torch."""
    optimizer, scheduler = fresh(make)
    rows = []
    for _ in range(steps):
        rows.append([(group["lr"], group["momentum"]) for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return rows


def training(optimizer, steps):
    """Return an engine that appends the learning rates and momenta of each step to `steps`."""

    def step(engine, batch):
        steps.append([(group["lr"], group["momentum"]) for group in optimizer.param_groups])
        optimizer.step()

    return Engine(step)


@every_scheduler_of_torch
def test_a_torch_scheduler_has_the_same_values_as_in_torch(make):
    optimizer, scheduler = fresh(make)
    steps = []
    engine = training(optimizer, steps)
    LRScheduler(scheduler).attach(engine)

    engine.run([0] * 12)

    assert steps == in_a_loop_of_torch(make, 12)


@every_scheduler_of_torch
def test_a_legacy_torch_scheduler_after_the_step_starts_with_the_second_value(make):
    optimizer, scheduler = fresh(make)
    steps = []
    engine = training(optimizer, steps)
    with pytest.warns(UserWarning, match="the first lr value from the optimizer, otherwise it will be skipped"):
        handler = LRScheduler(scheduler, use_legacy=True)
    engine.add_event_handler(Events.ITERATION_COMPLETED, handler)

    engine.run([0] * 12)

    assert steps == in_a_loop_of_torch(make, 12)


@every_scheduler_of_torch
def test_a_torch_scheduler_resumes_from_its_state_dict(make):
    for done in (0, 1, 4, 7):
        optimizer, scheduler = fresh(make)
        handler = LRScheduler(scheduler)
        values_of(handler, done, optimizer)
        state = saved(handler.state_dict())
        expected = values_of(handler, 6, optimizer)

        another, of_another = fresh(make)
        resumed = LRScheduler(of_another)
        resumed.load_state_dict(state)

        assert values_of(resumed, 6, another) == expected


@every_scheduler_of_torch
def test_simulating_a_torch_scheduler_changes_nothing(make):
    optimizer, scheduler = fresh(make)
    before = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))

    rows = LRScheduler.simulate_values(12, scheduler)

    rates = [[lr for lr, _ in row] for row in in_a_loop_of_torch(make, 12)]
    assert rows == [[number, *row] for number, row in enumerate(rates)]
    assert (optimizer.state_dict(), scheduler.state_dict()) == before


def test_a_learning_rate_set_elsewhere_does_not_change_the_values():
    optimizer = optimizer_of()
    scheduler = LRScheduler(of_torch.ExponentialLR(optimizer, 0.5))
    values_of(scheduler, 2, optimizer)
    optimizer.param_groups[0]["lr"] = 100.0

    assert values_of(scheduler, 2, optimizer) == [[0.025], [0.0125]]


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (None, [[0.0, 0.0], [0.05, 0.1], [0.1, 0.2], [0.05, 0.1], [0.025, 0.05]]),
        (0.4, [[0.0, 0.0], [0.2, 0.2], [0.4, 0.4], [0.1, 0.2], [0.05, 0.1]]),
    ],
)
def test_a_torch_scheduler_can_follow_a_warm_up(end, expected):
    optimizer = optimizer_of(2)
    simulated = [None] * 5
    scheduler = create_lr_scheduler_with_warmup(
        of_torch.ExponentialLR(optimizer, 0.5), 0.0, 3, end, save_history=True, output_simulated_values=simulated
    )
    engine = Engine(lambda engine, batch: optimizer.step())
    scheduler.attach(engine)

    history = engine.run([0] * 5).param_history

    assert history == {"lr": close(expected)}
    assert simulated == [[number, *row] for number, row in enumerate(history["lr"])]


def test_the_warm_up_sets_only_the_scheduled_group():
    optimizer = optimizer_of(2)
    after = PiecewiseLinear(optimizer, "lr", [(0, 0.4)], param_group_index=1)

    rows = values_of(create_lr_scheduler_with_warmup(after, 0.0, 3), 4, optimizer)

    assert rows == close([[0.1, 0.0], [0.1, 0.1], [0.1, 0.2], [0.1, 0.4]])


# State dicts and copies

MAKERS = {
    "linear": lambda o: LinearCyclicalScheduler(o, "lr", 0.0, 1.0, 4, 1.5, 0.9, 0.8),
    "monotonic": lambda o: LinearCyclicalScheduler(o, "lr", 0.0, 1.0, 4, warmup_duration=2, monotonic=True),
    "cosine": lambda o: CosineAnnealingScheduler(o, "lr", 0.0, 1.0, 4, 2, 0.5, 0.5, 2, param_group_index=1),
    "piecewise": lambda o: PiecewiseLinear(o, "lr", [(2, 0.5), (5, 1.0), (9, 0.0)]),
    "concat": lambda o: ConcatScheduler([MAKERS["linear"](o), MAKERS["piecewise"](o)], [5]),
    "groups": lambda o: ParamGroupScheduler([MAKERS["cosine"](o), MAKERS["piecewise"](o)], ["a", "b"]),
    "warm_up": lambda o: create_lr_scheduler_with_warmup(of_torch.ExponentialLR(o, 0.5), 0.0, 4),
    "of_groups": lambda o: ConcatScheduler([MAKERS["groups"](o), MAKERS["linear"](o)], [3]),
}
every_scheduler = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@every_scheduler
def test_a_scheduler_resumes_from_its_state_dict(make):
    for done in range(12):
        optimizer, another = optimizer_of(2), optimizer_of(2)
        scheduler, fresh_one = make(optimizer), make(another)
        values_of(scheduler, done, optimizer)
        state = saved(scheduler.state_dict())
        expected = values_of(scheduler, 8, optimizer)

        fresh_one.load_state_dict(state)

        assert values_of(fresh_one, 8, another)[1:] == expected[1:]
        assert fresh_one.state_dict() == scheduler.state_dict()


def test_a_plateau_scheduler_resumes_from_its_state_dict():
    metrics = [1.0, 2.0, 3.0, 0.5, 0.6, 0.7, 0.8, 0.4]

    def lowered(scheduler, optimizer, metrics):
        engine = Engine(lambda engine, batch: None)
        rows = []
        for metric in metrics:
            engine.state.metrics["loss"] = metric
            rows += values_of(scheduler, 1, optimizer, engine=engine)
        return rows

    for done in range(len(metrics)):
        optimizer, another = optimizer_of(2), optimizer_of(2)
        scheduler, fresh_one = (ReduceLROnPlateauScheduler(o, "loss", patience=1) for o in (optimizer, another))
        lowered(scheduler, optimizer, metrics[:done])
        fresh_one.load_state_dict(saved(scheduler.state_dict()))

        assert lowered(fresh_one, another, metrics[done:]) == lowered(scheduler, optimizer, metrics[done:])


@every_scheduler
def test_loading_an_earlier_state_repeats_the_values(make):
    optimizer = optimizer_of(2)
    scheduler = make(optimizer)
    state = scheduler.state_dict()
    first = values_of(scheduler, 9, optimizer)

    scheduler.load_state_dict(state)

    assert values_of(scheduler, 9, optimizer)[4:] == first[4:]


@every_scheduler
def test_a_copy_and_a_pickle_have_their_own_optimizer(make):
    optimizer = optimizer_of(2)
    scheduler = make(optimizer)
    values_of(scheduler, 3, optimizer)

    twins = copy.deepcopy(scheduler), pickle.loads(pickle.dumps(scheduler))
    expected = values_of(scheduler, 5, optimizer)

    for twin in twins:
        own_optimizer = twin.optimizer[0] if isinstance(twin.optimizer, list) else twin.optimizer
        assert own_optimizer is not optimizer
        assert values_of(twin, 5, own_optimizer) == expected


def test_a_state_dict_without_a_key_changes_nothing():
    optimizer = optimizer_of()
    scheduler = PiecewiseLinear(optimizer, "lr", [(0, 0.0), (4, 1.0)])
    state = {**scheduler.state_dict(), "event_index": 3}
    del state["values"]

    with pytest.raises(ValueError, match="Required state attribute 'values' is absent in provided state_dict"):
        scheduler.load_state_dict(state)
    assert scheduler.event_index == 0


# In an engine


def test_a_scheduler_sets_its_value_before_the_step_and_records_a_history():
    optimizer = optimizer_of(2)
    used = []
    engine = Engine(lambda engine, batch: used.append(optimizer.param_groups[1]["lr"]))
    engine.state.param_history = None
    scheduler = LinearCyclicalScheduler(optimizer, "lr", 0.0, 1.0, 4, save_history=True)
    handle = scheduler.attach(engine)

    engine.run([0] * 3)
    handle.remove()
    engine.run([0] * 2)

    assert used == [0.0, 0.5, 1.0, 1.0, 1.0]
    assert engine.state.param_history == {"lr": [[0.0, 0.0], [0.5, 0.5], [1.0, 1.0]]}


def test_the_history_has_the_given_names():
    def history(*names, attached=()):
        optimizer = optimizer_of(2)
        parts = [PiecewiseLinear(optimizer, "lr", [(0, float(n)), (2, 4.0)], param_group_index=n) for n in (0, 1)]
        engine = Engine(lambda engine, batch: None)
        scheduler = ParamGroupScheduler(parts, names=list(names) or None, save_history=True)
        engine.add_event_handler(Events.ITERATION_STARTED, scheduler, *attached)
        return engine.run([0] * 2).param_history

    assert history("a", "b") == {"a": [[0.0], [2.0]], "b": [[1.0], [2.5]]}
    assert history() == {"lr": [[0.0, 1.0], [2.0, 2.5]]}
    assert history("a", "b", attached=["both"]) == {"both": [[0.0, 1.0], [2.0, 2.5]]}


def test_a_plateau_scheduler_records_its_history_in_the_trainer_without_keeping_it_alive():
    optimizer = optimizer_of(2)
    trainer, evaluator = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None)
    scheduler = ReduceLROnPlateauScheduler(
        optimizer, "loss", trainer, save_history=True, param_group_index=1, patience=0, factor=0.5
    )
    scheduler.attach(evaluator)
    losses = iter([1.0, 2.0, 3.0])
    evaluator.add_event_handler(Events.STARTED, lambda e: e.state.metrics.update(loss=next(losses)))

    for _ in range(3):
        evaluator.run([0])

    assert trainer.state.param_history == {"lr": [[0.2], [0.1], [0.05]]}
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.05]
    assert not hasattr(evaluator.state, "param_history")
    del trainer
    assert (scheduler.trainer, copy.deepcopy(scheduler).trainer) == (None, None)


def test_an_engine_with_schedulers_is_freed_without_the_garbage_collector():
    gc.disable()
    try:
        optimizer = optimizer_of(2)
        trainer, evaluator = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda _, other: other.run([0]), evaluator)
        evaluator.add_event_handler(Events.STARTED, lambda e: e.state.metrics.update(loss=1.0))
        for make in MAKERS.values():
            make(optimizer).attach(trainer)
        ReduceLROnPlateauScheduler(optimizer, "loss", trainer, save_history=True).attach(evaluator)
        trainer.run([0] * 3)
        freed = weakref.ref(trainer), weakref.ref(evaluator)
        del trainer, evaluator
        assert [ref() for ref in freed] == [None, None]
    finally:
        gc.enable()


def test_a_tensor_setting_is_changed_in_place():
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=rate)
    scheduler = create_lr_scheduler_with_warmup(of_torch.ExponentialLR(optimizer, 0.5), 0.0, 3)

    values_of(scheduler, 5, optimizer)

    assert optimizer.param_groups[0]["lr"] is rate
    assert float(rate) == pytest.approx(0.025)


class Own(ParamScheduler):
    def get_param(self):
        return [float(self.event_index)] * 2


def test_a_custom_scheduler_defines_get_param():
    class Any:
        param_groups = ({"params": 0}, {"params": 1})

    assert values_of(Own(Any, "beta"), 2, Any, "beta") == [[0.0, 0.0], [1.0, 1.0]]
    with pytest.raises(ValueError, match="size of value is different than optimizer_param_groups 2 != 1"):
        Own(Any, "beta", param_group_index=0)()


def test_a_cyclical_scheduler_written_for_ignite_defines_get_param():
    def steps(base):
        class Steps(base):
            def get_param(self):
                return self.start_value if self.event_index < self.cycle_size / 2 else self.end_value

        return [value for _, value in Steps.simulate_values(6, param_name="lr", **cycle)]

    of_ignite = pytest.importorskip("ignite.handlers.param_scheduler")
    cycle = {"start_value": 1.0, "end_value": 0.1, "cycle_size": 4}
    assert steps(ours.CyclicalScheduler) == steps(of_ignite.CyclicalScheduler) == [1.0, 1.0, 0.1, 0.1, 1.0, 1.0]


def test_a_cyclical_scheduler_without_values_says_which_method_to_define():
    with pytest.raises(NotImplementedError, match=r"CyclicalScheduler.*get_param"):
        ours.CyclicalScheduler.simulate_values(1, param_name="lr", start_value=1.0, end_value=0.1, cycle_size=4)


def test_a_shrinking_cycle_has_at_least_one_event():
    rows = LinearCyclicalScheduler.simulate_values(
        7, param_name="lr", start_value=0.0, end_value=1.0, cycle_size=4, cycle_mult=0.5, monotonic=True
    )

    assert [value for _, value in rows] == [0.0, 0.25, 0.5, 0.75, 0.0, 0.5, 0.0]


def test_a_simulation_does_not_change_the_given_schedulers():
    optimizer = optimizer_of(2)
    parts = [MAKERS["linear"](optimizer), LRScheduler(of_torch.ExponentialLR(optimizer, 0.5), save_history=True)]
    before = copy.deepcopy([part.state_dict() for part in parts]), copy.deepcopy(optimizer.state_dict())

    ConcatScheduler.simulate_values(9, parts, [4])
    ParamGroupScheduler.simulate_values(9, parts)

    assert ([part.state_dict() for part in parts], optimizer.state_dict()) == before


# Plots


def test_a_plot_has_a_line_for_each_value(plt):
    optimizer = optimizer_of(2)
    (line,) = PiecewiseLinear.plot_values(3, param_name="momentum", milestones_values=[(0, 0.0), (2, 1.0)])
    lines = ConcatScheduler.plot_values(4, schedulers=[MAKERS["linear"](optimizer)] * 2, durations=[2])

    assert (line.get_label(), line.get_xydata().tolist()) == ("momentum", [[0, 0.0], [1, 0.5], [2, 1.0]])
    assert [len(line.get_xdata()) for line in lines] == [4, 4]


def test_the_error_for_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"This method requires matplotlib to be installed.*fsm-engine\[plot\]"
    ):
        PiecewiseLinear.plot_values(3, param_name="lr", milestones_values=[(0, 0.0)])


# Errors


ERRORS = [
    (lambda o, p: PiecewiseLinear({}, "lr", []), TypeError, "Argument optimizer should be torch.optim.Optimizer"),
    (lambda o, p: PiecewiseLinear(o, "lr", 1), TypeError, "Argument milestones_values should be a list or tuple"),
    (lambda o, p: PiecewiseLinear(o, "lr", []), ValueError, "with at least one value"),
    (lambda o, p: PiecewiseLinear(o, "lr", [1]), ValueError, "a list of pairs"),
    (lambda o, p: PiecewiseLinear(o, "lr", [(1,)]), ValueError, "a list of pairs"),
    (lambda o, p: PiecewiseLinear(o, "lr", [(3, 1), (2, 1)]), ValueError, "Milestones should be increasing integers"),
    (lambda o, p: PiecewiseLinear(o, "lr", [(1.5, 1)]), TypeError, "Value of a milestone should be integer"),
    (
        lambda o, p: LinearCyclicalScheduler(o, "lr", 0, 1, 1),
        ValueError,
        "Argument cycle_size should be positive and larger than 1",
    ),
    (
        lambda o, p: LinearCyclicalScheduler(o, "lr", 0, 1, 4, warmup_duration=1),
        ValueError,
        "Invalid combination when warmup_duration > 0 and monotonic=False",
    ),
    (lambda o, p: CosineAnnealingScheduler(o, "lr", 0, 1, 4, warmup_duration=-1), ValueError, "not be negative"),
    (lambda o, p: ConcatScheduler(3, [1]), TypeError, "Argument schedulers should be a sequence"),
    (lambda o, p: ConcatScheduler([p], []), ValueError, "more than one parameter schedulers"),
    (lambda o, p: ConcatScheduler([p, 3], [1]), TypeError, "Value at index 1 of schedulers should be a parameter sche"),
    (lambda o, p: ConcatScheduler([p, p], 3), TypeError, "Argument durations should be list/tuple"),
    (lambda o, p: ConcatScheduler([p, p], [1.5]), ValueError, "Argument durations should be list/tuple of integers"),
    (lambda o, p: ConcatScheduler([p, p], [-1]), ValueError, "Argument durations should be list/tuple of integers"),
    (lambda o, p: ConcatScheduler([p, p], [1, 2]), ValueError, "Incorrect number schedulers or duration values"),
    (lambda o, p: ConcatScheduler([p, Own(optimizer_of(), "lr")], [1]), ValueError, "related to same optimizer"),
    (lambda o, p: ConcatScheduler([p, Own(o, "momentum")], [1]), ValueError, "related to same param_name"),
    (lambda o, p: ConcatScheduler.simulate_values(3, [p, p], [1], 1), TypeError, "Argument param_names should be list"),
    (lambda o, p: ConcatScheduler.simulate_values(3, [p, p], [1], [1]), ValueError, "of strings, such as ['lr', "),
    (lambda o, p: ConcatScheduler.simulate_values(0, [p, p], [1], ["lr", None]), ValueError, "given ['lr', None]"),
    (lambda o, p: ConcatScheduler([p, p], [1]).load_state_dict({}), ValueError, "attribute 'schedulers' is absent"),
    (
        lambda o, p: ConcatScheduler([p, p], [1]).load_state_dict({"schedulers": []}),
        ValueError,
        "Input state_dict contains 0 state_dicts of concatenated schedulers",
    ),
    (lambda o, p: ParamGroupScheduler(3), TypeError, "Argument schedulers should be a list/tuple"),
    (lambda o, p: ParamGroupScheduler([p, 3]), ValueError, "a list/tuple of parameter schedulers"),
    (lambda o, p: ParamGroupScheduler([]), ValueError, "a list/tuple of parameter schedulers"),
    (lambda o, p: ParamGroupScheduler([p], 3), TypeError, "Argument names should be a list/tuple"),
    (lambda o, p: ParamGroupScheduler([p], [3]), ValueError, "a list/tuple of parameter scheduler's names"),
    (lambda o, p: ParamGroupScheduler([p, p], ["a"]), ValueError, "2 should be equal 1"),
    (lambda o, p: ParamGroupScheduler([p]).load_state_dict({"schedulers": []}), ValueError, "0 state_dicts of param"),
    (
        lambda o, p: ParamGroupScheduler([p]).load_state_dict(ParamGroupScheduler([p], ["a"]).state_dict()),
        ValueError,
        "Name of scheduler from input state dict does not correspond to required one, a vs lr",
    ),
    (lambda o, p: p.load_state_dict([]), TypeError, "Argument state_dict should be a dictionary, but given"),
    (lambda o, p: p.load_state_dict({}), ValueError, "Required state attribute 'event_index' is absent in provided"),
    (
        lambda o, p: LRScheduler(3),
        TypeError,
        "Argument lr_scheduler should be a subclass of torch.optim.lr_scheduler.LRScheduler",
    ),
    (
        lambda o, p: LRScheduler(of_torch.ReduceLROnPlateau(o)),
        TypeError,
        "Use fsm_engine.handlers.ReduceLROnPlateauSch",
    ),
    (
        lambda o, p: create_lr_scheduler_with_warmup(3, 0.0, 3),
        TypeError,
        "Argument lr_scheduler should be a subclass of torch.optim.lr_scheduler.LRScheduler or ParamScheduler",
    ),
    (
        lambda o, p: create_lr_scheduler_with_warmup(p, 0.0, 2.5),
        TypeError,
        "Argument warmup_duration should be integer",
    ),
    (lambda o, p: create_lr_scheduler_with_warmup(p, 0.0, 1), ValueError, "should be at least 2 events"),
    (
        lambda o, p: create_lr_scheduler_with_warmup(p, 0.0, 3, output_simulated_values=3),
        TypeError,
        "Argument output_simulated_values should be a list of None",
    ),
    (
        lambda o, p: ReduceLROnPlateauScheduler(o, "loss")(Engine(lambda e, b: None)),
        ValueError,
        "Argument engine should have in its 'state', attribute 'metrics'",
    ),
    (
        lambda o, p: ReduceLROnPlateauScheduler(o, "loss", param_group_index=0, min_lr=[0.1]),
        TypeError,
        "When param_group_index is given, min_lr should be a float",
    ),
    (
        lambda o, p: ReduceLROnPlateauScheduler.simulate_values(3, [1.0], 0.1),
        ValueError,
        "Length of argument metric_values should be equal to num_events. 1 != 3",
    ),
]


@pytest.mark.parametrize(("make", "error", "text"), ERRORS, ids=[text for *_, text in ERRORS])
def test_wrong_arguments_are_errors(make, error, text):
    optimizer = optimizer_of()
    with pytest.raises(error) as caught:
        make(optimizer, PiecewiseLinear(optimizer, "lr", [(0, 1.0)]))
    assert text in str(caught.value)
