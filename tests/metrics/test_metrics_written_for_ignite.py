"""Metrics written for pytorch-ignite, with its decorators and private attributes: the same on both libraries."""

from __future__ import annotations

import copy
from typing import Any

import ignite.engine
import ignite.metrics
import pytest
import torch

import fsm_engine
import fsm_engine.engine
import fsm_engine.metrics

LIBRARIES = {"fsm_engine": fsm_engine, "ignite": ignite}
BOTH = pytest.mark.parametrize("library", LIBRARIES.values(), ids=LIBRARIES)
BATCHES = [(torch.tensor([[0.2, 0.8], [0.9, 0.1]]), torch.tensor([1, 1])), (torch.eye(2), torch.tensor([0, 0]))]


def masked_accuracy(library: Any) -> Any:
    """Return a metric class as pytorch-ignite's documentation teaches to write it."""
    reinit__is_reduced, sync_all_reduce = (
        library.metrics.metric.reinit__is_reduced,
        library.metrics.metric.sync_all_reduce,
    )

    class MaskedAccuracy(library.metrics.Metric):
        required_output_keys = ("y_pred", "y", "mask")
        _state_dict_all_req_keys = ("_correct", "_examples", "_parts")

        def __init__(self, ignored: int, output_transform: Any = lambda x: x, device: Any = "cpu") -> None:
            self.ignored = ignored
            self._correct = None
            self._parts = {"mean": library.metrics.Average(), "list": [library.metrics.Average()]}
            super().__init__(output_transform=output_transform, device=device)

        @reinit__is_reduced
        def reset(self) -> None:
            self._correct = torch.tensor(0, device=self._device, dtype=self._double_dtype)
            self._examples = 0
            self._result = None
            self._parts["mean"].reset()
            self._parts["list"][0].reset()
            super().reset()

        @reinit__is_reduced
        def update(self, output: Any) -> None:
            y_pred, y, *mask = output
            assert not torch.is_grad_enabled() or not mask
            keep = y != self.ignored
            correct = (y_pred.argmax(1) == y)[keep]
            self._correct += correct.sum().to(self._device)
            self._examples += correct.shape[0]
            self._parts["mean"].update(float(correct.sum()))
            self._parts["list"][0].update(2.0)

        @sync_all_reduce("_examples", "_correct:SUM")
        def compute(self) -> Any:
            if self._examples == 0:
                raise library.exceptions.NotComputableError("nothing")
            if self._result is None:
                self._result = (self._correct / self._examples).item()
            return self._result

    return MaskedAccuracy


@BOTH
def test_metric_of_the_documentation(library: Any) -> None:
    metric = masked_accuracy(library)(ignored=7)
    with pytest.raises(library.exceptions.NotComputableError):
        metric.compute()
    metric.update(BATCHES[0])
    assert metric.compute() == 0.5
    metric.update(BATCHES[1])
    assert metric.compute() == 0.5  # `update` has discarded the result, and the new one is the same
    assert (metric._device.type, metric._skip_unrolling, metric._double_dtype) == ("cpu", False, torch.float64)
    assert metric._output_transform(3) == 3
    metric.reset()
    assert metric._result is None


@BOTH
def test_attached_to_an_engine_whose_output_is_a_mapping(library: Any) -> None:
    engine = library.engine.Engine(lambda engine, batch: {"y_pred": batch[0], "y": batch[1], "mask": True})
    metric = masked_accuracy(library)(ignored=7)
    assert not metric.is_attached(engine)
    metric.attach(engine, "masked")
    assert metric.is_attached(engine)
    Events = library.engine.Events
    assert engine.has_event_handler(metric.started, Events.EPOCH_STARTED)
    assert engine.has_event_handler(metric.iteration_completed, Events.ITERATION_COMPLETED)
    assert engine.has_event_handler(metric.completed, Events.EPOCH_COMPLETED)
    assert engine.run(BATCHES).metrics == {"masked": 0.5}
    metric.detach(engine)
    assert not engine.has_event_handler(metric.completed)
    engine.state.metrics.clear()
    assert engine.run(BATCHES, max_epochs=2).metrics == {}


@BOTH
def test_a_mapping_without_the_required_keys(library: Any) -> None:
    for keys, error in ((("y_pred", "other"), ValueError), (None, TypeError)):
        engine = library.engine.Engine(lambda engine, batch: {"y_pred": batch[0], "y": batch[1]})
        metric = masked_accuracy(library)(ignored=7)
        metric.required_output_keys = keys
        metric.attach(engine, "masked")
        with pytest.raises(error, match=r"keys|tuple/list"):
            engine.run(BATCHES)


@BOTH
def test_hooks_are_removed_by_their_bound_methods(library: Any) -> None:
    Events = library.engine.Events
    engine = library.engine.Engine(lambda engine, batch: batch)
    metric = masked_accuracy(library)(ignored=7)
    metric.attach(engine, "masked")
    engine.remove_event_handler(metric.completed, Events.EPOCH_COMPLETED)
    assert engine.run(BATCHES).metrics == {}
    assert metric.compute() == 0.5


@BOTH
def test_hooks_attached_by_hand_are_not_attached_twice(library: Any) -> None:
    Events, calls = library.engine.Events, []
    metric = masked_accuracy(library)(ignored=7, output_transform=lambda output: calls.append(1) or output)
    engine = library.engine.Engine(lambda engine, batch: batch)
    engine.add_event_handler(Events.EPOCH_STARTED, metric.started)
    engine.add_event_handler(Events.ITERATION_COMPLETED, metric.iteration_completed)
    metric.attach(engine, "masked")
    engine.run(BATCHES)
    assert len(calls) == 2


@BOTH
def test_state_dict_with_metrics_inside(library: Any) -> None:
    first, second = (masked_accuracy(library)(ignored=7) for _ in range(2))
    first.update(BATCHES[0])
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for metric in (first, second):
        metric.update(BATCHES[1])
    assert first.compute() == second.compute() == 0.5
    assert first._parts["mean"].compute() == second._parts["mean"].compute() == 1.0
    assert second._parts["list"][0].compute() == 2.0


@pytest.mark.parametrize("mode", ["flatten", "named", "both"])
def test_result_modes(mode: str) -> None:
    stored = []
    for library in LIBRARIES.values():

        class Pair(library.metrics.Metric):
            def reset(self) -> None:
                self.total = 0

            def update(self, output: Any) -> None:
                self.total += output

            def compute(self) -> Any:
                return {"sum": self.total, "double": 2 * self.total}

        engine = library.engine.Engine(lambda engine, batch: batch)
        Pair(metrics_result_mode=mode).attach(engine, "pair")
        stored.append(dict(engine.run([1, 2]).metrics))
        with pytest.raises(ValueError, match="metrics_result_mode"):
            Pair(metrics_result_mode="all")
    assert stored[0] == stored[1]


@BOTH
def test_decorator_outside_a_metric(library: Any) -> None:
    class Other:
        @library.metrics.metric.sync_all_reduce("total")
        def compute(self) -> int:
            return 1

    with pytest.raises(RuntimeError, match="sync_all_reduce"):
        Other().compute()


def test_update_keeps_no_graph_of_gradients() -> None:
    class Sum(fsm_engine.metrics.Metric):
        def reset(self) -> None:
            self.total = torch.tensor(0.0)

        def update(self, output: Any) -> None:
            self.total = self.total + output * 2

        def compute(self) -> Any:
            return self.total

    engine = fsm_engine.Engine(lambda engine, batch: torch.tensor(batch, requires_grad=True))
    metric = Sum()
    metric.attach(engine, "sum")
    engine.run([1.0, 2.0])
    assert not metric.total.requires_grad
    assert engine.state.metrics == {"sum": 6.0}


@pytest.mark.parametrize("ranks", [1, 3])
def test_sync_all_reduce_reduces_over_ranks_and_restores(ranks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsm_engine.distributed, "get_world_size", lambda: ranks)
    monkeypatch.setattr(fsm_engine.metrics.reduction, "gather_for", lambda purpose, make_value: [make_value()] * ranks)

    class Metric(fsm_engine.metrics.Metric):
        def reset(self) -> None:
            self.total, self.largest, self.tensor = 2, 5, torch.tensor(1.0)

        def update(self, output: Any) -> None: ...

        @fsm_engine.metrics.metric.sync_all_reduce("total", "largest:MAX", "tensor")
        def compute(self) -> Any:
            return self.total, self.largest, self.tensor.item()

    metric = Metric()
    assert metric.compute() == ((2, 5, 1.0) if ranks == 1 else (6, 5, 3.0))
    assert (metric.total, metric.largest, metric.tensor) == (2, 5, torch.tensor(1.0))


@BOTH
def test_detaching_a_part_of_a_formula(library: Any) -> None:
    engine = library.engine.Engine(lambda engine, batch: batch)
    part = library.metrics.Average()
    formula = part * 2
    formula.attach(engine, "double")
    assert engine.run([1.0, 2.0]).metrics["double"] == 3.0
    part.detach(engine)
    value = engine.run([5.0, 6.0], max_epochs=2).metrics["double"]
    assert value == (11.0 if library is fsm_engine else 3.0)


def test_terminate_on_a_suspended_run() -> None:
    iterations = {}
    for name, core in (("fsm_engine", fsm_engine), ("ignite", ignite.engine)):
        engine = core.Engine(lambda engine, batch: batch)
        engine.add_event_handler(core.Events.ITERATION_COMPLETED(once=1), lambda engine: engine.interrupt())
        engine.run([1, 2, 3])
        engine.terminate()
        engine.run()
        iterations[name] = engine.state.iteration
    assert iterations == {"fsm_engine": 3, "ignite": 1}


@BOTH
def test_a_device_that_does_not_exist_is_an_error_where_it_is_given(library: Any) -> None:
    with pytest.raises(RuntimeError, match="warp"):
        library.metrics.Accuracy(device="warp")


def test_scalars_in_a_mapping_become_numbers() -> None:
    class Parts(fsm_engine.metrics.Metric):
        def reset(self) -> None:
            self.sum = torch.tensor(0.0)

        def update(self, output: Any) -> None:
            self.sum = self.sum + output

        def compute(self) -> Any:
            return {"sum": self.sum, "pair": torch.stack([self.sum, self.sum])}

    engine = fsm_engine.Engine(lambda engine, batch: batch)
    Parts().attach(engine, "parts")
    metrics = engine.run([1.0, 2.0]).metrics
    assert isinstance(metrics["sum"], float)
    assert metrics["sum"] == metrics["parts"]["sum"] == 3.0
    assert metrics["pair"].tolist() == [3.0, 3.0]
