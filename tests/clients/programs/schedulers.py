"""Schedules of settings of the optimizer and of attributes of the state."""

import torch
from ignite.engine import Engine, Events
from ignite.handlers import (
    ConcatScheduler,
    CosineAnnealingScheduler,
    ExpStateScheduler,
    LambdaStateScheduler,
    LinearCyclicalScheduler,
    ParamGroupScheduler,
    PiecewiseLinear,
    PiecewiseLinearStateScheduler,
)


def main(folder):
    parameters = [torch.zeros(1, requires_grad=True) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [p], "lr": 0.1} for p in parameters], lr=0.1, momentum=0.5)
    first, second = optimizer.param_groups
    trainer = Engine(lambda engine, batch: batch)
    cyclic = LinearCyclicalScheduler(optimizer, "lr", 0.0, 1.0, cycle_size=4, param_group_index=0)
    cosine = CosineAnnealingScheduler(optimizer, "lr", 1.0, 0.1, cycle_size=6, param_group_index=0)
    concat = ConcatScheduler([cyclic, cosine], durations=[5])
    linear = PiecewiseLinear(optimizer, "lr", [(2, 0.5), (6, 0.1)], param_group_index=1)
    trainer.add_event_handler(Events.ITERATION_STARTED, ParamGroupScheduler([concat, linear], ["first", "second"]))
    momentum = PiecewiseLinear(optimizer, "momentum", [(0, 0.9), (3, 0.1)], save_history=True)
    trainer.add_event_handler(Events.EPOCH_STARTED, momentum)
    LambdaStateScheduler(lambda event: event**2, "squares", save_history=True, create_new=True).attach(trainer)
    ExpStateScheduler(1.0, 0.5, "weight", create_new=True).attach(trainer, Events.EPOCH_COMPLETED)
    PiecewiseLinearStateScheduler([(2, 0.0), (4, 1.0)], "temperature", create_new=True).attach(trainer)
    rows = []

    @trainer.on(Events.ITERATION_COMPLETED)
    def log(engine):
        state = engine.state
        rows.append([first["lr"], second["lr"], first["momentum"], state.squares, state.weight, state.temperature])

    trainer.run(range(5), max_epochs=3)
    simulated = LinearCyclicalScheduler.simulate_values(
        6, param_name="lr", start_value=1.0, end_value=0.0, cycle_size=4
    )
    return {"rows": rows, "history": trainer.state.param_history, "simulated": simulated}
