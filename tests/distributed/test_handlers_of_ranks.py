"""Metrics, handlers and loggers attached to the engines of two ranks whose data and scores differ."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

METRICS = """
    import logging, warnings
    from fsm_engine import metrics
    from fsm_engine.distributed import gathering
    from fsm_engine.metrics.metric import sync_all_reduce

    class Longest(metrics.Metric):
        state_reductions = {"longest": "max"}
        def reset(self):
            self.longest = 0
        def update(self, output):
            self.longest = max(self.longest, output)
        def compute(self):
            return self.longest

    class Undeclared(Longest):
        state_reductions = None

    class OfIgnite(Undeclared):
        def reset(self):
            self.total, self.count = torch.tensor(0.0), 0
        def update(self, output):
            self.total += output
            self.count += 1
        @sync_all_reduce("total", "count")
        def compute(self):
            return self.total.item() / self.count

    once = metrics.MetricUsage(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.ITERATION_COMPLETED)
    output = lambda value: value

    def run(data, **attached):
        engine = Engine(lambda engine, batch: float(batch))
        for name, (metric, *usage) in attached.items():
            metric.attach(engine, name, *usage)
        return engine.run(data).metrics

    with session() as ranks:
        uneven = [1, 2, 6] if rank == 0 else [4]
        report(run(uneven, longest=[Longest()], ignite=[OfIgnite()], mean=[metrics.Average()],
                   formula=[metrics.Average() + OfIgnite()],
                   average=[metrics.RunningAverage(alpha=0.5, output_transform=output), once],
                   source=[metrics.RunningAverage(OfIgnite(), alpha=0.5), once],
                   epochs=[metrics.RunningAverage(metrics.Average()), "running_epoch_wise"]))
        report(run([2, 4] if rank == 0 else [4, 8],
                   average=[metrics.RunningAverage(alpha=0.5, output_transform=output)]))

        engine = Engine(lambda engine, batch: time.sleep(0.01 * (rank + 1)))
        metrics.Frequency(lambda output: 100).attach(engine, "rate", Events.EPOCH_COMPLETED)
        values, update = [], metrics.Frequency.update
        def note(metric, output):
            update(metric, output)
            values[:] = [metric._sum / metric._seconds]
        metrics.Frequency.update = note
        report([engine.run([0] * (3 - rank)).metrics["rate"], values[0]])

        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            value = run(uneven, own=[Undeclared()])["own"]
        report([value, "state_reductions" in str(caught[0].message)])

        try:
            run([1] * (rank + 1), loss=[metrics.RunningAverage(output_transform=output)], mean=[metrics.Average()])
        except gathering.RankMismatchError as error:
            report(str(error))

        def fail():
            raise KeyError("score")
        try:
            gathering.agreed_score("the score", fail if rank == 1 else lambda: 1.0)
        except (gathering.RankMismatchError, KeyError) as error:
            report([type(error).__name__, str(error)])

        evaluator, events = Engine(lambda engine, batch: float(batch)), []
        for event in (Events.STARTED, Events.EPOCH_STARTED, Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED,
                      Events.COMPLETED):
            evaluator.add_event_handler(event, lambda engine, event=event: events.append(event.name))
        metrics.Average().attach(evaluator, "mean")
        try:
            evaluator.run([])
        except ValueError as error:
            report("zero size" in str(error))
        ranks.attach(evaluator, uneven="keep")
        for _ in range(2):
            evaluator.run(ranks.loader(torch.tensor([3.0]), pad=False))
        report([evaluator.state.metrics, events])

        lines = []
        def note_warning(text, *args):
            lines.append(text % args)
            open(os.path.join(os.environ["RANKS_FOLDER"], "warned"), "w").close()
        logging.getLogger("fsm_engine.distributed.gathering").warning = note_warning
        gathering._WARN_AFTER = gathering.timedelta(seconds=0.1 if rank == 0 else 1000)
        if rank == 1:
            wait_for("warned")
        run(uneven, mean=[metrics.Average()])
        report(lines)
"""


def test_metrics_of_uneven_data(ranks: Ranks) -> None:
    zero, one = ranks.run(2, METRICS)
    epoch, per_iteration, frequency, undeclared, mismatch, failure, alone, empty, waited = zip(zero, one)

    local = (3.75, 4.0)  # exponential averages of 1, 2, 6 and of 4
    expected = {"longest": 6.0, "ignite": 3.25, "mean": 3.25, "formula": 6.5, "average": sum(local) / 2}
    assert epoch[0] == epoch[1] == {**expected, "source": sum(local) / 2, "epochs": 3.25}
    assert per_iteration[0] == per_iteration[1] == {"average": 4.5}
    assert frequency[0][0] == frequency[1][0] == int(frequency[0][1] + frequency[1][1])
    assert undeclared == ([6.0, True], [4.0, True])
    for message in mismatch:
        assert "'mean' (Average) at Events.EPOCH_COMPLETED, epoch 1" in message or "'mean'" in message
        assert "rank 1: the metric 'loss' (RunningAverage)" in message
        assert "iteration 2" in message
    assert failure[0] == ["RankMismatchError", "rank 1 failed in the score: KeyError: 'score'"]
    assert failure[1] == ["KeyError", "'score'"]
    assert alone == (True, True)
    names = ["STARTED", "EPOCH_STARTED", "EPOCH_COMPLETED", "COMPLETED"]
    assert empty[0] == [{"mean": 3.0}, 2 * [*names[:2], "ITERATION_COMPLETED", *names[2:]]]
    assert empty[1] == [{"mean": 3.0}, 2 * names]
    assert waited[1] == []
    assert "Rank 0 has waited 0.1 s" in waited[0][0]
    assert "the metric 'mean' (Average)" in waited[0][0]


HANDLERS = """
    import io, logging, signal
    from pathlib import Path
    from fsm_engine import handlers, loggers, metrics

    folder = Path(sys.argv[2])
    data = [1.0, 2.0, 3.0, 4.0]

    with session() as ranks:
        # Each rank has its own output; the scores of rank 1 improve, and the scores of rank 0 get worse faster.
        trainer, evaluator = Engine(lambda engine, batch: batch * (rank + 1)), Engine(lambda engine, batch: batch)
        ranks.attach(trainer, evaluator)
        score = lambda engine: trainer.state.epoch * (1 if rank else -2)
        metrics.Average().attach(trainer, "mean")
        handlers.EarlyStopping(2, score, trainer).attach(trainer, Events.EPOCH_COMPLETED)
        weight = torch.nn.Parameter(torch.zeros(1))
        optimizer = torch.optim.SGD([weight], lr=1.0)
        evaluator.add_event_handler(Events.COMPLETED, lambda engine: engine.state.metrics.update(loss=1.0 + rank))
        plateau = handlers.ReduceLROnPlateauScheduler(optimizer, "loss", patience=0, factor=0.5)
        evaluator.add_event_handler(Events.COMPLETED, plateau)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
        kept = []
        checkpoint = handlers.Checkpoint({"trainer": trainer}, lambda state, name, _: kept.append(name), n_saved=1,
                                         score_function=score, score_name="score")
        trainer.add_event_handler(Events.EPOCH_COMPLETED, checkpoint)

        own = folder / str(rank)
        os.chdir(folder)
        bar, lines = io.StringIO(), io.StringIO()
        handlers.ProgressBar(persist=True, file=bar).attach(trainer, ["mean"])
        log = logging.getLogger("text")
        log.addHandler(logging.StreamHandler(lines))
        log.setLevel("INFO")
        handlers.FBResearchLogger(log).attach(trainer, "train")
        written = [loggers.CSVLogger(own / "a.csv"), loggers.JSONLinesLogger(own / "b.jsonl"),
                   loggers.TensorboardLogger(log_dir=str(own / "tensorboard"))]
        for logger in written:
            logger.attach_output_handler(trainer, Events.EPOCH_COMPLETED, tag="train", metric_names=["mean"])
        written[2].add_text("note", "text")
        written[0].log_values({"direct": 1.0}, 1)
        written[0].log_lifecycle(trainer)
        trainer.run(data, max_epochs=9)
        for logger in written:
            logger.close()
        files = sorted(str(path.relative_to(own)) for path in own.rglob("*")) if own.exists() else []
        report([trainer.state.epoch, trainer.state.metrics, optimizer.param_groups[0]["lr"], kept])
        report([files, len(bar.getvalue()) > 0, len(lines.getvalue()) > 0])
        report([line.split(",")[:3] for line in (own / "a.csv").read_text().splitlines()] if rank == 0 else None)

        model = torch.nn.Linear(1, 1, bias=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        finder, search = handlers.FastaiLRFinder(), Engine(lambda engine, batch: float(batch * (rank + 1)))
        with finder.attach(search, {"model": model, "optimizer": optimizer}, num_iter=8) as trial:
            trial.run([5.0, 4.0, 3.0, 2.0, 90.0, 1.0, 1.0, 1.0, 1.0, 1.0], max_epochs=1)
        report(finder.get_results())

        values = Engine(lambda engine, batch: float("nan") if rank and engine.state.iteration == 3 else 1.0)
        ranks.attach(values)
        values.add_event_handler(Events.ITERATION_COMPLETED, handlers.TerminateOnNan())
        values.add_event_handler(Events.ITERATION_STARTED, lambda: c10d.barrier())  # so no rank is far ahead
        values.run(data * 100)
        report([values.outcome, values.state.iteration])

        saves = []
        def step(engine, batch):
            c10d.barrier()
            if rank == 1 and engine.state.iteration == 5:
                os.kill(os.getpid(), signal.SIGTERM)
        stopped = Engine(step)
        ranks.attach(stopped)
        stop = handlers.GracefulStop(save=lambda engine: saves.append(engine.state.iteration)).attach(stopped)
        stopped.run(data * 100)
        report([stopped.outcome, stopped.state.iteration, saves, stop.signal, stop.requested])
        stopped.add_event_handler(Events.ITERATION_COMPLETED(once=stopped.state.iteration + 4), stopped.interrupt)
        stopped.run()
        report([stopped.outcome, len(saves), stop.requested])
"""


def test_handlers_and_loggers(ranks: Ranks, tmp_path: Path) -> None:
    zero, one = ranks.run(2, HANDLERS, str(tmp_path))
    agreed, written, lines, search, values, stopped, interrupted = zip(zero, one)

    assert agreed[0] == agreed[1]
    epochs, metrics, rate, kept = agreed[0]
    assert (epochs, metrics, rate) == (3, {"mean": 3.75}, 0.25)
    assert kept == ["trainer_checkpoint_score=-0.5000.pt"] or len(kept) == 1
    files: list[Any] = written[0][0]
    assert {"a.csv", "a.lifecycle.svg", "b.jsonl", "tensorboard"} <= set(files)
    assert len(files) == 5
    assert written[0][1:] == [True, True]
    assert written[1] == [[], False, False]
    assert lines[0] == [
        ["step", "name", "value"],
        ["1", "direct", "1.0"],
        *([str(epoch), "train/mean", "3.75"] for epoch in (1, 2, 3)),
    ]
    assert search[0] == search[1]
    assert len(search[0]["loss"]) > 3
    assert values[0] == values[1]
    assert values[0][0] == "terminated"
    assert values[0][1] in (3, 4)
    assert stopped[0] == stopped[1]
    outcome, iteration, saves, signal, requested = stopped[0]
    assert (outcome, saves, signal, requested) == ("interrupted", [iteration], 15, True)
    assert iteration in (5, 6)
    assert interrupted[0] == interrupted[1] == ["interrupted", 1, False]
