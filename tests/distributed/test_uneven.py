"""Ranks whose data has different numbers of batches: an error, a shorter epoch, or torch's `Join`."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

DIFFERENCES = """
    from fsm_engine.distributed import RankMismatchError

    class Data:
        def __iter__(self):
            return iter(range(3))

    cases = [
        (range(3 + rank), {}, None),
        (Data() if rank else [1, 2, 3], {}, None),
        (Data(), {"epoch_length": 2 + rank}, None),
        (range(3), {"max_epochs": 1 + rank}, None),
        (range(1 - rank), {}, "drop"),
        (range(3), {}, ["drop", None][rank]),
    ]
    with session() as ranks:
        for data, limits, uneven in cases:
            events = []
            trainer = Engine(lambda engine, batch: None)
            ranks.attach(trainer, uneven=uneven)
            trainer.add_event_handler(Events.STARTED, lambda: events.append("STARTED"))
            try:
                trainer.run(data, **limits)
            except RankMismatchError as error:
                report([str(error), events])

        trainer = Engine(lambda engine, batch: None)
        for ask in (lambda: ranks.attach(trainer, uneven="pad"), lambda: ranks.attach(trainer, uneven="join")):
            try:
                ask()
            except ValueError as error:
                report([str(error), trainer.has_handlers(Events.EPOCH_STARTED)])
"""


def test_differences_are_named_before_the_run_begins(ranks: Ranks) -> None:
    first, second = ranks.run(2, DIFFERENCES)

    assert first == second
    *runs, unknown, no_model = first
    assert [events for _, events in runs] == [[]] * 6
    lengths, no_length, given, limits, empty, modes = (message for message, _ in runs)
    for part in ("rank 0: 3 iterations per epoch", "rank 1: 4 iterations", "'drop'", "uneven='join'", "pad=True"):
        assert part in lengths
    assert "rank 1: data without a length" in no_length
    assert "run(data, epoch_length=...)" in no_length
    assert "rank 0: 2 iterations per epoch" in given
    assert "rank 1: 3 iterations" in given
    assert "max_epochs=1" in limits
    assert "max_epochs=2" in limits
    assert "rank 1: no batches" in empty
    assert "uneven='drop'; rank 1: 3 iterations per epoch from iteration 0, max_epochs=1, uneven=None" in modes
    assert [False] == [is_attached for _, is_attached in [unknown]] == [is_attached for _, is_attached in [no_model]]
    assert "'pad'" in unknown[0]
    for part in ("'drop'", "'join'", "'keep'"):
        assert part in unknown[0]
    for part in ("DistributedDataParallel", "step.model", "uneven='drop'"):
        assert part in no_model[0]


def test_evaluators_are_not_compared(ranks: Ranks) -> None:
    code = """
        from torch.nn.parallel import DistributedDataParallel
        from fsm_engine import create_supervised_evaluator, create_supervised_trainer
        from fsm_engine.metrics import Accuracy, Average

        with session() as ranks:
            torch.manual_seed(0)
            x = torch.randn(10, 2)
            data = torch.utils.data.TensorDataset(x, (x[:, 0] > 0).long())
            model = DistributedDataParallel(torch.nn.Linear(2, 2))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            trainer = create_supervised_trainer(model, optimizer, torch.nn.functional.cross_entropy)
            evaluator = create_supervised_evaluator(model.module, {"accuracy": Accuracy()})
            inner, outer = (Engine(lambda engine, batch: float(len(batch[0]))) for _ in range(2))
            ranks.attach(trainer, evaluator, uneven="drop")
            ranks.attach(inner)
            ranks.attach(outer, uneven="keep")
            for engine in (inner, outer):
                Average().attach(engine, "mean")
            validation, one = (
                ranks.loader(torch.utils.data.Subset(data, range(size)), batch_size=2, pad=False) for size in (9, 1)
            )
            seen = []
            def evaluate():
                for loader in (validation, one):
                    evaluator.run(loader)
                    inner.run(loader)
                    seen.append([evaluator.state.metrics["accuracy"], inner.state.metrics["mean"]])
            trainer.add_event_handler(Events.EPOCH_COMPLETED, evaluate)
            trainer.run(ranks.loader(data, batch_size=2, shuffle=True), max_epochs=2)
            evaluator.run(validation)
            outer.run(validation)
            truth = [(model.module(x[:size]).argmax(1) == (x[:size, 0] > 0)).float().mean().item() for size in (9, 1)]
            report([len(validation), len(one), seen[2:], outer.state.metrics["mean"], truth])
    """
    first, second = (report for (report,) in ranks.run(2, code))

    assert first[:2] == [3, 1]
    assert second[:2] == [2, 0]
    assert first[2:] == second[2:]
    seen, mean, truth = first[2:]
    assert [accuracy for accuracy, _ in seen] == pytest.approx(truth)
    assert [value for _, value in seen] == [1.8, 1.0]
    assert mean == 1.8


TRAINING = """
    from torch.distributed.algorithms import Join
    from torch.nn.parallel import DistributedDataParallel
    from torch.utils.data import DataLoader, TensorDataset
    from fsm_engine import create_supervised_evaluator, create_supervised_trainer
    from fsm_engine.handlers import Checkpoint
    from fsm_engine.metrics import Average, Loss

    mode = sys.argv[2]
    loss_fn = torch.nn.functional.mse_loss

    class Unsized:
        def __init__(self, loader):
            self.loader = loader
        def __iter__(self):
            return iter(self.loader)

    def job(attached=True):
        torch.manual_seed(0)
        x = torch.randn(16, 2)
        model = DistributedDataParallel(torch.nn.Linear(2, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        torch.manual_seed(rank)
        own = x[:6] if rank == 0 else x[6:]  # three and five batches
        loader = DataLoader(TensorDataset(own, own.sum(1, keepdim=True)), batch_size=2, shuffle=True)
        return model, optimizer, loader

    def plain(epochs):
        model, optimizer, loader = job()
        for epoch in range(epochs):
            def train(batches):
                for x, y in batches:
                    optimizer.zero_grad()
                    loss_fn(model(x), y).backward()
                    optimizer.step()
            if mode == "join":
                with Join([model]):
                    train(loader)
                states = [optimizer.state_dict() if rank == 1 else None]
                c10d.broadcast_object_list(states, 1)
                if rank == 0:
                    optimizer.load_state_dict(states[0])
            else:
                import itertools
                train(itertools.islice(iter(loader), 3))
            list(loader)  # the evaluator draws random numbers, too
        return weights(model)

    def weights(model):
        return [p.tolist() for p in model.parameters()]

    def make(ranks, folder=None):
        model, optimizer, loader = job()
        trainer = create_supervised_trainer(model, optimizer, loss_fn)
        evaluator = create_supervised_evaluator(model.module, {"loss": Loss(loss_fn)})
        ranks.attach(trainer, evaluator, uneven=mode.split()[0])
        Average(output_transform=lambda output: output).attach(trainer, "mean")
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(loader))
        seen = []
        for event in (Events.EPOCH_STARTED, Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.TERMINATE,
                      Events.INTERRUPT, Events.COMPLETED):
            trainer.add_event_handler(
                event, lambda e, n=event.name: seen.append([n, e.state.epoch, e.state.iteration]))
        save = folder and Checkpoint({"model": model, "optimizer": optimizer, "trainer": trainer}, folder)
        return trainer, evaluator, model, Unsized(loader) if "unsized" in mode else loader, save, seen

    def result(trainer, evaluator, model):
        return [trainer.outcome, weights(model), dict(trainer.state.metrics), dict(evaluator.state.metrics)]
"""


@pytest.mark.parametrize("mode", ["drop", "drop unsized"])
def test_drop_uses_the_shortest_length_on_all_ranks(ranks: Ranks, mode: str) -> None:
    code = (
        TRAINING
        + """
    with session() as ranks:
        trainer, evaluator, model, loader, save, seen = make(ranks)
        trainer.run(loader, max_epochs=3)
        report([weights(model) == plain(3), seen, trainer.state.epoch_length])
        whole = result(trainer, evaluator, model)

        trainer, evaluator, model, loader, save, seen = make(ranks, sys.argv[3])
        trainer.add_event_handler(Events.ITERATION_COMPLETED(once=5), save)
        trainer.add_event_handler(Events.ITERATION_COMPLETED(once=7), lambda: rank or trainer.terminate())
        trainer.run(loader, max_epochs=3)
        place = [trainer.outcome, trainer.state.iteration]
        trainer, evaluator, model, loader, save, seen = make(ranks, sys.argv[3])
        save.resume()
        trainer.run(loader)
        report([place, result(trainer, evaluator, model) == whole])
    """
    )
    first, second = ranks.run(2, code, mode, str(ranks.folder / "saved"))

    assert first == second
    (is_plain, seen, length), (place, resumes_exactly) = first
    assert is_plain
    assert seen == [
        event
        for epoch in (1, 2, 3)
        for event in [
            ["EPOCH_STARTED", epoch, 3 * epoch - 3],
            *[["ITERATION_COMPLETED", epoch, 3 * epoch - 3 + number] for number in (1, 2, 3)],
            ["EPOCH_COMPLETED", epoch, 3 * epoch],
        ]
    ] + [["COMPLETED", 3, 9]]
    assert length == 3
    assert place[0] == "terminated"
    assert place[1] in (7, 8)
    assert resumes_exactly


def test_join_uses_every_example(ranks: Ranks) -> None:
    code = (
        TRAINING
        + """
    with session() as ranks:
        trainer, evaluator, model, loader, save, seen = make(ranks)
        trainer.run(loader, max_epochs=3)
        report([weights(model) == plain(3), trainer.state.iteration, weights(model)])
        whole = result(trainer, evaluator, model)

        trainer, evaluator, model, loader, save, seen = make(ranks, sys.argv[3])
        trainer.add_event_handler(Events.EPOCH_COMPLETED(once=1), save)
        trainer.run(loader, max_epochs=2)
        trainer, evaluator, model, loader, save, seen = make(ranks, sys.argv[3])
        save.resume()
        trainer.run(loader, max_epochs=3)
        report(result(trainer, evaluator, model) == whole)

        trainer, evaluator, model, loader, save, seen = make(ranks)
        def interrupt():
            if rank == 0:
                trainer.interrupt()
        with trainer.add_event_handler(Events.ITERATION_COMPLETED(once=2), interrupt):
            trainer.run(loader, max_epochs=3)
        place = [trainer.outcome, trainer.state.iteration]
        trainer.run(loader)
        report([place, result(trainer, evaluator, model) == whole])

        for iteration, asker in ((7, 1), (9, 1), (7, 0), (10, 1)):  # the second iteration of the epoch; one of rank 1
            trainer, evaluator, model, loader, save, seen = make(ranks)
            if rank == asker:
                trainer.add_event_handler(Events.ITERATION_COMPLETED(once=iteration), trainer.terminate)
            trainer.run(loader, max_epochs=3)
            report([trainer.outcome, trainer.state.epoch, seen[-3:], weights(model)])
    """
    )
    first, second = ranks.run(2, code, "join", str(ranks.folder / "saved"))

    assert first[0] == [True, 9, first[0][2]]
    assert second[0] == [True, 15, first[0][2]]
    assert first[1] is second[1] is True
    assert first[2] == second[2]
    assert first[2] == [["interrupted", first[2][0][1]], True]
    assert first[2][0][1] in (2, 3)
    for one, other in zip(first[3:], second[3:]):
        assert one[:2] == other[:2]
        assert one[0] == "terminated" or one == ["completed", 3, one[2], one[3]]
        assert one[3] == other[3]
        assert [event for event, *_ in one[2]] == [event for event, *_ in other[2]]


def test_a_metric_of_each_iteration_is_refused_where_ranks_have_different_iterations(ranks: Ranks) -> None:
    code = (
        TRAINING
        + """
    from fsm_engine.distributed import RankMismatchError
    from fsm_engine.handlers import GracefulStop
    from fsm_engine.metrics import MetricUsage, RunningAverage

    once = MetricUsage(Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.ITERATION_COMPLETED)
    with session() as ranks:
        for usage in ((), (once,)):
            trainer, evaluator, model, loader, save, seen = make(ranks)
            RunningAverage(output_transform=lambda loss: loss).attach(trainer, "loss", *usage)
            GracefulStop().attach(trainer)
            try:
                trainer.run(loader, max_epochs=2)
            except RankMismatchError as error:
                report([str(error), seen])
            else:
                report([trainer.outcome, trainer.state.metrics["loss"]])
    """
    )
    first, second = ranks.run(2, code, "join")

    assert first == second
    (message, seen), (outcome, _) = first
    assert seen == []
    for part in (
        "RunningAverage of Events.ITERATION_COMPLETED",
        "rank 0: 3 iterations",
        "rank 1: 5",
        "EPOCH_COMPLETED",
    ):
        assert part in message
    assert outcome == "completed"
