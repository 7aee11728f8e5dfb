"""Stop early on the validation loss, reduce the learning rate on a plateau, stop on NaN."""

import torch
from ignite.engine import Engine, Events
from ignite.handlers import EarlyStopping, EpochOutputStore, ReduceLROnPlateauScheduler, TerminateOnNan, TimeLimit


def main(folder):
    scores = iter([0.1, 0.4, 0.3, 0.35, 0.39, 0.2, 0.9])
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    trainer = Engine(lambda engine, batch: float(batch))

    def evaluate(engine, batch):
        engine.state.metrics["score"] = next(scores)
        return [batch, engine.state.metrics["score"]]

    evaluator = Engine(evaluate)
    stopping = EarlyStopping(patience=4, score_function=lambda engine: engine.state.metrics["score"], trainer=trainer)
    evaluator.add_event_handler(Events.COMPLETED, stopping)
    plateau = ReduceLROnPlateauScheduler(
        optimizer, metric_name="score", trainer=trainer, save_history=True, mode="max", factor=0.5, patience=1
    )
    evaluator.add_event_handler(Events.COMPLETED, plateau)
    store = EpochOutputStore()
    store.attach(evaluator, "outputs")
    kept = []
    evaluator.add_event_handler(Events.COMPLETED, lambda engine: kept.append(list(engine.state.outputs)))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1]))
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TimeLimit(3600))
    trainer.run([1, 2], max_epochs=10)
    ended = [trainer.state.epoch, stopping.state_dict()["counter"], stopping.state_dict()["best_score"]]
    other = Engine(lambda engine, batch: batch)
    other.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan(output_transform=lambda x: [x, {"a": x}]))
    other.run([1.0, float("inf"), 2.0], max_epochs=2)
    return {"ended": ended, "history": trainer.state.param_history, "kept": kept, "nan": other.state.iteration}
