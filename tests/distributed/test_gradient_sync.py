"""Distributed models in the supervised step: how often gradients are averaged, the order of examples, scores."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

fsdp = pytest.importorskip("torch.distributed.fsdp", reason="this torch has no distributed package")
NEEDS_FULLY_SHARD = pytest.mark.skipif(not hasattr(fsdp, "fully_shard"), reason="this torch has no fully_shard")

ACCUMULATION = """
    from contextlib import nullcontext
    from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
    from torch.nn.parallel import DistributedDataParallel
    from fsm_engine import create_supervised_trainer
    from fsm_engine.lifecycle.step_events import StepEvents

    torch.manual_seed(rank)
    batches = [(torch.randn(4, 3), torch.randn(4, 2)) for _ in range(8)]
    loss_fn = torch.nn.functional.mse_loss

    def parallel(kind):
        torch.manual_seed(0)
        model, reductions = torch.nn.Linear(3, 2), []
        if kind == "ddp":
            model = DistributedDataParallel(model)
            def count(state, bucket):
                reductions.append("gradients")
                return allreduce_hook(state, bucket)
            model.register_comm_hook(None, count)
        else:
            from torch.distributed.device_mesh import init_device_mesh
            from torch.distributed.fsdp import fully_shard
            fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
            name = next(n for n in ("reduce_scatter_single", "reduce_scatter_tensor") if hasattr(c10d, n))
            scatter = getattr(c10d, name)
            def count(*args, **kwargs):
                reductions.append("gradients")
                return scatter(*args, **kwargs)
            setattr(c10d, name, count)
        return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), reductions

    def weights(model):
        return [getattr(p, "full_tensor", lambda: p)().tolist() for p in model.parameters()]

    with session() as ranks:
        kind = sys.argv[2]
        model, optimizer, reductions = parallel(kind)
        trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=4)
        ranks.attach(trainer)
        walk = []
        for event in (StepEvents.BACKWARD_COMPLETED, StepEvents.OPTIM_STEP_COMPLETED):
            trainer.add_event_handler(event, lambda engine, event=event: walk.append([event.name, len(reductions)]))
        trainer.run(batches)

        plain, optimizer, others = parallel(kind)
        for number, (x, y) in enumerate(batches, 1):
            steps = number % 4 == 0
            if kind == "fsdp2":
                plain.set_requires_gradient_sync(steps)
            with plain.no_sync() if kind == "ddp" and not steps else nullcontext():
                (loss_fn(plain(x), y) / 4).backward()
            if steps:
                optimizer.step()
                optimizer.zero_grad()
        report([walk, len(others), weights(model), weights(plain)])
"""


@pytest.mark.parametrize("kind", ["ddp", pytest.param("fsdp2", marks=NEEDS_FULLY_SHARD)])
def test_gradients_that_accumulate_are_averaged_once_per_optimizer_step(ranks: Ranks, kind: str) -> None:
    first, second = ranks.run(2, ACCUMULATION, kind)

    backward, step = "BACKWARD_COMPLETED", "OPTIM_STEP_COMPLETED"
    expected = [[backward, 0]] * 3 + [[backward, 1], [step, 1]] + [[backward, 1]] * 3 + [[backward, 2], [step, 2]]
    for reports in (first, second):
        for walk, reductions, weights, plain in reports:
            assert (walk, reductions) == (expected, 2)
            assert weights == plain
    assert first[0][2:] == second[0][2:]


@NEEDS_FULLY_SHARD
def test_gradients_that_a_sharded_model_keeps_to_itself_are_named_when_a_state_lacks_them(ranks: Ranks) -> None:
    code = """
        import logging
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard
        from fsm_engine import create_supervised_trainer

        logging.basicConfig(format="%(levelname)s %(message)s")
        with session() as ranks:
            model = torch.nn.Linear(3, 2)
            fully_shard(model, mesh=init_device_mesh("cpu", (2,)))
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            loss_fn = torch.nn.functional.mse_loss
            trainer = create_supervised_trainer(model, optimizer, loss_fn, gradient_accumulation_steps=2)
            trainer.resumes_exactly = True
            ranks.attach(trainer)
            def save(engine):
                print("iteration", engine.state.iteration, file=sys.stderr, flush=True)
                engine.state_dict()
            trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: engine.call_when_safe(save))
            trainer.run([(torch.randn(4, 3), torch.randn(4, 2)) for _ in range(4)])
    """
    started = ranks.start(2, code)
    assert [child.wait() for child in started] == [0, 0]

    for child in started:
        _, *iterations = child.err.read_text().split("iteration ")
        warned = ["WARNING" in text and "ITERATION_COMPLETED(every=2)" in text for text in iterations]
        assert warned == [True, False, True, False]


def test_the_order_of_each_epoch_and_decisions_are_equal_on_all_ranks(ranks: Ranks) -> None:
    code = """
        from torch.nn.parallel import DistributedDataParallel
        from torch.utils.data import DataLoader, DistributedSampler
        from fsm_engine import create_supervised_evaluator, create_supervised_trainer
        from fsm_engine.handlers import EarlyStopping, ReduceLROnPlateauScheduler

        data = [(torch.full((1,), float(number)), torch.zeros(1)) for number in range(8)]
        with session() as ranks:
            def sampler(): return DistributedSampler(data, shuffle=True)
            loaders = {
                "ranks.loader": ranks.loader(data, batch_size=2, shuffle=True),
                "DistributedSampler": DataLoader(data, 2, sampler=sampler()),
                "batch_sampler": DataLoader(data, batch_sampler=torch.utils.data.BatchSampler(sampler(), 2, False)),
            }
            for name, loader in loaders.items():
                model = DistributedDataParallel(torch.nn.Linear(1, 1))
                optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
                trainer = create_supervised_trainer(
                    model, optimizer, torch.nn.functional.mse_loss, output_transform=lambda x, *_: x.flatten().tolist())
                ranks.attach(trainer)
                seen = []
                trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda e: seen.extend(e.state.output))
                trainer.run(loader, max_epochs=2)
                expected, own = [], sampler()
                for epoch in (1, 2):
                    own.set_epoch(epoch)
                    expected += [float(number) for number in own]
                report([name, seen == expected, seen[:4] != seen[4:]])

            evaluator = Engine(lambda engine, batch: None)
            trainer.state.max_epochs = None
            stop = EarlyStopping(2, lambda e: [0.0, 1.0][rank] * -trainer.state.epoch, trainer)
            evaluator.add_event_handler(Events.COMPLETED, stop)
            def score(engine): engine.state.metrics["score"] = float(rank * trainer.state.epoch)
            evaluator.add_event_handler(Events.COMPLETED, score)
            ReduceLROnPlateauScheduler(optimizer, "score", trainer, patience=0).attach(evaluator)
            trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([0]))
            trainer.run(loader, max_epochs=9)
            report([trainer.outcome, trainer.state.epoch, optimizer.param_groups[0]["lr"]])
    """
    first, second = ranks.run(2, code)

    assert first == second
    *orders, decided = first
    assert [values for _, *values in orders] == [[True, True]] * 3
    assert decided[:2] == ["terminated", 3]
    assert decided[2] < 0.001
