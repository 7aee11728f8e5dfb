"""One DDP job in two processes, written once for ``ignite`` and run with both libraries: equal losses and metrics."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("ignite")

from ranks import Ranks  # noqa: E402

JOB = """
    import importlib
    from torch.utils.data import TensorDataset

    lib = sys.argv[2]
    idist, engine, metrics = (importlib.import_module(f"{lib}.{name}") for name in ("distributed", "engine", "metrics"))
    Events = engine.Events

    def main(local_rank):
        torch.manual_seed(0)
        x = torch.randn(72, 4)
        data = TensorDataset(x, (x.sum(1) > 0).long())
        train = idist.auto_dataloader(data, batch_size=16, shuffle=True)
        valid = idist.auto_dataloader(TensorDataset(*data[:36]), batch_size=12, shuffle=False)
        model = idist.auto_model(torch.nn.Linear(4, 2))
        optimizer = idist.auto_optim(torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9))
        loss_fn = torch.nn.functional.cross_entropy
        trainer = engine.create_supervised_trainer(model, optimizer, loss_fn, device=idist.device())
        measured = {
            "accuracy": metrics.Accuracy(),
            "loss": metrics.Loss(loss_fn),
            "precision": metrics.Precision(average=False),
            "recall": metrics.Recall(average=False),
            "confusion": metrics.ConfusionMatrix(num_classes=2),
        }
        evaluator = engine.create_supervised_evaluator(model, measured, device=idist.device())
        metrics.RunningAverage(output_transform=lambda loss: loss).attach(trainer, "average")
        losses, averages, values = [], [], []

        @trainer.on(Events.EPOCH_STARTED)
        def set_epoch(trainer):
            train.sampler.set_epoch(trainer.state.epoch)

        @trainer.on(Events.ITERATION_COMPLETED)
        def note(trainer):
            losses.append(trainer.state.output)
            averages.append(trainer.state.metrics["average"])

        @trainer.on(Events.EPOCH_COMPLETED)
        def evaluate(trainer):
            state = evaluator.run(valid)
            values.append({name: torch.as_tensor(state.metrics[name]).tolist() for name in sorted(measured)})

        trainer.run(train, max_epochs=3)
        report([losses, averages, values, idist.all_reduce(sum(losses)), [p.tolist() for p in model.parameters()]])

    with idist.Parallel(backend="gloo") as parallel:
        parallel.run(main)
"""


def test_a_job_of_two_processes_has_the_losses_and_metrics_of_ignite(ranks: Ranks) -> None:
    ours = ranks.run(2, JOB, "fsm_engine", LOCAL_WORLD_SIZE="2")
    theirs = ranks.run(2, JOB, "ignite", LOCAL_WORLD_SIZE="2")

    for (mine,), (their,) in zip(ours, theirs):
        losses, averages, values, total, weights = mine
        assert len(losses) == 3 * 5  # 36 examples per process in batches of 8
        assert losses == their[0]
        assert averages == pytest.approx(their[1])
        assert [list(epoch) for epoch in values] == [list(epoch) for epoch in their[2]]
        for one, other in zip(values, their[2]):
            for name in one:
                assert torch.allclose(torch.tensor(one[name]), torch.tensor(other[name])), name
        assert total == pytest.approx(their[3])
        assert weights == their[4]
