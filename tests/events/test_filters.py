"""Filters: which values match, the arguments of an event's call, and the filters in the generated function."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.events.filters import Filter, make_filter

ITERATION_EVENTS = (
    Events.GET_BATCH_STARTED,
    Events.GET_BATCH_COMPLETED,
    Events.ITERATION_STARTED,
    Events.ITERATION_COMPLETED,
)


class Mine(EventEnum):
    FOO = "foo"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def is_even(engine: Engine, value: int) -> bool:
    return value % 2 == 0


def matching(filtered: Any, values: Any) -> list[int]:
    """Return the values that match the filter of an event."""
    return [value for value in values if filtered.filter is None or filtered.filter(None, value)]


positive = st.integers(1, 8)
bound = st.integers(0, 12)
once = positive | st.lists(positive, min_size=1, max_size=4) | st.lists(positive, min_size=1, max_size=4).map(tuple)
intervals = st.fixed_dictionaries({}, optional={"every": positive, "before": bound, "after": bound}).filter(bool)
ignite_arguments = st.fixed_dictionaries({"once": once}) | intervals
modulo = st.integers(1, 4).map(lambda divisor: lambda engine, value: value % divisor == 0)
arguments = st.builds(
    lambda numbers, more: {**numbers, **more},
    ignite_arguments | st.just({}),
    st.fixed_dictionaries({}, optional={"event_filter": modulo}),
).filter(bool)


# Matching values


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"every": 3}, [0, 3, 6, 9]),
        ({"every": 1}, list(range(11))),
        ({"once": 4}, [4]),
        ({"once": [9, 2, 2]}, [2, 9]),
        ({"once": (9, 2)}, [2, 9]),
        ({"after": 7}, [8, 9, 10]),
        ({"before": 3}, [1, 2]),
        ({"before": 0}, []),
        ({"after": 0}, list(range(1, 11))),
        ({"after": 2, "before": 6}, [3, 4, 5]),
        ({"after": 6, "before": 2}, []),
        ({"every": 1, "after": 7}, [8, 9, 10]),
        ({"every": 3, "after": 2}, [3, 6, 9]),
        ({"every": 4, "before": 8}, [1, 5]),
        ({"every": 2, "after": 3, "before": 9}, [4, 6, 8]),
        ({"event_filter": is_even}, [0, 2, 4, 6, 8, 10]),
        ({"event_filter": is_even, "every": 3}, [0, 6]),
        ({"event_filter": is_even, "after": 5}, [6, 8, 10]),
        ({"event_filter": is_even, "once": [1, 2, 4]}, [2, 4]),
        ({"event_filter": is_even, "every": 1}, [0, 2, 4, 6, 8, 10]),
    ],
)
def test_values_that_match_a_filter(arguments: dict[str, Any], expected: list[int]) -> None:
    assert matching(Events.ITERATION_STARTED(**arguments), range(11)) == expected


def test_every_counts_from_the_first_value_after_after() -> None:
    filtered = Events.ITERATION_STARTED(every=5, after=8, before=25)
    assert matching(filtered, range(40)) == [9, 14, 19, 24]


@settings(deadline=None)
@given(ignite_arguments)
def test_filters_match_the_same_values_as_in_pytorch_ignite(arguments: dict[str, Any]) -> None:
    ignite = pytest.importorskip("ignite.engine")
    theirs, ours = ignite.Events.ITERATION_STARTED(**arguments), Events.ITERATION_STARTED(**arguments)
    assert (ours.filter is None) == (theirs.filter is None)
    assert matching(ours, range(30)) == matching(theirs, range(30))


@pytest.mark.parametrize(("result", "matches"), [([], False), (None, False), (0.0, False), ([0], True), ("no", True)])
def test_an_event_filter_can_return_any_object(result: Any, matches: bool) -> None:
    assert Events.STARTED(event_filter=lambda engine, value: result).filter("engine", 1) is matches
    calls: list[int] = []
    engine = Engine(echo)
    engine.add_event_handler(Events.STARTED(event_filter=lambda engine, value: result), lambda: calls.append(1))
    engine.run([1])
    assert calls == [1] * matches


def test_an_event_filter_is_called_with_the_engine_and_the_counter_of_its_event() -> None:
    engine = Engine(echo)
    seen: list[Any] = []
    for event in (Events.GET_BATCH_STARTED, Events.ITERATION_STARTED, Events.EPOCH_COMPLETED, Events.COMPLETED):

        def look(given: Any, value: int, name: str = event.name) -> bool:
            seen.append((given is engine, name, value))
            return False

        engine.add_event_handler(event(event_filter=look), pytest.fail, "the filter matches nothing")
    engine.run([1, 2], max_epochs=2)
    assert seen == [
        *[(True, "GET_BATCH_STARTED", 0), (True, "ITERATION_STARTED", 1)],
        *[(True, "GET_BATCH_STARTED", 1), (True, "ITERATION_STARTED", 2)],
        (True, "EPOCH_COMPLETED", 1),
        *[(True, "GET_BATCH_STARTED", 2), (True, "ITERATION_STARTED", 3)],
        *[(True, "GET_BATCH_STARTED", 3), (True, "ITERATION_STARTED", 4)],
        (True, "EPOCH_COMPLETED", 2),
        (True, "COMPLETED", 2),
    ]


def test_an_event_filter_is_called_only_if_the_numbers_match() -> None:
    values: list[int] = []
    filtered = Filter(every=2, event_filter=lambda engine, value: values.append(value))
    assert [filtered(None, value) for value in range(1, 6)] == [False] * 5
    assert values == [2, 4]


# The filters in generated functions match the same values as `Filter`


def numbers_called(engine: Engine, event: Any, run: Any, number: Any) -> list[int]:
    called: list[int] = []
    engine.add_event_handler(event, lambda: called.append(number()))
    run()
    return called


@settings(deadline=None)
@given(arguments, st.sampled_from(ITERATION_EVENTS))
def test_a_run_calls_a_handler_in_the_iterations_that_match(arguments: dict[str, Any], event: Events) -> None:
    engine, filtered = Engine(echo), event(**arguments)
    called = numbers_called(
        engine, filtered, lambda: engine.run(range(5), max_epochs=3), lambda: engine.state.iteration
    )
    counts = range(15) if event.name.startswith("GET_BATCH") else range(1, 16)
    assert called == matching(filtered, counts)


@settings(deadline=None)
@given(arguments, st.sampled_from((Events.EPOCH_STARTED, Events.EPOCH_COMPLETED)))
def test_a_run_calls_a_handler_in_the_epochs_that_match(arguments: dict[str, Any], event: Events) -> None:
    engine, filtered = Engine(echo), event(**arguments)
    called = numbers_called(engine, filtered, lambda: engine.run([1], max_epochs=14), lambda: engine.state.epoch)
    assert called == matching(filtered, range(1, 15))


@settings(deadline=None)
@given(arguments)
def test_fire_event_calls_a_handler_at_the_firings_that_match(arguments: dict[str, Any]) -> None:
    engine, filtered = Engine(echo), Mine.FOO(**arguments)
    engine.register_events(Mine.FOO)
    called: list[int] = []
    engine.add_event_handler(filtered, lambda *_: called.append(firing))
    for firing in range(1, 15):
        engine.fire_event(Mine.FOO, *["payload"] * (firing % 2))
    assert called == matching(filtered, range(1, 15))


@settings(deadline=None)
@given(arguments)
def test_a_filter_reads_the_attribute_in_event_to_attr(arguments: dict[str, Any]) -> None:
    engine, filtered = Engine(echo), Mine.FOO(**arguments)
    engine.register_events(Mine.FOO, event_to_attr={Mine.FOO: "foos"})
    called: list[int] = []
    engine.add_event_handler(filtered, lambda: called.append(engine.state.foos))
    counts = [0, 3, 3, 2, *range(12)]
    for engine.state.foos in counts:
        engine.fire_event(Mine.FOO)
    assert called == matching(filtered, counts)


def test_several_filters_of_one_event_are_independent() -> None:
    engine = Engine(echo)
    called: list[tuple[int, str]] = []
    filters = [{"every": 2}, {"every": 3}, {"once": 2}, {"once": [1, 3]}, {"after": 2}, {"before": 2}, {"every": 1}]
    for given_arguments in filters:
        (name, value), *_ = given_arguments.items()
        event = Events.ITERATION_STARTED(**given_arguments)
        engine.add_event_handler(event, lambda e, text: called.append((e.state.iteration, text)), f"{name}={value}")
    engine.run([1, 2, 3])
    assert called == [
        *[(1, "once=[1, 3]"), (1, "before=2"), (1, "every=1")],
        *[(2, "every=2"), (2, "once=2"), (2, "every=1")],
        *[(3, "every=3"), (3, "once=[1, 3]"), (3, "after=2"), (3, "every=1")],
    ]


def test_a_firing_keeps_its_number_if_a_handler_fires_the_event_again() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO)
    called: list[str] = []
    engine.add_event_handler(Mine.FOO(once=1), lambda: engine.fire_event(Mine.FOO))
    for number in (1, 2):
        engine.add_event_handler(Mine.FOO(once=number), called.append, f"once={number}")
    engine.fire_event(Mine.FOO)
    assert called == ["once=2", "once=1"]


def test_once_matches_again_in_the_next_run() -> None:
    engine = Engine(echo)
    called: list[int] = []
    engine.add_event_handler(Events.ITERATION_STARTED(once=2), lambda: called.append(engine.state.iteration))
    engine.run([1, 2, 3])
    engine.run([1, 2, 3])
    assert called == [2, 2]


def test_run_raises_the_exception_of_a_filter() -> None:
    def broken(engine: Engine, value: int) -> bool:
        raise LookupError("no such value")

    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_STARTED(event_filter=broken), echo, 1)
    with pytest.raises(LookupError, match=r"^no such value\b"):
        engine.run([1])
    assert engine.outcome == "failed"


# Arguments


def test_make_filter_returns_none_if_every_value_would_match() -> None:
    assert make_filter() is None
    assert make_filter(every=1) is None
    assert make_filter(every=1, after=0) == Filter(every=1, after=0)


def test_a_filter_keeps_its_arguments_as_python_integers() -> None:
    numpy = pytest.importorskip("numpy")
    built = make_filter(every=numpy.int64(2), after=numpy.int32(3), before=numpy.uint8(9))
    assert built == Filter(every=2, after=3, before=9)
    assert [type(number) for number in (built.every, built.after, built.before)] == [int, int, int]


def test_a_filter_is_bounded_by_before_or_after() -> None:
    filters = [Filter(every=2), Filter(once=(1,)), Filter(before=0), Filter(after=0), Filter(before=3, after=1)]
    assert [built.bounded for built in filters] == [False, False, True, True, True]


EVERY = "Argument every should be integer and greater than zero, got "
ONCE = "Argument once should either be a positive integer or a list of positive integers, got "
BEFORE = "Argument before should be integer and greater or equal to zero, got "
AFTER = "Argument after should be integer and greater or equal to zero, got "


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        *[({"every": value}, EVERY + repr(value)) for value in (0, -1, 1.0, "2", [2], True, False)],
        *[({"once": value}, ONCE + repr(value)) for value in (0, -1, 1.5, "2", [], (), [1, 0], [1, 10.0, "x"], {1, 2})],
        *[({"once": value}, ONCE + repr(value)) for value in (True, [True], range(1, 3))],
        *[({"before": value}, BEFORE + repr(value)) for value in (-1, 1.0, "2", [2], True)],
        *[({"after": value}, AFTER + repr(value)) for value in (-1, 1.0, "2", [2], True)],
        ({"every": 0, "before": 3}, EVERY + "0"),
        ({"every": 2, "before": -3}, BEFORE + "-3"),
        ({"after": -1, "before": 3}, AFTER + "-1"),
    ],
)
def test_an_invalid_number_raises(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Events.ITERATION_STARTED(**arguments)


def test_once_rejects_numpy_integers() -> None:
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match=f"^{re.escape(ONCE)}"):
        make_filter(once=numpy.int64(2))


@pytest.mark.parametrize("others", [{"every": 2}, {"before": 3}, {"after": 1}, {"every": 2, "before": 3, "after": 1}])
def test_once_cannot_be_combined_with_other_numbers(others: dict[str, int]) -> None:
    message = r"^Only one of the input arguments should be specified, except before, after and every: once"
    with pytest.raises(ValueError, match=message):
        Events.ITERATION_STARTED(once=2, **others)


numbers = st.integers(-1, 3) | st.none() | st.sampled_from([1.0, "1", (), (1, 2), [0], [3, 1], [1, 2.0], {1}])


@settings(deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("every", "once", "before", "after"), numbers)))
def test_pytorch_ignite_rejects_the_same_numbers(arguments: dict[str, Any]) -> None:
    ignite = pytest.importorskip("ignite.engine")
    results: list[Any] = []
    for events in (ignite.Events, Events):
        try:
            results.append(matching(events.STARTED(**arguments), range(9)))
        except ValueError as error:
            results.append(str(error)[:40])
    assert results[0] == results[1]


@pytest.mark.parametrize("value", [3, "every", [is_even]])
def test_an_event_filter_has_to_be_callable(value: Any) -> None:
    message = f"Argument event_filter should be a callable taking (engine, event), got {value!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        Events.STARTED(event_filter=value)


@pytest.mark.parametrize(
    ("event_filter", "parameters", "reason"),
    [
        (lambda: True, [], "too many positional arguments"),
        (lambda value: True, ["value"], "too many positional arguments"),
        (lambda a, b, c: True, ["a", "b", "c"], "missing a required argument: 'c'"),
    ],
)
def test_an_event_filter_has_to_take_the_engine_and_the_counter(
    event_filter: Any, parameters: list[str], reason: str
) -> None:
    message = f"Error adding event_filter {event_filter!r}: takes parameters {parameters} but will be called with"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}.*{re.escape(reason)}"):
        Events.STARTED(event_filter=event_filter)


class Every:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, engine: Any, value: int) -> bool:
        return value % self.number == 0

    def matches(self, engine: Any, value: int, more: int = 0) -> bool:
        return self(engine, value)


@pytest.mark.parametrize("event_filter", [Every(3), Every(3).matches, lambda *all: all[-1] % 3 == 0])
def test_an_event_filter_can_be_any_callable(event_filter: Any) -> None:
    assert matching(Events.STARTED(event_filter=event_filter), range(1, 8)) == [3, 6]


def test_an_event_filter_can_be_a_builtin_without_a_signature() -> None:
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(max)
    assert Events.STARTED(event_filter=max).filter(0, 3) is True


# Texts


@pytest.mark.parametrize(
    ("built", "text"),
    [
        (Filter(), ""),
        (Filter(every=5), "every=5"),
        (Filter(once=(3,)), "once=3"),
        (Filter(once=(3, 4)), "once=[3, 4]"),
        (Filter(every=2, before=9, after=0), "every=2, before=9, after=0"),
        (Filter(event_filter=is_even), "event_filter=is_even"),
        (Filter(every=2, event_filter=Every.matches), "every=2, event_filter=Every.matches"),
    ],
)
def test_the_text_of_a_filter_lists_its_arguments(built: Filter, text: str) -> None:
    assert str(built) == text


def test_an_event_filter_without_a_name_is_shown_by_its_repr() -> None:
    event_filter = Every(2)
    assert str(Filter(event_filter=event_filter)) == f"event_filter={event_filter!r}"


def test_filters_are_equal_if_their_parts_are() -> None:
    assert make_filter(once=3) == make_filter(once=[3]) == make_filter(once=(3,))
    assert make_filter(every=3) != make_filter(once=3)
    assert make_filter(event_filter=is_even) == make_filter(event_filter=is_even)
