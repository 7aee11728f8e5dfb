"""Mixed precision: the steps compute the same as a loop with autocast and a scaler; unsupported modes are errors."""

from __future__ import annotations

import pickle
import re
from typing import Any
from unittest import mock

import pytest
import torch
from torch import nn

from fsm_engine import Events
from fsm_engine.supervised import (
    create_supervised_evaluator,
    create_supervised_trainer,
    supervised_evaluation_step,
    supervised_training_step,
)

APEX = "Please install apex from https://github.com/nvidia/apex to use amp_mode='apex'."
TPU = "torch_xla cannot be imported, please install PyTorch XLA."
FIX = "Consider using amp_mode='amp'"


def parts_of_a_training():
    torch.manual_seed(7)
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    return model, torch.optim.Adam(model.parameters(), lr=0.01), nn.CrossEntropyLoss()


def batches(count=6):
    generator = torch.Generator().manual_seed(3)
    return [(torch.randn(4, 5, generator=generator), torch.randint(3, (4,), generator=generator)) for _ in range(count)]


def losses_and_weights(**options: Any):
    model, optimizer, loss_fn = parts_of_a_training()
    trainer = create_supervised_trainer(model, optimizer, loss_fn, "cpu", amp_mode="amp", **options)
    losses: list[float] = []
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: losses.append(engine.state.output))
    trainer.run(batches())
    return losses, [parameter.tolist() for parameter in model.parameters()]


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("scaled", [False, True])
def test_losses_and_weights_equal_a_plain_loop_bit_by_bit(steps, scaled):
    model, optimizer, loss_fn = parts_of_a_training()
    scaler = torch.amp.GradScaler("cpu", enabled=scaled)
    losses = []
    for number, (x, y) in enumerate(batches(), 1):
        if (number - 1) % steps == 0:
            optimizer.zero_grad()
        with torch.autocast("cpu"):
            loss = loss_fn(model(x), y)
        scaler.scale(loss / steps).backward()
        if number % steps == 0:
            scaler.step(optimizer)
            scaler.update()
        losses.append(loss.item())

    by_hand = losses, [parameter.tolist() for parameter in model.parameters()]
    assert losses_and_weights(scaler=scaled, gradient_accumulation_steps=steps) == by_hand


def test_only_model_and_loss_run_under_autocast():
    under = {}

    def recording(name, result):
        def function(*_args, **_kwargs):
            under[name] = torch.is_autocast_enabled("cpu")
            return result

        return function

    functions = {
        "prepare_batch": recording("prepare_batch", (1, 2)),
        "model_fn": recording("model_fn", 3),
        "model_transform": recording("model_transform", 4),
        "output_transform": recording("output_transform", None),
    }
    model, optimizer, _ = parts_of_a_training()
    loss_fn = recording("loss_fn", torch.ones((), requires_grad=True))
    expected = {
        "prepare_batch": False,
        "model_fn": True,
        "model_transform": True,
        "output_transform": False,
    }

    create_supervised_evaluator(model, None, "cpu", amp_mode="amp", **functions).run([0])
    assert under == expected
    under.clear()
    create_supervised_trainer(model, optimizer, loss_fn, "cpu", amp_mode="amp", **functions).run([0])
    assert under == {**expected, "loss_fn": True}


@pytest.mark.parametrize(
    ("device", "device_type"), [(None, "cuda"), ("cuda:1", "cuda"), (torch.device("cuda"), "cuda"), ("cpu", "cpu")]
)
def test_autocast_uses_the_type_of_the_device(device, device_type):
    model, optimizer, loss_fn = parts_of_a_training()

    def prepare_batch(batch, device, non_blocking):
        return batch

    trainer = create_supervised_trainer(model, optimizer, loss_fn, device, prepare_batch=prepare_batch, amp_mode="amp")
    evaluator = create_supervised_evaluator(model, None, device, prepare_batch=prepare_batch, amp_mode="amp")
    with mock.patch("torch.amp.autocast") as autocast:
        trainer.run(batches(1))
        evaluator.run(batches(1))

    assert autocast.call_args_list == [mock.call(device_type)] * 3  # trainer's model and loss, evaluator's model


class Scaler:
    """Records its calls, and scales by four."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def scale(self, loss):
        self.log.append("scale")
        return loss * 4

    def unscale_(self, optimizer):
        self.log.append("unscale")
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad /= 4

    def step(self, optimizer):
        self.log.append("step")
        optimizer.step()

    def update(self):
        self.log.append("update")


def test_the_loss_is_scaled_in_every_iteration_and_the_optimizer_steps_through_the_scaler():
    scaler, reported = Scaler(), []
    trainer = create_supervised_trainer(
        *parts_of_a_training(),
        "cpu",
        output_transform=lambda x, y, y_pred, loss: reported.append(loss.item()),
        amp_mode="amp",
        scaler=scaler,
        gradient_accumulation_steps=2,
    )

    trainer.run(batches(3))

    assert scaler.log == ["scale", "scale", "unscale", "step", "update", "scale"]
    assert reported[:2] == losses_and_weights(gradient_accumulation_steps=2)[0][:2]


def test_a_new_scaler_is_stored_on_the_state_and_a_given_one_is_not():
    def trainer_with(scaler):
        return create_supervised_trainer(*parts_of_a_training(), "cpu", amp_mode="amp", scaler=scaler)

    made = trainer_with(True).state.scaler
    assert type(made) is torch.amp.GradScaler
    assert made._device == "cpu"
    assert not hasattr(trainer_with(torch.amp.GradScaler("cpu")).state, "scaler")
    assert not hasattr(trainer_with(False).state, "scaler")


def test_a_pickled_trainer_has_one_scaler():
    trainer = create_supervised_trainer(*parts_of_a_training(), "cpu", amp_mode="amp", scaler=True)
    trainer.run(batches(2), max_epochs=1)

    copy = pickle.loads(pickle.dumps(trainer))
    outputs = []
    for each in (trainer, copy):
        torch.manual_seed(0)
        outputs.append(each.run(batches(2), max_epochs=2).output)

    assert copy._process_function.scaler is copy.state.scaler
    assert outputs[0] == outputs[1]


# Unsupported arguments


def make_trainer(**options: Any):
    return create_supervised_trainer(*parts_of_a_training(), **options)


def make_training_step(**options: Any):
    return supervised_training_step(*parts_of_a_training(), **options)


def make_evaluator(**options: Any):
    return create_supervised_evaluator(nn.Identity(), **options)


def make_evaluation_step(**options: Any):
    return supervised_evaluation_step(nn.Identity(), **options)


@pytest.mark.parametrize("make", [make_trainer, make_training_step, make_evaluator, make_evaluation_step])
@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"amp_mode": "apex"}, ModuleNotFoundError, f"{APEX} {FIX}"),
        ({"amp_mode": "tpu"}, ModuleNotFoundError, f"{TPU} {FIX}"),
        ({"amp_mode": "half"}, ValueError, f"amp_mode is 'half'. {FIX}"),
        (
            {"amp_mode": "amp", "device": "mps:0"},
            ValueError,
            "amp_mode cannot be used with mps device. Consider using amp_mode=None or device='cuda'.",
        ),
        (
            {"device": "xla"},
            RuntimeError,
            "In order to run on TPU, please install PyTorch XLA; device is 'xla'.",
        ),
    ],
)
def test_an_unsupported_mode_or_device_is_an_error(make, options, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize("make", [make_trainer, make_evaluator])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"amp_mode": "apex"}, f"amp_mode is 'apex'. {FIX}"),
        ({"amp_mode": "tpu"}, f"amp_mode is 'tpu'. {FIX}"),
        (
            {"amp_mode": "amp", "device": "xla"},
            "amp_mode cannot be used with xla device. Consider using amp_mode=None or device='cuda'.",
        ),
    ],
)
def test_a_mode_of_ignite_is_an_error_even_if_its_library_is_installed(make, options, message):
    find_spec = mock.patch("fsm_engine.supervised.mixed_precision.find_spec")
    with find_spec, pytest.raises(ValueError, match=re.escape(message)):
        make(**options)


@pytest.mark.parametrize("make", [make_trainer, make_training_step])
@pytest.mark.parametrize("amp_mode", [None, "apex"])
def test_a_scaler_without_mixed_precision_is_an_error(make, amp_mode):
    with pytest.raises(ValueError, match="scaler argument") as caught:
        make(amp_mode=amp_mode, scaler=True)

    assert str(caught.value) == (f"scaler argument is True, but amp_mode is {amp_mode}. Consider using amp_mode='amp'.")


def test_a_torch_without_a_scaler_for_every_device_is_an_error(monkeypatch):
    monkeypatch.delattr(torch.amp, "GradScaler")

    with pytest.raises(ImportError) as caught:
        make_trainer(amp_mode="amp", scaler=True)

    assert str(caught.value) == "Please install torch>=2.3.1 to use scaler argument."
