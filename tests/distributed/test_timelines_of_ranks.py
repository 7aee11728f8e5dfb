"""Recordings of real ranks: their clocks, and their waits for each other, in one timeline."""

from __future__ import annotations

import time

import pytest

torch = pytest.importorskip("torch")

from ranks import Ranks  # noqa: E402

from fsm_engine.timeline import Timeline  # noqa: E402

S = 1_000_000_000

RECORD = """
    from datetime import timedelta
    from fsm_engine.distributed import clock

    folder = sys.argv[2]
    clock._TIMEOUT = timedelta(seconds=300)
    with session() as ranks:
        engine = Engine(lambda engine, batch: None)
        with engine.record() as timeline:
            engine.run([1, 2])
        timeline.save(f"{folder}/rank{rank}.fsmt")
        report(list(timeline.tracks[0].rank.readings))

        if rank == 1:  # rank 0 does not answer any more
            clock._REQUESTS, clock._TIMEOUT = "clock/nobody", timedelta(milliseconds=50)
            ranks._meeting.store.add("clock/nobody", 1000)
        with engine.record() as timeline:
            engine.run([1, 2])
        report(list(timeline.tracks[0].rank.readings))
    with engine.record() as timeline:
        engine.run([1, 2])
    report(timeline.tracks[0].rank is None)
"""


def test_ranks_on_one_machine_have_equal_clocks(ranks: Ranks) -> None:
    (zero, _, zero_after), (one, unanswered, one_after) = ranks.run(2, RECORD, str(ranks.folder))
    assert [offset for _, offset, _ in zero] == [0, 0]
    assert len(one) == 2  # when the recording begins and when it ends
    assert all(abs(offset) <= error for _, offset, error in one)
    greatest_error = max(error for _, _, error in one)
    assert unanswered == []
    assert (zero_after, one_after) == (True, True)

    merged = Timeline.merge(sorted(ranks.folder.glob("rank*.fsmt")))
    first, last = ([track.rank for track in merged.tracks][at] for at in (0, 1))
    assert first is not None
    assert last is not None
    assert (first.run, first.number, first.world_size) == (last.run, 0, 2)
    for rank, track in enumerate(merged.tracks):  # the clocks of one machine are the same
        moves = Timeline.load(ranks.folder / f"rank{rank}.fsmt").tracks[0].moves
        assert all(abs(move.time - own.time) <= greatest_error + 1 for move, own in zip(track.moves, moves))
    assert abs(merged.wall + time.perf_counter_ns() - time.time_ns()) < 1000 * S


WAIT = """
    import fsm_engine.distributed as dist

    def come_late(place):  # rank 1 comes a tenth of a second after rank 0
        path = os.path.join(os.environ["RANKS_FOLDER"], f"rank 0 is in {place}")
        if rank == 0:
            open(path, "w").close()
        else:
            wait_for(path)
            time.sleep(0.1)

    class Data:
        def __len__(self):
            return 6
        def __iter__(self):
            for number in range(6):
                if rank == 1:
                    come_late(f"step {number}")
                yield number

    def step(engine, batch):
        if rank == 0:
            come_late(f"step {batch}")
        c10d.all_reduce(torch.zeros(1))  # as DistributedDataParallel does, which is not recorded

    def meet(engine):
        come_late("barrier")
        dist.barrier()

    with session() as ranks:
        engine = Engine(step)
        engine.add_event_handler(Events.EPOCH_COMPLETED, meet)
        with engine.record() as timeline:
            engine.run(Data())
        timeline.save(f"{sys.argv[2]}/rank{rank}.fsmt")
"""


def test_a_fast_rank_waits_for_a_slow_one(ranks: Ranks) -> None:
    ranks.run(2, WAIT, str(ranks.folder))
    zero, _ = Timeline.merge(sorted(ranks.folder.glob("rank*.fsmt"))).tracks
    assert zero.waits is not None
    assert {(name, measured) for _, _, name, measured in zero.waits} == {
        ("barrier", True),
        ("Events.ITERATION_STARTED", False),
    }
