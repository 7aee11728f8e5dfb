"""`EMAHandler`: the average compared with pytorch-ignite, momentum, buffers, and resumed runs."""

from __future__ import annotations

import copy
import gc
import io
import pickle
import re
import warnings
import weakref
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ignite.engine import Engine as IgniteEngine
from ignite.engine import Events as IgniteEvents
from ignite.handlers import EMAHandler as IgniteEMAHandler
from torch import nn

from fsm_engine import Engine, Events
from fsm_engine.handlers import EMAHandler


class Net(nn.Module):
    """Model with all kinds of weights: shared, frozen, complex, and a buffer that `change` replaces."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 3)
        self.last.weight = self.first.weight
        self.frozen = nn.Parameter(torch.tensor([1, 2]), requires_grad=False)
        self.phase = nn.Parameter(torch.tensor([1 + 2j]))
        self.register_buffer("mean", torch.zeros(2))
        self.register_buffer("absent", None)

    def change(self, amount: float) -> None:
        with torch.no_grad():
            for parameter in (self.first.weight, self.first.bias, self.last.bias, self.norm.weight, self.phase):
                parameter += amount
            if hasattr(self, "frozen"):
                self.frozen += 1
            self.norm.running_mean += amount
            self.norm.num_batches_tracked += 1
        self.mean = self.mean * 0.5 + amount


def make_net(seed: int = 0) -> Net:
    torch.manual_seed(seed)
    return Net()


def step(net: Net) -> Any:
    return lambda engine, batch: net.change(batch)


def weights(net: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def assert_equal(one: nn.Module, other: nn.Module | dict[str, torch.Tensor]) -> None:
    torch.testing.assert_close(one.state_dict(), other if isinstance(other, dict) else other.state_dict())


def average_of(package: Any, amounts: list[float], every: int, arguments: tuple[Any, ...]) -> tuple[nn.Module, Any]:
    """Train with the engine and the handler of one package, and return the average and the momentum of each update."""
    make_engine, events, make_handler = package
    net = make_net()
    del net.frozen  # Ignite's handler fails on integers
    engine, handler, momenta = make_engine(step(net)), make_handler(net, *arguments), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ignite warns about the attribute that its scheduler makes
        handler.attach(engine, event=events.ITERATION_COMPLETED(every=every))
    engine.add_event_handler(events.ITERATION_COMPLETED, lambda engine: momenta.append(engine.state.ema_momentum))
    # The run ends with an update: in Ignite, the average shares integer buffers with the model, so they change later.
    engine.run(amounts * every)
    return handler.ema_model, momenta


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.floats(-3, 3, width=16), min_size=1, max_size=6),
    st.floats(0.01, 0.99),
    st.none() | st.tuples(st.floats(0, 1), st.integers(1, 5)),
    st.sampled_from(["copy", "update", "ema_train"]),
    st.integers(1, 2),
)
def test_the_average_is_the_same_as_in_ignite(
    amounts: list[float], momentum: float, warm_up: Any, handle_buffers: str, every: int
) -> None:
    arguments = (momentum, *(warm_up or (None, None)), handle_buffers)
    ours, momenta = average_of((Engine, Events, EMAHandler), amounts, every, arguments)
    theirs, expected = average_of((IgniteEngine, IgniteEvents, IgniteEMAHandler), amounts, every, arguments)
    assert momenta == pytest.approx(expected)
    assert_equal(ours, theirs)
    assert ours.training == theirs.training == (handle_buffers == "ema_train")


def test_the_average_is_a_detached_copy_that_moves_towards_the_model() -> None:
    net = make_net()
    handler, engine = EMAHandler(net, momentum=0.25), Engine(step(net))
    handler.attach(engine)
    begin = weights(net)
    assert_equal(handler.ema_model, begin)
    engine.run([4.0])
    expected = {name: tensor + 1 for name, tensor in begin.items()}
    expected.update(
        {name: net.state_dict()[name] for name in begin if "running" in name or name in ("frozen", "mean")},
        **{"norm.num_batches_tracked": torch.tensor(1)},
    )
    assert_equal(handler.ema_model, expected | {"norm.bias": begin["norm.bias"]})
    assert not any(p.requires_grad for p in handler.ema_model.parameters())
    assert handler.ema_model.last.weight is handler.ema_model.first.weight


def test_a_parameter_that_is_replaced_is_averaged() -> None:
    net = nn.Linear(2, 2)
    handler, engine = EMAHandler(net, momentum=0.5), Engine(lambda engine, batch: None)
    handler.attach(engine)
    with torch.no_grad():
        handler.ema_model.weight.zero_()
    net.weight = nn.Parameter(torch.ones(2, 2))
    engine.run([0])
    assert handler.ema_model.weight.tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_an_update_is_one_fused_call_for_each_kind_of_weights_and_never_waits_for_the_device() -> None:
    net = make_net()
    handler = EMAHandler(net, momentum=0.5)
    with (
        mock.patch.object(torch, "_foreach_lerp_", wraps=torch._foreach_lerp_) as lerp,
        mock.patch.object(torch, "_foreach_copy_", wraps=torch._foreach_copy_) as copies,
        mock.patch.object(torch.Tensor, "item", side_effect=AssertionError),
        mock.patch.object(torch.Tensor, "__bool__", side_effect=AssertionError),
        mock.patch.object(torch.Tensor, "__float__", side_effect=AssertionError),
    ):
        handler._update_average(0.5)
    assert [len(call.args[0]) for call in (*lerp.call_args_list, *copies.call_args_list)] == [6, 5]


def test_the_momentum_can_be_changed_in_the_state_under_its_own_name() -> None:
    net = nn.Linear(1, 1)
    engine = Engine(lambda engine, batch: None)
    fast, slow = EMAHandler(net, 0.5), EMAHandler(net, 0.1)
    fast.attach(engine, name="fast")
    slow.attach(engine)
    assert (engine.state.fast, engine.state.ema_momentum) == (0.5, 0.1)
    for handler in (fast, slow):
        nn.init.zeros_(handler.ema_model.weight)
    nn.init.ones_(net.weight)
    engine.state.fast = 0.75
    engine.run([0])
    assert [handler.ema_model.weight.item() for handler in (fast, slow)] == pytest.approx([0.75, 0.1])


def test_a_warm_up_sets_the_momentum_in_the_state_before_the_update() -> None:
    net = nn.Linear(1, 1)
    handler = EMAHandler(net, 0.5, momentum_warmup=0.1, warmup_iters=3)
    engine, seen = Engine(lambda engine, batch: None), []
    handler.attach(engine, name="momentum")
    nn.init.zeros_(handler.ema_model.weight)
    nn.init.ones_(net.weight)
    engine.add_event_handler(
        Events.ITERATION_COMPLETED, lambda: seen.append((engine.state.momentum, handler.ema_model.weight.item()))
    )
    engine.run(range(4))
    assert np.allclose(seen, [(0.1, 0.1), (0.3, 0.37), (0.5, 0.685), (0.5, 0.8425)])
    assert not hasattr(engine.state, "ema_momentum")
    assert [handler.momentum_scheduler(update) for update in range(1, 5)] == pytest.approx([0.1, 0.3, 0.5, 0.5])
    assert not hasattr(EMAHandler(net), "momentum_scheduler")


def test_an_existing_attribute_is_kept_with_a_warning() -> None:
    handler, engine = EMAHandler(nn.Linear(1, 1), 0.5), Engine(lambda engine, batch: None)
    engine.state.ema_momentum = 0.25
    with pytest.warns(UserWarning, match="Attribute 'ema_momentum' already exists in engine.state") as caught:
        handler.attach(engine)
    assert (engine.state.ema_momentum, caught[0].filename) == (0.25, __file__)
    handler.attach(engine, warn_if_exists=False)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "x"}, "model should be an instance of nn.Module or its subclasses, but got 'x'."),
        ({"momentum": 0}, "Invalid momentum: 0. It should be between 0 and 1."),
        ({"momentum": 1.0}, "Invalid momentum: 1.0. It should be between 0 and 1."),
        (
            {"momentum_warmup": -1, "warmup_iters": 2},
            "Invalid momentum: momentum_warmup is -1. It should be between 0 and 1.",
        ),
        ({"momentum_warmup": 0.1}, "needs both momentum_warmup= and warmup_iters=, but got momentum_warmup=0.1"),
        (
            {"handle_buffers": "x"},
            "handle_buffers can only be one of ('copy', 'update', 'ema_train'), but got 'x'.",
        ),
    ],
)
def test_wrong_arguments_are_errors(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        EMAHandler(**{"model": nn.Linear(1, 1), **wrong})


def test_a_model_that_is_converted_after_the_handler_is_made_is_an_error() -> None:
    net = nn.Linear(2, 1)
    handler = EMAHandler(net)
    net.double()
    with pytest.raises(RuntimeError, match="Make the handler after the model was moved, converted") as caught:
        handler._update_average(0.5)
    assert "average of a weight as torch.float32 of shape (1, 2) on cpu" in str(caught.value)
    assert "is now torch.float64 of shape (1, 2) on cpu" in str(caught.value)
    with (
        mock.patch.object(torch, "_foreach_lerp_", side_effect=torch.OutOfMemoryError("no room")),
        pytest.raises(torch.OutOfMemoryError, match=r"^no room\b"),
    ):
        EMAHandler(nn.Linear(1, 1))._update_average(0.5)


def test_the_wrapper_for_ddp_is_removed() -> None:
    net = nn.Linear(1, 1)
    ddp = object.__new__(nn.parallel.DistributedDataParallel)
    nn.Module.__init__(ddp)
    ddp.module = net
    handler = EMAHandler(ddp)
    assert handler.model is net
    assert type(handler.ema_model) is nn.Linear


# State dicts and copies


def run_and_save(amounts: list[float], saved: bytes | None = None, until: Any = None) -> tuple[Net, EMAHandler, bytes]:
    net = make_net()
    handler = EMAHandler(net, 0.2, momentum_warmup=0.9, warmup_iters=5)
    engine = Engine(step(net))
    handler.attach(engine)
    parts = {"net": net, "ema": handler, "engine": engine}
    if saved is not None:
        for name, state in torch.load(io.BytesIO(saved), weights_only=True).items():
            parts[name].load_state_dict(state)
    engine.run(amounts, max_epochs=1, until=until)
    file = io.BytesIO()
    torch.save({name: part.state_dict() for name, part in parts.items()}, file)
    return net, handler, file.getvalue()


def test_a_run_resumed_from_a_file_gives_the_same_average() -> None:
    amounts = [0.5, -1.0, 2.0, 0.25, 3.0, -2.0, 1.0]
    _, whole, _ = run_and_save(amounts)
    _, part, saved = run_and_save(amounts, until=Events.ITERATION_COMPLETED(once=3))
    _, rest, _ = run_and_save(amounts, saved)
    assert (part.updates, rest.updates) == (3, 7)
    for name, tensor in whole.ema_model.state_dict().items():
        assert torch.equal(tensor, rest.ema_model.state_dict()[name]), name


def test_a_state_dict_without_a_key_is_an_error() -> None:
    handler = EMAHandler(nn.Linear(1, 1))
    state = handler.state_dict()
    for key in state:
        with pytest.raises(ValueError, match=f"^Required state attribute '{key}' is absent in provided state_dict"):
            handler.load_state_dict({other: state[other] for other in state if other != key})
    with pytest.raises(TypeError, match=r"^Argument state_dict should be a dictionary"):
        handler.load_state_dict(None)  # type: ignore[arg-type]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda handler: pickle.loads(pickle.dumps(handler))])
def test_a_copy_has_its_own_model_and_average(again: Any) -> None:
    handler = EMAHandler(make_net(), 0.5)
    twin = again(handler)
    twin.model.change(2.0)
    twin._update_average(0.5)
    handler.model.change(2.0)
    assert_equal(handler.ema_model, make_net())
    handler._update_average(0.5)
    assert_equal(handler.ema_model, twin.ema_model)


def test_model_and_average_are_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        net = make_net()
        handler, engine = EMAHandler(net), Engine(step(net))
        handler.attach(engine)
        engine.run([1.0])
        dropped = [weakref.ref(one) for one in (net, handler, handler.ema_model, engine)]
        del net, handler, engine
        assert [one() for one in dropped] == [None] * 4
    finally:
        gc.enable()


def test_copied_buffers_stay_as_they_were_at_the_last_update():
    shares = {}
    libraries = (("fsm_engine", Engine, Events, EMAHandler), ("ignite", IgniteEngine, IgniteEvents, IgniteEMAHandler))
    for name, engine_class, events, handler_class in libraries:
        model = nn.BatchNorm1d(1)
        ema = handler_class(model)
        engine = engine_class(lambda engine, batch, model=model: model.running_mean.fill_(float(batch)))
        ema.attach(engine, event=events.ITERATION_COMPLETED(every=2))
        engine.run([1, 2, 3])
        shares[name] = ema.ema_model.running_mean.item()
    assert shares == {"fsm_engine": 2.0, "ignite": 3.0}
