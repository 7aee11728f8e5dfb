"""Deliberate differences from pytorch-ignite: rows of the tables in docs/differences.md."""

from __future__ import annotations

import contextlib
import copy
import gc
import pickle
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from fsm_engine._util.errors import BusyError
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


class Others(EventEnum):
    FOO = "foo"


def record(engine: Engine, *events: Any) -> list[str]:
    """Attach a handler to `events`, by default to all, and return the list to which it appends their names."""
    log: list[str] = []
    for event in events or Events:
        engine.add_event_handler(event, lambda *_, name=event.name: log.append(name))
    return log


def echo(engine: Engine, batch: Any) -> Any:
    return batch


# Events with equal names


def test_events_of_equal_names_in_two_enums_are_two_events() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO)
    with pytest.warns(UserWarning, match=r"^Others\.FOO has the same name as Mine\.FOO"):
        engine.register_events(Others.FOO)
    log: list[str] = []
    engine.add_event_handler(Mine.FOO, lambda: log.append("mine"))
    engine.add_event_handler(Others.FOO, lambda: log.append("others"))
    engine.fire_event(Mine.FOO)
    engine.fire_event(Others.FOO)
    assert log == ["mine", "others"]
    assert Mine.FOO != Others.FOO


def test_an_alias_in_an_enum_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"Twice\.TWO.*Twice\.ONE"):

        class Twice(EventEnum):
            ONE = "one"
            TWO = "one"


# Events are registered per engine


def test_registering_on_one_engine_changes_no_other() -> None:
    one, other = Engine(echo), Engine(echo)
    one.register_events(Mine.FOO, event_to_attr={Mine.FOO: "foos"})
    assert one.state.foos == 0
    assert not hasattr(other.state, "foos")
    assert not other.has_registered_events(Mine.FOO)
    assert Mine.FOO not in other.state.event_to_attr


# Filters on custom events


def test_filters_on_custom_events_count_firings_from_each_new_run_on() -> None:
    log: list[int] = []
    engine = Engine(lambda engine, batch: engine.fire_event(Mine.FOO))
    engine.register_events(*Mine)
    engine.add_event_handler(Mine.FOO(every=2), lambda engine: log.append(engine.state.iteration))
    engine.run([1, 2, 3])
    engine.run([1, 2, 3])
    assert log == [2, 2]


def test_counts_of_firings_continue_after_an_interrupt() -> None:
    log: list[int] = []
    engine = Engine(lambda engine, batch: engine.fire_event(Mine.FOO))
    engine.register_events(*Mine)
    engine.add_event_handler(Mine.FOO(every=2), lambda engine: log.append(engine.state.iteration))
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=1), lambda engine: engine.interrupt())
    engine.run([1, 2, 3, 4])
    engine.run()
    assert log == [2, 4]


def test_a_filter_reads_the_attribute_given_by_event_to_attr() -> None:
    log: list[int] = []
    engine = Engine(lambda engine, batch: engine.fire_event(Mine.FOO))
    engine.register_events(*Mine, event_to_attr={Mine.FOO: "foos"})
    engine.add_event_handler(Mine.FOO(once=7), lambda engine: log.append(engine.state.iteration))

    @engine.on(Events.ITERATION_STARTED)
    def count() -> None:
        engine.state.foos += 7

    engine.run([1, 2, 3])
    assert log == [1]


def test_a_filter_on_an_event_without_a_counter_counts_its_firings() -> None:
    engine = Engine(echo)
    log: list[int] = []
    engine.add_event_handler(Events.DATALOADER_STOP_ITERATION(every=2), lambda engine: log.append(engine.state.epoch))
    engine.run([1], max_epochs=5)
    assert log == [3, 5]


# Handlers attached or removed while their event fires


def test_a_handler_attached_while_its_event_fires_waits_for_the_next_firing() -> None:
    engine = Engine(echo)
    log: list[tuple[str, int]] = []

    @engine.on(Events.ITERATION_COMPLETED(once=2))
    def attach() -> None:
        log.append(("attach", engine.state.iteration))
        engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: log.append(("late", engine.state.iteration)))

    engine.run([1, 2, 3])
    assert log == [("attach", 2), ("late", 3)]


def test_a_handler_removed_while_its_event_fires_is_called_once_more() -> None:
    engine = Engine(echo)
    log: list[int] = []
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: handle.remove())
    handle = engine.add_event_handler(Events.ITERATION_COMPLETED, lambda: log.append(engine.state.iteration))
    engine.run([1, 2, 3])
    assert log == [1, 2]


@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.GET_BATCH_COMPLETED])
def test_a_handler_attached_by_a_step_is_called_at_the_next_event(event: Events) -> None:
    log: list[int] = []

    def step(engine: Engine, batch: Any) -> None:
        if engine.state.iteration == 1:
            engine.add_event_handler(event, lambda: log.append(engine.state.iteration))

    Engine(step).run([1, 2, 3])
    assert log == ([1, 2, 3] if event is Events.ITERATION_COMPLETED else [1, 2])


# StopIteration raised by user code


@pytest.mark.parametrize("event", [Events.GET_BATCH_STARTED, Events.GET_BATCH_COMPLETED, Events.ITERATION_STARTED])
def test_stop_iteration_from_a_handler_ends_the_run_as_an_error(event: Events) -> None:
    engine = Engine(echo)
    engine.add_event_handler(event, lambda: next(iter(())))
    with pytest.raises(StopIteration):
        engine.run([1, 2, 3], max_epochs=2)
    assert engine.outcome == "failed"


def test_stop_iteration_from_the_step_ends_the_run_as_an_error() -> None:
    engine = Engine(lambda engine, batch: next(iter(())))
    with pytest.raises(StopIteration):
        engine.run([1, 2, 3])
    assert (engine.outcome, engine.state.iteration) == ("failed", 1)


# Exceptions


def failing(engine: Engine, batch: Any) -> Any:
    if batch == "bad":
        raise ValueError("bad batch")
    return batch


def test_run_raises_an_unhandled_exception_and_the_next_run_works() -> None:
    engine = Engine(failing)
    log = record(engine, Events.STARTED, Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED, Events.COMPLETED)
    with pytest.raises(ValueError, match=r"^bad batch\b"):
        engine.run(["good", "bad"], max_epochs=2)
    assert (engine.outcome, engine.phase.name, engine.state.iteration, engine.state.epoch) == ("failed", "IDLE", 2, 1)
    engine.run(["good", "good"])
    assert log == [
        *["STARTED", "ITERATION_COMPLETED"],
        *["STARTED", "ITERATION_COMPLETED", "ITERATION_COMPLETED", "EPOCH_COMPLETED", "COMPLETED"],
    ]
    assert (engine.outcome, engine.state.iteration, engine.state.epoch) == ("completed", 4, 2)


def test_a_handler_of_exception_raised_sees_it_once_and_the_run_ends() -> None:
    engine = Engine(failing)
    log = record(engine, Events.EPOCH_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED)
    seen: list[BaseException] = []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda engine, error: seen.append(error))
    engine.run(["good", "bad", "good"], max_epochs=3)
    assert [repr(error) for error in seen] == ["ValueError('bad batch')"]
    assert log == ["EPOCH_STARTED"]
    assert (engine.outcome, engine.last_event_name) == ("failed", Events.EXCEPTION_RAISED)


def test_a_handler_of_exception_raised_that_raises_is_called_once() -> None:
    engine = Engine(failing)
    calls: list[str] = []

    @engine.on(Events.EXCEPTION_RAISED)
    def handler(error: BaseException) -> None:
        calls.append(str(error))
        raise error

    with pytest.raises(ValueError, match=r"^bad batch\b"):
        engine.run(["bad"])
    assert calls == ["bad batch"]
    engine.run(["good"], max_epochs=3)
    assert engine.outcome == "completed"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_keyboard_interrupt_and_system_exit_are_raised_after_the_handlers(kind: type[BaseException]) -> None:
    def step(engine: Engine, batch: Any) -> None:
        raise kind

    engine = Engine(step)
    seen: list[type] = []
    engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: seen.append(type(error)))
    with pytest.raises(kind):
        engine.run([1])
    assert (seen, engine.outcome) == ([kind], "failed")


@pytest.mark.parametrize("event", [event for event in Events if event is not Events.EXCEPTION_RAISED])
def test_an_exception_at_any_event_ends_the_run_there(event: Events) -> None:
    engine = Engine(echo)
    log = record(engine)

    def boom(*_: Any) -> None:
        raise ValueError(event.name)

    engine.add_event_handler(event, boom)
    leading = {"TERMINATE": "terminate", "TERMINATE_SINGLE_EPOCH": "terminate_epoch", "INTERRUPT": "interrupt"}
    if event.name in leading:
        engine.add_event_handler(Events.ITERATION_STARTED, lambda engine: getattr(engine, leading[event.name])())
    if event is Events.RESUMED:
        engine.run([1, 2], max_epochs=2, until=Events.ITERATION_STARTED)
    engine.run([1, 2], max_epochs=2)
    assert log[-2:] == [event.name, "EXCEPTION_RAISED"]
    assert (engine.outcome, engine.phase.name) == ("failed", "IDLE")


# Runs inside a run


def test_run_inside_a_run_of_the_same_engine_is_an_error() -> None:
    engine = Engine(lambda engine, batch: engine.run([1]))
    with pytest.raises(BusyError, match=r"while this engine is running.*ITERATION_STARTED.*another Engine"):
        engine.run([1])


def test_another_engine_runs_inside_a_handler() -> None:
    trainer, evaluator = Engine(echo), Engine(lambda engine, batch: batch * 10)
    log: list[Any] = []
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, lambda engine: log.append(engine.state.output))
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run([1, 2]))
    trainer.run([1], max_epochs=2)
    assert log == [10, 20, 10, 20]


# Suspended runs

TRACE: list[Any] = []


def tracing(engine: Engine, batch: Any) -> Any:
    TRACE.append((engine.state.epoch, engine.state.iteration, batch))
    return batch


def suspend(engine: Engine) -> None:
    engine.interrupt()


DATA = [10, 11, 12, 13, 14]
WHOLE = [
    *[(1, 1, 10), (1, 2, 11), (1, 3, 12), (2, 4, 13), (2, 5, 14), (2, 6, 10)],
    *[(3, 7, 11), (3, 8, 12), (3, 9, 13)],
]
PLACES = [
    (event, number)
    for event, numbers in {
        Events.STARTED: [1],
        Events.EPOCH_STARTED: [1, 2, 3],
        Events.GET_BATCH_STARTED: [1, 3, 4, 6],
        Events.GET_BATCH_COMPLETED: [1, 3, 4, 6],
        Events.ITERATION_STARTED: [1, 3, 5, 6],
        Events.ITERATION_COMPLETED: [1, 3, 5, 9],
        Events.DATALOADER_STOP_ITERATION: [1],
        Events.EPOCH_COMPLETED: [1, 2, 3],
    }.items()
    for number in numbers
]


def suspended_at(event: Events, number: int, data: Any = DATA) -> Engine:
    engine = Engine(tracing)
    TRACE.clear()
    calls: list[None] = []

    def count(engine: Engine) -> None:
        calls.append(None)
        if len(calls) == number:
            engine.interrupt()

    with engine.add_event_handler(event, count):
        engine.run(data, max_epochs=3, epoch_length=3)
    assert (engine.outcome, engine.phase.name) == ("interrupted", "INTERRUPT")
    return engine


@pytest.mark.parametrize(("event", "number"), PLACES)
def test_a_suspended_run_resumes_on_the_same_engine(event: Events, number: int) -> None:
    suspended_at(event, number).run()
    assert TRACE == WHOLE


@pytest.mark.parametrize(("event", "number"), PLACES)
def test_a_deep_copy_of_a_suspended_run_resumes(event: Events, number: int) -> None:
    engine = suspended_at(event, number)
    done = list(TRACE)
    twin = copy.deepcopy(engine)
    twin.run()
    assert TRACE == WHOLE
    TRACE[:] = done
    engine.run(DATA)
    assert TRACE == WHOLE


@pytest.mark.parametrize(("event", "number"), PLACES)
def test_a_pickled_run_resumes_with_the_same_data(event: Events, number: int) -> None:
    twin = pickle.loads(pickle.dumps(suspended_at(event, number)))
    twin.run(list(DATA))
    assert TRACE == WHOLE


@pytest.mark.parametrize(("event", "number"), [p for p in PLACES if p[0] is not Events.DATALOADER_STOP_ITERATION])
def test_a_pickled_run_skips_the_used_batches_of_a_new_generator(event: Events, number: int) -> None:
    twin = pickle.loads(pickle.dumps(suspended_at(event, number, data=DATA + DATA)))
    twin.run(iter(DATA + DATA))
    assert TRACE == WHOLE


@pytest.mark.parametrize(("event", "number"), [p for p in PLACES if p[1] < 9 and p != (Events.EPOCH_COMPLETED, 3)])
def test_a_loaded_state_resumes_with_the_same_data(event: Events, number: int) -> None:
    twin = Engine(tracing)
    twin.load_state_dict(suspended_at(event, number).state_dict())
    twin.run(list(DATA))
    assert TRACE == WHOLE


def test_a_deep_copy_resumes_with_the_generator_that_it_shares() -> None:
    twin = copy.deepcopy(suspended_at(Events.ITERATION_COMPLETED, 3, data=iter(DATA + DATA)))
    twin.run()
    assert TRACE == WHOLE


def test_a_copy_of_a_copy_and_a_pickle_of_a_pickle_resume() -> None:
    engine = suspended_at(Events.GET_BATCH_COMPLETED, 5)
    copy.deepcopy(copy.deepcopy(engine)).run()
    assert TRACE == WHOLE
    engine = suspended_at(Events.GET_BATCH_COMPLETED, 5)
    pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(engine)))).run(DATA)
    assert TRACE == WHOLE


def test_other_data_starts_at_its_beginning_and_the_current_batch_is_kept() -> None:
    engine = suspended_at(Events.GET_BATCH_COMPLETED, 2)
    engine.run([20, 21, 22, 23, 24, 25, 26])
    assert [
        *[(1, 1, 10), (1, 2, 11), (1, 3, 20), (2, 4, 21), (2, 5, 22), (2, 6, 23)],
        *[(3, 7, 24), (3, 8, 25), (3, 9, 26)],
    ] == TRACE


def test_a_pickled_run_without_its_data_is_an_error() -> None:
    twin = pickle.loads(pickle.dumps(suspended_at(Events.ITERATION_COMPLETED, 2)))
    with pytest.raises(ValueError, match=r"this run had data.*run\(data\)"):
        twin.run()
    twin.run(DATA)
    assert TRACE == WHOLE


def test_copies_share_steps_and_handlers_and_count_on_their_own() -> None:
    engine = Engine(tracing)
    calls: list[Any] = []

    def handler(engine: Engine) -> None:
        calls.append(engine)

    engine.add_event_handler(Events.EPOCH_COMPLETED, handler)
    engine.state.note = {"a": [1]}
    twin = copy.deepcopy(engine)
    twin.run([1, 2])
    assert calls == [twin]
    assert twin.has_event_handler(handler)
    assert (engine.state.iteration, twin.state.iteration) == (0, 2)
    assert twin.state.note == {"a": [1]}
    assert twin.state.note is not engine.state.note
    twin.remove_event_handler(handler, Events.EPOCH_COMPLETED)
    assert engine.has_event_handler(handler)


@pytest.mark.parametrize("do", [copy.deepcopy, pickle.dumps])
def test_a_running_engine_cannot_be_copied_or_pickled(do: Any) -> None:
    engine = Engine(lambda engine, batch: do(engine))
    verb = "copied" if do is copy.deepcopy else "pickled"
    with pytest.raises(BusyError, match=rf"running engine cannot be {verb}.*ITERATION_STARTED.*engine\.interrupt\(\)"):
        engine.run([1])


def test_a_pickled_engine_keeps_its_handlers_but_not_the_data() -> None:
    engine = Engine(tracing)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), suspend)
    TRACE.clear()
    engine.run(map(int, "123"), max_epochs=2)
    twin = pickle.loads(pickle.dumps(engine))
    assert twin.has_event_handler(suspend, Events.ITERATION_COMPLETED)
    assert twin.state.dataloader is None
    assert twin.source


def test_a_pickle_contains_neither_the_training_graph_nor_process_attributes() -> None:
    engine = Engine(tracing)
    with engine.record():
        engine.run([1])
        kept = engine.__getstate__()
        pickled = pickle.dumps(engine)
    assert b"Transition" not in pickled
    assert not {"_program", "_recorder", "_observers", "_wrappers", "_firable_moves"} & set(kept)


# Reference cycles


class Batch:
    pass


@pytest.mark.parametrize("ending", ["completed", "terminated", "interrupted", "failed", "unhandled"])
def test_engine_and_batch_are_freed_with_the_last_reference(ending: str) -> None:
    gc.collect()
    gc.disable()
    try:
        engine, batch = Engine(lambda engine, batch: None), Batch()
        alive = [weakref.ref(engine), weakref.ref(batch)]

        def act(engine: Engine) -> None:
            if ending in ("failed", "unhandled"):
                raise ValueError
            if ending != "completed":
                engine.terminate() if ending == "terminated" else engine.interrupt()

        handle = engine.add_event_handler(Events.ITERATION_COMPLETED(every=1), act)
        engine.add_event_handler(Events.ITERATION_COMPLETED(every=2, priority=2), print)
        if ending == "failed":
            engine.add_event_handler(Events.EXCEPTION_RAISED, lambda error: None)
        with contextlib.suppress(ValueError):
            engine.run([batch])
        del engine, batch
        assert [ref() for ref in alive] == [None, None]
        handle.remove()
    finally:
        gc.enable()


# Priorities


def test_higher_priority_first_and_ties_in_order_of_attachment() -> None:
    engine = Engine(echo)
    log: list[str] = []
    for name, event in [
        ("a", Events.COMPLETED),
        ("b", Events.COMPLETED(priority=10)),
        ("c", Events.COMPLETED(priority=-1)),
        ("d", Events.COMPLETED),
        ("e", Events.COMPLETED(once=1, priority=10)),
    ]:
        engine.add_event_handler(event, lambda engine, name: log.append(name), name)
    engine.run([1])
    assert log == ["b", "e", "a", "d", "c"]


# Epochs, limits and data


def test_terminate_epoch_at_epoch_started_skips_that_epoch() -> None:
    engine = Engine(echo)
    log = record(engine, Events.EPOCH_STARTED, Events.ITERATION_COMPLETED, Events.TERMINATE_SINGLE_EPOCH)
    engine.add_event_handler(Events.EPOCH_STARTED(once=1), lambda: engine.terminate_epoch())
    engine.run([1], max_epochs=2)
    assert log == ["EPOCH_STARTED", "TERMINATE_SINGLE_EPOCH", "EPOCH_STARTED", "ITERATION_COMPLETED"]


@pytest.mark.parametrize("event", [Events.STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED])
def test_terminate_epoch_without_an_open_epoch_raises_where_it_is_called(event: Events) -> None:
    engine = Engine(echo)
    engine.add_event_handler(event, lambda: engine.terminate_epoch())
    with pytest.raises(RuntimeError, match=rf"terminate_epoch\(\) .*{event.name}.* terminate\(\)"):
        engine.run([1])


def test_an_unknown_length_with_max_iters_does_not_set_max_epochs() -> None:
    engine = Engine(echo)
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=1), lambda: engine.set_data([7, 8, 9]))
    engine.run(iter([1, 2, 3]), max_iters=5)
    assert (engine.state.max_epochs, engine.state.epoch_length, engine.state.iteration) == (None, 3, 5)


def test_a_run_whose_data_is_exhausted_ends_under_max_iters() -> None:
    engine = Engine(echo)
    with pytest.warns(UserWarning, match=r"^Data iterator can not provide data anymore but required total number"):
        engine.run(iter([1, 2, 3]), max_iters=7, epoch_length=2)
    assert (engine.state.iteration, engine.outcome) == (3, "completed")


@pytest.mark.parametrize("limits", [{"max_epochs": 2}, {"max_iters": 2}, {"max_epochs": 2, "epoch_length": 3}])
def test_empty_data_is_an_error_at_the_first_fetch(limits: dict[str, int]) -> None:
    engine = Engine(echo)
    with pytest.raises(ValueError, match=r"^Input data has zero size: the first fetch from list_iterator "):
        engine.run(iter([]), **limits)
    engine.run([1, 2])
    assert engine.outcome == "completed"


def test_an_epoch_cut_short_does_not_shorten_epochs_of_a_later_run() -> None:
    engine, seen = Engine(tracing), []
    engine.add_event_handler(Events.EPOCH_COMPLETED, lambda: seen.append((engine.state.epoch, engine.state.iteration)))
    with engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), engine.terminate):
        engine.run(DATA, max_epochs=3)
    engine.run(DATA)
    assert seen == [(2, 7), (3, 12)]


def test_nothing_is_repeated_after_an_interrupt_where_the_data_is_reopened() -> None:
    engines = Engine(tracing), Engine(tracing)
    whole, log = [record(engine, *Events) for engine in engines]
    engines[0].run([1, 2], epoch_length=3)
    with engines[1].add_event_handler(Events.DATALOADER_STOP_ITERATION, engines[1].interrupt):
        engines[1].run([1, 2], epoch_length=3)
    engines[1].run()
    at = log.index("INTERRUPT")
    assert log[at : at + 2] == ["INTERRUPT", "RESUMED"]
    assert [*log[:at], *log[at + 2 :]] == whole


@pytest.mark.parametrize("event", [Events.TERMINATE, Events.INTERRUPT, Events.EXCEPTION_RAISED])
def test_a_signal_without_an_edge_is_dropped(event: Events) -> None:
    def step(engine: Engine, batch: Any) -> None:
        leads = {Events.TERMINATE: engine.terminate, Events.INTERRUPT: engine.interrupt}
        if engine.state.iteration == 2:
            leads.get(event, lambda: 1 / 0)()

    engine = Engine(step)
    engine.add_event_handler(event, lambda *_: (engine.terminate(), engine.interrupt()))
    log = record(engine, Events.TERMINATE, Events.INTERRUPT, Events.EXCEPTION_RAISED)
    engine.run([1, 2, 3], max_epochs=2)
    assert log == [event.name]
    engine.run([1, 2, 3])
    assert (log, engine.outcome) == ([event.name], "completed")


# Signals from threads and handlers


def test_a_signal_from_another_thread_is_handled() -> None:
    engine = Engine(echo)
    begun = threading.Event()
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: begun.set())

    def stop() -> None:
        begun.wait()
        engine.terminate()

    thread = threading.Thread(target=stop)
    thread.start()
    engine.run(iter(int, 1), epoch_length=10**9)
    thread.join()
    assert engine.outcome == "terminated"
    assert engine.state.iteration >= 3


def test_terminate_attached_as_a_handler_skips_nothing() -> None:
    engine = Engine(echo)
    log = record(engine, Events.TERMINATE, Events.COMPLETED)
    engine.add_event_handler(Events.ITERATION_COMPLETED, engine.terminate)
    engine.run([1, 2])
    assert log == ["TERMINATE", "COMPLETED"]


class SkipsItsLastEpochs:
    """Two batches without a length, of which some passes end with a request to skip EPOCH_COMPLETED."""

    def __init__(self, *skipping: int) -> None:
        self.skipping, self.passes = skipping, 0
        self.engine: Any = None

    def __iter__(self) -> Iterator[int]:
        self.passes += 1
        number = self.passes
        yield from (7, 8)
        if number in self.skipping:
            self.engine.terminate_epoch(skip_epoch_completed=True)


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
@pytest.mark.parametrize(
    ("arguments", "skipping", "epochs"),
    [
        ({}, (1,), ["TERMINATE_SINGLE_EPOCH"]),
        ({"max_epochs": 3}, (1,), ["TERMINATE_SINGLE_EPOCH", "EPOCH_COMPLETED", "EPOCH_COMPLETED"]),
    ],
)
def test_the_end_of_the_data_can_skip_epoch_completed(
    arguments: dict[str, int], skipping: tuple[int, ...], epochs: list[str], driver: str
) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    engine, data, log = Engine(lambda engine, batch: batch), SkipsItsLastEpochs(*skipping), []  # type: ignore[var-annotated]
    data.engine = engine
    for event in (Events.TERMINATE_SINGLE_EPOCH, Events.EPOCH_COMPLETED):
        engine.add_event_handler(event, lambda _engine, name, **_: log.append(name), event.name)
    engine.run(data, driver=driver, **arguments)
    assert (log, engine.state.epoch_length) == (epochs, 2)
    assert engine.state.iteration == 2 * len(epochs)


def test_exhausted_data_can_skip_epoch_completed() -> None:
    engine, log = Engine(lambda engine, batch: batch), []  # type: ignore[var-annotated]

    class Data:
        passes = 0

        def __iter__(self) -> Iterator[int]:
            self.passes += 1
            if self.passes == 1:
                yield from (7, 8)
            else:
                engine.terminate_epoch(skip_epoch_completed=True)

    for event in (Events.EPOCH_STARTED, Events.TERMINATE_SINGLE_EPOCH, Events.EPOCH_COMPLETED, Events.COMPLETED):
        engine.add_event_handler(event, lambda _engine, name, **_: log.append(name), event.name)
    with pytest.warns(UserWarning, match="can not provide data"):
        engine.run(Data(), max_iters=5, epoch_length=3)
    assert log == ["EPOCH_STARTED", "TERMINATE_SINGLE_EPOCH", "COMPLETED"]


def test_a_run_without_epochs_is_an_error() -> None:
    engine = Engine(lambda engine, batch: batch)
    log = record(engine, Events.STARTED, Events.COMPLETED)
    with pytest.raises(ValueError, match=r"max_epochs.*0.*greater than zero"):
        engine.run([1], max_epochs=0)
    assert log == []
