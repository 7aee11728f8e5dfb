"""Truncated backpropagation through time: same results as a plain loop, and a phase before and after each chunk."""

from __future__ import annotations

import pickle
from collections import namedtuple
from typing import Any

import ignite.contrib.engines as ignite_tbptt
import ignite.engine
import pytest
import torch
from torch import nn

import fsm_engine
from fsm_engine import Engine, Events
from fsm_engine.supervised.tbptt import Tbptt_Events, create_supervised_tbptt_trainer

STARTED, COMPLETED = Tbptt_Events
Memory = namedtuple("Memory", "short long")


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.head = nn.LSTM(3, 4), nn.Linear(4, 2)

    def forward(self, x: Any, hidden: Any = None) -> Any:
        output, hidden = self.recurrent(x, hidden)
        return self.head(output), hidden


def parts_of_a_training():
    torch.manual_seed(4)
    model = Recurrent()
    return model, torch.optim.Adam(model.parameters(), lr=0.05), nn.MSELoss()


def sequences(count=3, length=7):
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(length, 2, 3, generator=generator), torch.rand(length, 2, 2, generator=generator))
        for _ in range(count)
    ]


def losses_and_weights(create: Any, events: Any, chunk_completed: Any):
    model, optimizer, loss_fn = parts_of_a_training()
    trainer = create(model, optimizer, loss_fn, tbtt_step=3)
    chunks: list[float] = []
    means: list[float] = []
    trainer.add_event_handler(chunk_completed, lambda engine: chunks.append(engine.state.output))
    trainer.add_event_handler(events.ITERATION_COMPLETED, lambda engine: means.append(engine.state.output))
    trainer.run(sequences(), max_epochs=2)
    return chunks, means, [weight.tolist() for weight in model.parameters()]


def ours():
    return losses_and_weights(create_supervised_tbptt_trainer, Events, COMPLETED)


def test_losses_and_weights_equal_a_plain_loop_bit_by_bit():
    model, optimizer, loss_fn = parts_of_a_training()
    chunks, means = [], []
    for x, y in sequences() * 2:
        losses, hidden = [], None
        for start in range(0, 7, 3):
            optimizer.zero_grad()
            y_pred, hidden = model(x[start : start + 3], hidden)
            loss = loss_fn(y_pred, y[start : start + 3])
            loss.backward()
            optimizer.step()
            hidden = tuple(part.detach() for part in hidden)
            losses.append(loss.item())
        chunks += losses
        means.append(sum(losses) / 3)

    assert ours() == (chunks, means, [weight.tolist() for weight in model.parameters()])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_losses_and_weights_equal_ignite_bit_by_bit():
    theirs = losses_and_weights(
        ignite_tbptt.create_supervised_tbptt_trainer,
        ignite.engine.Events,
        ignite_tbptt.Tbptt_Events.TIME_ITERATION_COMPLETED,
    )

    assert ours() == theirs


class Recording(nn.Module):
    """Records its calls, and returns the sum of its input as hidden state, in the container that `wrap` makes."""

    def __init__(self, wrap: Any) -> None:
        super().__init__()
        self.weight, self.wrap, self.calls = nn.Parameter(torch.ones(())), wrap, []

    def forward(self, *given: Any) -> Any:
        self.calls.append(given)
        y_pred = given[0] * self.weight
        return y_pred, self.wrap(y_pred.sum())


def trained(wrap: Any, x: Any, **options: Any) -> list[Any]:
    model = Recording(wrap)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    create_supervised_tbptt_trainer(model, optimizer, nn.MSELoss(), **options).run([(x, x)])
    return model.calls


def test_the_model_gets_a_detached_hidden_state_from_the_second_chunk_on():
    calls = trained(lambda hidden: hidden, torch.arange(6.0).reshape(6, 1), tbtt_step=2)

    assert [[part.tolist() for part in given] for given in calls] == [
        [[[0], [1]]],
        [[[2], [3]], 1],
        [[[4], [5]], 5],
    ]
    assert [given[1].requires_grad for given in calls[1:]] == [False, False]


def test_time_can_be_any_dimension_and_the_last_chunk_shorter():
    calls = trained(lambda hidden: hidden, torch.arange(5.0).reshape(1, 5), tbtt_step=2, dim=1)

    assert [given[0].tolist() for given in calls] == [[[0, 1]], [[2, 3]], [[4]]]


@pytest.mark.parametrize(
    ("wrap", "tensors"),
    [
        (lambda hidden: (hidden, [hidden * 2, None]), lambda hidden: [hidden[0], hidden[1][0]]),
        (lambda hidden: {"a": hidden, "b": 3}, lambda hidden: [hidden["a"]]),
        (lambda hidden: Memory(hidden, (hidden,)), lambda hidden: [hidden.short, *hidden.long]),
    ],
)
def test_every_tensor_of_a_nested_hidden_state_is_detached(wrap, tensors):
    hidden = trained(wrap, torch.ones(4, 1), tbtt_step=2)[1][1]

    assert type(hidden) is type(wrap(torch.ones(())))
    assert {(tensor.is_leaf, tensor.requires_grad) for tensor in tensors(hidden)} == {(True, False)}


# In the lifecycle


def names_of_a_run(trainer: Engine, *events: Any) -> list[str]:
    seen: list[str] = []
    for event in events:
        trainer.add_event_handler(event, lambda event: seen.append(f"{event.name} in {trainer.phase}"), event)
    trainer.run(sequences(1))
    return seen


def test_each_chunk_is_two_phases_between_the_start_and_the_end_of_an_iteration():
    trainer = create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=3)

    seen = names_of_a_run(trainer, Events.ITERATION_STARTED, STARTED, COMPLETED, Events.ITERATION_COMPLETED)

    chunk = ["TIME_ITERATION_STARTED in TIME_ITERATION_STARTED", "TIME_ITERATION_COMPLETED in TIME_ITERATION_COMPLETED"]
    assert seen == [
        "ITERATION_STARTED in ITERATION_STARTED",
        *chunk * 3,
        "ITERATION_COMPLETED in ITERATION_COMPLETED",
    ]


def test_filters_count_the_chunks_of_a_run():
    trainer = create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=3)
    iterations = []
    trainer.add_event_handler(COMPLETED(every=2), lambda engine: iterations.append(engine.state.iteration))

    trainer.run(sequences())

    assert iterations == [1, 2, 2, 3]


def test_a_step_called_inside_another_step_fires_no_events():
    step = create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=3)._process_function
    engine = Engine(lambda engine, batch: step(engine, batch))

    engine.run(sequences(), max_epochs=2)

    assert not engine.has_registered_events(STARTED)
    assert engine.state.output == ours()[1][-1]


def test_a_pickled_trainer_resumes_where_it_was():
    trainer = create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=3)
    trainer.run(sequences(), max_epochs=1)
    copy = pickle.loads(pickle.dumps(trainer))

    outputs = [each.run(sequences(), max_epochs=2).output for each in (trainer, copy)]

    assert outputs == [ours()[1][-1]] * 2
    assert copy.lifecycle == trainer.lifecycle


def test_a_chunk_length_of_zero_is_an_error():
    with pytest.raises(ValueError, match=r"tbtt_step .* at least 1, got 0"):
        create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=0)


def test_x_and_y_of_different_numbers_of_chunks_are_an_error():
    ((x, y),) = sequences(1)
    trainer = create_supervised_tbptt_trainer(*parts_of_a_training(), tbtt_step=3)

    with pytest.raises(ValueError, match=r"^zip\(\) argument 2 is shorter than argument 1\b"):
        trainer.run([(x, y[:6])])


def test_the_root_package_exports_the_factory_and_its_events():
    assert fsm_engine.create_supervised_tbptt_trainer is create_supervised_tbptt_trainer
    assert fsm_engine.Tbptt_Events is Tbptt_Events
