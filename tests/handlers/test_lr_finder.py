"""`FastaiLRFinder`: its results, and that a search restores everything."""

from __future__ import annotations

import copy
import gc
import logging
import math
import sys
import warnings
import weakref

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fsm_engine
from fsm_engine import Engine, Events
from fsm_engine._util.errors import BusyError
from fsm_engine.handlers.lr_finder import FastaiLRFinder

NO_DIVERGENCE = "Run completed without loss diverging"


class Task:
    """A tiny model with its optimizer, data, and a trainer of fsm_engine or Ignite."""

    def __init__(self, engine=fsm_engine, seed=0, groups=1, batches=30, lr=1e-3):
        generator = torch.Generator().manual_seed(seed)
        self.model = torch.nn.Linear(2, 1)
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
        parameters = [[self.model.weight, self.model.bias]] if groups == 1 else [[self.model.weight], [self.model.bias]]
        self.optimizer = torch.optim.SGD(
            [{"params": group, "lr": lr * (n + 1)} for n, group in enumerate(parameters)], lr=lr, momentum=0.5
        )
        self.to_save = {"model": self.model, "optimizer": self.optimizer}
        weight = torch.tensor([[2.0, -3.0]])
        inputs = [torch.randn(4, 2, generator=generator) for _ in range(batches)]
        self.data = [(x, x @ weight.T + 0.1 * torch.randn(4, 1, generator=generator)) for x in inputs]
        self.trainer = engine.create_supervised_trainer(self.model, self.optimizer, torch.nn.functional.mse_loss)

    def state(self):
        return copy.deepcopy((self.model.state_dict(), self.optimizer.state_dict()))


def searched(task, finder=None, run=None, **kwargs):
    """Run a search on `task`, and return the finder."""
    finder = finder or FastaiLRFinder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with finder.attach(task.trainer, task.to_save, **kwargs) as trial:
            trial.run(task.data, **(run or {}))
    return finder


def with_losses(losses, **kwargs):
    """Run a search in which the step returns `losses`; return the finder and the starts of the warnings."""
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.001)
    remaining = iter(losses)
    trainer = Engine(lambda engine, batch: next(remaining))
    finder = FastaiLRFinder()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with finder.attach(trainer, {"optimizer": optimizer}, **{"smooth_f": 0.0, **kwargs}) as trial:
            trial.run([0] * len(losses))
    return finder, [str(warning.message)[: len(NO_DIVERGENCE)] for warning in caught]


# Results


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("ignite")
    from ignite import engine, handlers

    logging.getLogger("ignite.engine.engine.Engine").setLevel(logging.CRITICAL)
    return engine, handlers.FastaiLRFinder


def outcome(finder):
    """Return the results and the suggestion of a search; for an error, the start of its message."""
    try:
        suggestion = finder.lr_suggestion()
    except RuntimeError as error:
        suggestion = str(error)[:40]
    return {**finder.get_results(), "suggestion": suggestion}


def close(found):
    return {
        "lr": [pytest.approx(rates, rel=1e-9) for rates in found["lr"]],
        "loss": pytest.approx(found["loss"], rel=1e-5, abs=1e-9),
        "suggestion": pytest.approx(found["suggestion"], rel=1e-9)
        if not isinstance(found["suggestion"], str)
        else found["suggestion"],
    }


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 1000),
    groups=st.sampled_from([1, 2]),
    run=st.fixed_dictionaries({}, optional={"max_epochs": st.integers(1, 3), "epoch_length": st.integers(5, 30)}),
    kwargs=st.fixed_dictionaries(
        {},
        optional={
            "num_iter": st.integers(2, 50),
            "end_lr": st.sampled_from([0.5, 10.0, 100.0]),
            "step_mode": st.sampled_from(["exp", "linear"]),
            "smooth_f": st.sampled_from([0.0, 0.05, 0.5]),
            "diverge_th": st.sampled_from([1.5, 5.0]),
        },
    ),
)
def test_the_results_are_the_same_as_in_ignite(theirs, seed, groups, run, kwargs):
    engine, finder = theirs
    expected = searched(Task(engine, seed, groups), finder(), run, **kwargs)
    found = searched(Task(fsm_engine, seed, groups), None, run, **kwargs)

    assert outcome(found) == close(outcome(expected))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 50).map(float), min_size=1, max_size=9))
def test_the_suggestion_is_the_same_as_in_ignite(theirs, losses):
    rates = [float(number) for number in range(len(losses))]
    expected, found = theirs[1](), FastaiLRFinder()
    expected._history = {"lr": rates, "loss": losses}
    found._rates, found._losses = [[rate] for rate in rates], losses

    assert outcome(found) == close(outcome(expected))


def test_the_suggestion_is_at_the_steepest_slope_of_a_u_shape():
    finder, warned = with_losses([10.0, 9.0, 4.0, 2.0, 1.0, 6.0, 7.0], start_lr=0.001, end_lr=1.0)

    rates = [0.001 ** (1 - number / 7) for number in range(1, 7)]
    assert warned == []
    assert finder.get_results() == {"lr": pytest.approx(rates), "loss": [10.0, 9.0, 4.0, 2.0, 1.0, 6.0]}
    assert finder.lr_suggestion() == pytest.approx(rates[2])  # from 9 to 2


def test_the_results_are_there_inside_the_block_and_during_the_run():
    task, finder, seen = Task(), FastaiLRFinder(), []
    task.trainer.add_event_handler(
        Events.ITERATION_STARTED, lambda: seen.append(len(finder.get_results().get("lr", [])))
    )
    with finder.attach(task.trainer, task.to_save) as trial:
        assert finder.get_results() == {}
        trial.run(task.data)
        inside = finder.get_results(), finder.lr_suggestion()
        pytest.importorskip("matplotlib")
        assert finder.plot(skip_start=0, skip_end=0).lines[0].get_ydata().tolist() == inside[0]["loss"]
    assert seen == list(range(len(inside[0]["loss"])))
    assert (finder.get_results(), finder.lr_suggestion()) == inside


def test_the_first_two_steps_have_the_first_learning_rate():
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=100.0)
    used = []

    def step(engine, batch):
        used.append(optimizer.param_groups[0]["lr"])
        return 1.0

    trainer = Engine(step)
    trainer.add_event_handler(Events.ITERATION_STARTED(priority=-5), lambda: optimizer.param_groups[0].update(lr=7.0))
    with (
        pytest.warns(UserWarning, match=NO_DIVERGENCE),
        FastaiLRFinder().attach(trainer, {"optimizer": optimizer}, start_lr=1.0, end_lr=16.0) as trial,
    ):
        trial.run([0] * 4)

    assert used == [2.0, 2.0, 4.0, 8.0]
    assert optimizer.param_groups[0]["lr"] == 100.0


@pytest.mark.parametrize(
    ("losses", "recorded"),
    [
        ([1.0, 2.0, math.nan, 1.0], [1.0, 2.0]),
        ([1.0, math.inf, 1.0], [1.0, math.inf]),
        ([-1.0, -2.0, 2.0, 7.0, 1.0], [-1.0, -2.0, 2.0, 7.0]),
        ([math.nan, 1.0], []),
    ],
    ids=str,
)
def test_a_nan_loss_or_a_diverged_loss_ends_the_run(losses, recorded):
    finder, warned = with_losses(losses)

    assert finder.get_results().get("loss", []) == recorded
    assert warned == []


@pytest.mark.parametrize(("losses", "th"), [([1.0] * 3, 5.0), ([1.0, 5.0, 5.0], 5.0), ([-1.0, 0.0, -1.0], 5.0)])
def test_a_run_without_divergence_warns(losses, th):
    finder, warned = with_losses(losses, diverge_th=th)

    assert (finder.get_results()["loss"], warned) == (losses, [NO_DIVERGENCE])


@pytest.mark.parametrize(
    ("run", "num_iter", "count"),
    [
        ({}, 12, 13),
        ({}, 30, 30),
        ({}, 40, 40),
        ({"max_epochs": 2}, None, 60),
        ({"max_iters": 20}, None, 20),
        ({"max_iters": 20}, 25, 25),
        ({"max_iters": 20}, 10, 11),
    ],
)
def test_the_run_has_the_length_of_the_search(run, num_iter, count):
    finder = searched(Task(), run=run, num_iter=num_iter, end_lr=0.01, diverge_th=1e9)

    assert len(finder.get_results()["lr"]) == count


def test_data_of_unknown_length_needs_num_iter():
    task = Task()
    with (
        pytest.raises(ValueError, match="give num_iter"),
        FastaiLRFinder().attach(task.trainer, task.to_save) as trial,
    ):
        trial.run(iter(task.data))
    with (
        pytest.warns(UserWarning, match=NO_DIVERGENCE),
        FastaiLRFinder().attach(task.trainer, task.to_save, num_iter=7, end_lr=0.01) as trial,
    ):
        assert trial.run(iter(task.data)).iteration == 7


@pytest.mark.parametrize("loss", [torch.tensor(1.0), torch.tensor([1.0]), torch.tensor(1.0, requires_grad=True), 1.0])
def test_a_loss_is_a_float_or_a_tensor_with_one_element(loss):
    finder, _ = with_losses([{"loss": loss}] * 2, output_transform=lambda output: output["loss"])

    assert finder.get_results()["loss"] == [1.0, 1.0]


# A search restores everything


def run_until(trial, task, how):
    """Run a search that ends in the way `how`."""
    if how == "raise":
        trial.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trial.run(task.data)
    elif how == "interrupt":
        trial.run(task.data, until=Events.ITERATION_STARTED(once=3))
        assert trial.outcome == "interrupted"
    elif how == "leave":
        raise KeyboardInterrupt
    else:
        trial.run(task.data)


ENDS = ["complete", "raise", "interrupt", "leave"]


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.filterwarnings("ignore:Run completed without")
def test_everything_is_restored_however_the_search_ends(how):
    task = Task(groups=2)
    trainer = task.trainer
    trainer.run(task.data[:10], max_epochs=2)
    trainer.state.mine = {"before": [1]}
    task.model.weight.grad.fill_(3.0)
    task.model.eval()
    gradients = [parameter.grad for parameter in task.model.parameters()]
    state, attributes, before = trainer.state, copy.copy(trainer.state.attributes()), task.state()
    handlers = trainer.explain(Events.ITERATION_COMPLETED)

    def trial_run():
        with FastaiLRFinder().attach(trainer, task.to_save) as trial:
            trial.state.mine["more"] = 1
            trial.state.other = 2
            run_until(trial, task, how)

    if how == "leave":
        with pytest.raises(KeyboardInterrupt):
            trial_run()
    else:
        trial_run()
    for user_handler in trainer._registry.entry(Events.ITERATION_COMPLETED).handlers:
        trainer.remove_event_handler(user_handler.handler, Events.ITERATION_COMPLETED)

    assert trainer.state is state
    assert state.attributes() == attributes
    assert state.mine == {"before": [1]}
    assert_same(task.state(), before)
    assert [parameter.grad for parameter in task.model.parameters()] == gradients
    assert bool((task.model.weight.grad == 3.0).all())
    assert not task.model.training
    assert trainer.explain(Events.ITERATION_COMPLETED) == handlers
    assert trainer.outcome == "completed"


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_suspended_run_resumes_after_the_search():
    def losses(search):
        task = Task(batches=8)
        found = []
        task.trainer.add_event_handler(
            Events.ITERATION_COMPLETED, lambda e: found.append((e.state.iteration, e.state.output))
        )
        task.trainer.run(task.data, max_epochs=2, until=Events.ITERATION_STARTED(once=5))
        if search:
            searched(task, num_iter=3)
            del found[4:]
        task.trainer.run(task.data)
        return found

    assert losses(search=True) == losses(search=False)


def test_a_run_resumes_from_a_state_loaded_before_the_search():
    task = Task(batches=8)
    task.trainer.load_state_dict({"epoch_length": 8, "iteration": 5, "max_epochs": 2})
    searched(task, num_iter=3)
    seen = []
    task.trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.append(e.state.iteration))

    task.trainer.run(task.data)

    assert seen == list(range(6, 17))


def test_training_after_a_search_is_the_same_as_without_it():
    def trained(search):
        task = Task()
        task.trainer.run(task.data)
        if search:
            searched(task)
        task.trainer.run(task.data)
        return task.state()

    assert_same(trained(search=True), trained(search=False))


def test_handlers_are_attached_only_inside_the_block():
    task = Task()
    before = task.trainer.explain(Events.ITERATION_STARTED)
    block = FastaiLRFinder().attach(task.trainer, task.to_save)

    assert task.trainer.explain(Events.ITERATION_STARTED) == before
    with block as trial:
        assert trial is task.trainer
        assert trial.explain(Events.ITERATION_STARTED) != before
    assert task.trainer.explain(Events.ITERATION_STARTED) == before


def test_a_search_inside_a_run_of_the_same_engine_is_an_error():
    task = Task()

    def search():
        with FastaiLRFinder().attach(task.trainer, task.to_save):
            pytest.fail("the block was entered")

    task.trainer.add_event_handler(Events.STARTED, search)
    with pytest.raises(BusyError, match="the engine is running; it is in STARTED"):
        task.trainer.run(task.data)


def test_an_engine_without_iterations_is_an_error_and_is_not_changed():
    engine, task = Engine(lifecycle=fsm_engine.Lifecycle("other")), Task()
    before = engine.explain(Events.STARTED)

    with pytest.raises(ValueError, match="ITERATION_STARTED"), FastaiLRFinder().attach(engine, task.to_save):
        pytest.fail("the block was entered")
    assert engine.explain(Events.STARTED) == before


def test_a_second_search_replaces_the_results():
    task = Task()
    finder = searched(task, num_iter=10)
    first = finder.get_results()
    searched(task, finder, num_iter=10)

    assert finder.get_results() == first


def test_an_engine_is_freed_after_a_search_without_the_garbage_collector():
    gc.disable()
    try:
        task = Task()
        finder = searched(task)
        freed = weakref.ref(task.trainer)
        del task
        assert freed() is None
        assert finder.get_results()
    finally:
        gc.enable()


# Suggestions and plots


def test_a_suggestion_is_applied_to_each_group():
    task = Task(groups=2)
    finder = searched(task, end_lr=1.0)
    finder.apply_suggested_lr(task.optimizer)

    suggestion = finder.lr_suggestion()
    assert [group["lr"] for group in task.optimizer.param_groups] == suggestion
    assert suggestion in finder.get_results()["lr"]
    with pytest.raises(RuntimeError, match="The number of parameter groups does not match"):
        finder.apply_suggested_lr(Task().optimizer)


@pytest.mark.parametrize("method", ["lr_suggestion", "plot"])
def test_a_suggestion_or_plot_without_a_search_is_an_error(method):
    if method == "plot":
        pytest.importorskip("matplotlib")
    finder = FastaiLRFinder()

    assert finder.get_results() == {}
    with pytest.raises(RuntimeError, match="learning rate finder didn't run yet so"):
        getattr(finder, method)()


def test_a_loss_that_does_not_fall_has_no_suggestion():
    finder, _ = with_losses([1.0, 2.0, 3.0])
    with pytest.raises(RuntimeError, match="FastaiLRFinder got unexpected curve shape"):
        finder.lr_suggestion()


def test_a_plot_shows_the_curve_and_marks_the_suggestion(plt):
    finder, _ = with_losses([10.0, 9.0, 4.0, 2.0, 1.0, 3.0])
    axes = finder.plot(skip_start=1, skip_end=2)
    (line,), (mark,) = axes.lines, axes.collections
    results = finder.get_results()

    assert line.get_xydata().tolist() == [list(point) for point in zip(results["lr"][1:4], results["loss"][1:4])]
    assert mark.get_offsets().tolist() == [[finder.lr_suggestion(), 4.0]]
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_xscale()) == ("Learning rate", "Loss", "log")


def test_a_plot_uses_the_given_axes(plt):
    finder = searched(Task(groups=2), end_lr=1.0)
    axes = plt.subplots()[1]

    assert finder.plot(0, 0, log_lr=False, display_suggestion=False, ax=axes) is axes
    assert [len(line.get_xdata()) for line in axes.lines] == [len(finder.get_results()["lr"])] * 2
    assert (len(axes.collections), axes.get_xscale()) == (0, "linear")


def test_a_curve_without_a_suggestion_is_plotted(plt):
    finder, _ = with_losses([1.0, 2.0, 3.0])

    assert len(finder.plot(skip_start=0).collections) == 0


def test_a_negative_number_of_skipped_iterations_is_an_error(plt):
    finder, _ = with_losses([1.0, 2.0, 3.0])
    for skip in ("skip_start", "skip_end"):
        with pytest.raises(ValueError, match=f"{skip} cannot be negative"):
            finder.plot(**{skip: -1})


def test_the_error_for_missing_matplotlib_names_the_extra(monkeypatch):
    finder, _ = with_losses([1.0, 2.0, 3.0])
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ModuleNotFoundError, match=r"requires matplotlib to be installed.*fsm-engine\[plot\]"):
        finder.plot()


# Errors


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"num_iter": 0}, ValueError, "num_iter should be positive"),
        ({"num_iter": 1.5}, TypeError, "num_iter should be an integer"),
        ({"smooth_f": 1.0}, ValueError, "smooth_f is outside the range [0, 1]"),
        ({"smooth_f": "a"}, TypeError, "smooth_f should be a number"),
        ({"diverge_th": 0.5}, ValueError, "diverge_th should be larger than 1"),
        ({"diverge_th": None}, TypeError, "diverge_th should be a number"),
        ({"diverge_th": math.nan}, ValueError, "diverge_th should be larger than 1"),
        ({"step_mode": "x"}, ValueError, "step_mode should be 'exp' or 'linear'"),
        ({"output_transform": 3}, TypeError, "output_transform should be a function"),
        ({"start_lr": "x"}, TypeError, "start_lr should be a float or list of floats"),
        ({"end_lr": None}, TypeError, "end_lr should be a float or list of floats"),
        ({"start_lr": [1.0, 2.0]}, ValueError, "Number of values of start_lr should be equal to optimizer values."),
        ({"start_lr": 10.0}, ValueError, "start_lr must be less than end_lr"),
        ({"start_lr": 0.0}, ValueError, "start_lr must be positive"),
        ({"to_save": None}, TypeError, "Argument to_save should be a mapping"),
        ({"to_save": {"model": torch.nn.Linear(1, 1)}}, ValueError, "Mapping to_save should contain 'optimizer' key"),
        ({"to_save": {"optimizer": 3}}, TypeError, "should have `state_dict` method"),
    ],
    ids=str,
)
def test_a_wrong_argument_is_an_error_before_the_block(given, error, text):
    task = Task()
    with pytest.raises(error) as caught:
        FastaiLRFinder().attach(task.trainer, **{"to_save": task.to_save, **given})
    assert text in str(caught.value)


@pytest.mark.parametrize(
    ("loss", "error", "text"),
    [
        ("x", TypeError, "output of the engine should be of type float or 0d torch.Tensor"),
        ([1.0], TypeError, "Choose the loss with output_transform="),
        (torch.zeros(2), ValueError, "got torch.Tensor of shape torch.Size([2])"),
        (torch.zeros(1, 1), ValueError, "got torch.Tensor of shape torch.Size([1, 1])"),
    ],
    ids=str,
)
def test_an_output_that_is_not_a_loss_is_an_error(loss, error, text):
    with pytest.raises(error) as caught:
        with_losses([loss])
    assert text in str(caught.value)


@pytest.mark.filterwarnings(f"ignore:{NO_DIVERGENCE}")
@pytest.mark.parametrize("mode", ["exp", "linear"])
def test_the_first_step_takes_the_first_rate_of_the_results(mode):
    task, used = Task(), []

    def step(engine, batch):
        used.append(task.optimizer.param_groups[0]["lr"])
        return 1.0

    finder = FastaiLRFinder()
    with finder.attach(Engine(step), task.to_save, num_iter=5, start_lr=1e-4, step_mode=mode) as trainer:
        trainer.run(task.data)
    assert used[0] == finder.get_results()["lr"][0]
