"""Attaching, finding and removing handlers, the order of their calls, and copies of an engine."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events, EventsList


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


@pytest.fixture
def engine() -> Engine:
    """An engine with the callback events Mine.FOO and Mine.BAR."""
    engine = Engine(echo)
    engine.register_events(*Mine)
    return engine


def test_handlers_are_called_in_the_order_in_which_they_were_attached(engine: Engine) -> None:
    called: list[str] = []
    for name in "abc":
        engine.add_event_handler(Mine.FOO, called.append, name)
    engine.fire_event(Mine.FOO)
    assert called == ["a", "b", "c"]


def test_a_handler_attached_twice_is_called_twice(engine: Engine) -> None:
    called: list[int] = []

    def handler() -> None:
        called.append(1)

    engine.add_event_handler(Mine.FOO, handler)
    engine.add_event_handler(Mine.FOO, handler)
    engine.fire_event(Mine.FOO)
    assert called == [1, 1]


@settings(deadline=None)
@given(st.lists(st.integers(-2, 2), max_size=8), st.lists(st.integers(0, 7), max_size=4))
def test_handlers_are_called_by_priority_and_then_in_order_of_attachment(
    priorities: list[int], gone: list[int]
) -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO)
    called: list[int] = []
    handles = [
        engine.add_event_handler(Mine.FOO(priority=priority), called.append, number)
        for number, priority in enumerate(priorities)
    ]
    for number in gone:
        if number < len(handles):
            handles[number].remove()
    engine.fire_event(Mine.FOO)
    left = [number for number in range(len(priorities)) if number not in gone]
    assert called == sorted(left, key=lambda number: -priorities[number])


def test_one_handler_can_be_attached_to_several_events(engine: Engine) -> None:
    called: list[Any] = []
    engine.add_event_handler(
        Mine.FOO(every=2) | Mine.BAR | Mine.BAR, lambda engine: called.append(engine.last_event_name)
    )
    for _ in range(2):
        engine.fire_event(Mine.FOO)
        engine.fire_event(Mine.BAR)
    assert called == [Mine.BAR, Mine.BAR, Mine.FOO, Mine.BAR, Mine.BAR]


def test_attaching_to_an_empty_list_of_events_does_nothing(engine: Engine) -> None:
    handle = engine.add_event_handler(EventsList(), echo, 1)
    assert not engine.has_event_handler(echo)
    handle.remove()


@pytest.mark.parametrize("handler", [None, 1, "print", [print]])
def test_a_handler_must_be_callable(handler: Any) -> None:
    value = re.escape(repr(handler))
    with pytest.raises(TypeError, match=rf"^a handler of Events\.STARTED .*callable, got {value}\."):
        Engine(echo).add_event_handler(Events.STARTED, handler)


def test_a_handler_that_one_event_rejects_is_attached_to_none() -> None:
    engine = Engine(echo)

    def handler() -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match=r"to Events\.EXCEPTION_RAISED: takes parameters \[\] "):
        engine.add_event_handler(Events.STARTED | Events.EXCEPTION_RAISED, handler)
    assert not engine.has_event_handler(handler)
    engine.run([1])


def test_an_unregistered_event_in_a_list_attaches_the_handler_to_none() -> None:
    engine = Engine(echo)
    with pytest.raises(ValueError, match=r"^Mine\.FOO is not a valid event"):
        engine.add_event_handler(Events.STARTED | Mine.FOO, print)
    assert not engine.has_event_handler(print)


def test_on_attaches_and_returns_the_function_unchanged(engine: Engine) -> None:
    called: list[Any] = []

    def handler(given: Engine, *args: Any, **kwargs: Any) -> None:
        called.append((given is engine, args, kwargs))

    decorated = engine.on(Mine.FOO, 1, more=2)(engine.on(Mine.BAR(once=2) | Mine.FOO(once=2))(handler))
    assert decorated is handler
    for event in (Mine.BAR, Mine.FOO, Mine.BAR, Mine.FOO):
        engine.fire_event(event)
    assert called == [
        (True, (1,), {"more": 2}),
        (True, (), {}),
        (True, (), {}),
        (True, (1,), {"more": 2}),
    ]


def test_a_subclass_can_attach_handlers_in_its_constructor() -> None:
    class Counting(Engine):
        def __init__(self, step: Any) -> None:
            super().__init__(step)
            self.iterations: list[int] = []
            self.add_event_handler(Events.ITERATION_COMPLETED, type(self).count)

        def count(self) -> None:
            self.iterations.append(self.state.iteration)

    engine = Counting(echo)
    engine.run([1, 2])
    assert engine.iterations == [1, 2]


# Finding


class Handler:
    def method(self, engine: Engine) -> None:
        pass

    def __call__(self, engine: Engine) -> None:
        pass


def test_has_event_handler_compares_by_equality_and_ignores_filters(engine: Engine) -> None:
    handler = Handler()
    engine.add_event_handler(Mine.FOO(every=3) | Events.STARTED(priority=2), handler.method)
    assert handler.method is not handler.method
    questions = [None, Mine.FOO, Mine.FOO(once=1), Events.STARTED, Events.STARTED(every=2), Mine.BAR, Events.COMPLETED]
    assert [engine.has_event_handler(handler.method, event) for event in questions] == [True] * 5 + [False] * 2
    assert not engine.has_event_handler(Handler().method)
    assert not engine.has_event_handler(handler)


class Elementwise:
    """A callable whose comparison has no truth value, like an array."""

    def __call__(self) -> None:
        pass

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_handlers_whose_comparison_raises_are_compared_by_identity(engine: Engine) -> None:
    one, other = Elementwise(), Elementwise()
    engine.add_event_handler(Mine.FOO, one)
    assert engine.has_event_handler(one)
    assert not engine.has_event_handler(other)
    assert not engine.has_event_handler(print)


# Removing


def test_remove_event_handler_detaches_every_entry_of_the_handler_on_that_event_only(engine: Engine) -> None:
    called: list[str] = []

    def handler(name: str) -> None:
        called.append(name)

    engine.add_event_handler(Mine.FOO, handler, "plain")
    engine.add_event_handler(Mine.FOO(every=2), handler, "filtered")
    engine.add_event_handler(Mine.FOO, called.append, "another")
    engine.add_event_handler(Mine.BAR, handler, "elsewhere")
    engine.remove_event_handler(handler, Mine.FOO(once=7))
    for _ in range(2):
        engine.fire_event(Mine.FOO)
    engine.fire_event(Mine.BAR)
    assert called == ["another", "another", "elsewhere"]


def test_remove_event_handler_raises_if_the_handler_is_not_attached(engine: Engine) -> None:
    engine.add_event_handler(Mine.BAR, print)
    engine.add_event_handler(Mine.FOO, echo, 1)
    message = (
        f"Input handler {print!r} is not found among the registered event handlers of Input event name "
        f"Mine.FOO: [{echo!r}]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        engine.remove_event_handler(print, Mine.FOO)
    assert engine.has_event_handler(print, Mine.BAR)


def test_a_handler_attached_while_its_event_fires_is_called_from_the_next_firing_on(engine: Engine) -> None:
    called: list[str] = []

    def attach() -> None:
        called.append("attaching")
        engine.add_event_handler(Mine.FOO, called.append, "attached")

    engine.add_event_handler(Mine.FOO, attach)
    engine.fire_event(Mine.FOO)
    engine.fire_event(Mine.FOO)
    assert called == ["attaching", "attaching", "attached"]


def test_a_handler_removed_while_its_event_fires_is_called_once_more(engine: Engine) -> None:
    called: list[str] = []
    engine.add_event_handler(Mine.FOO, lambda: handle.remove())
    handle = engine.add_event_handler(Mine.FOO, called.append, "removed")
    engine.fire_event(Mine.FOO)
    engine.fire_event(Mine.FOO)
    assert called == ["removed"]


def test_a_handler_may_remove_itself(engine: Engine) -> None:
    called: list[int] = []

    @engine.on(Events.ITERATION_STARTED)
    def handler() -> None:
        called.append(engine.state.iteration)
        engine.remove_event_handler(handler, Events.ITERATION_STARTED)

    engine.run([1, 2, 3])
    assert called == [1]
    assert not engine.has_event_handler(handler)


# Copies


def test_a_copied_engine_has_the_same_handlers_and_its_own_counts(engine: Engine) -> None:
    called: list[str] = []
    engine.add_event_handler(Mine.FOO(once=2), called.append, "second")
    engine.add_event_handler(Mine.FOO(priority=1), called.append, "always")
    engine.fire_event(Mine.FOO)
    twin = copy.deepcopy(engine)
    called.clear()
    twin.fire_event(Mine.FOO)
    assert called == ["always", "second"]
    twin.add_event_handler(Mine.FOO, called.append, "of the copy")
    called.clear()
    engine.fire_event(Mine.FOO)
    assert called == ["always", "second"]


def note_foo(engine: Engine, what: str) -> None:
    engine.state.noted = [*getattr(engine.state, "noted", []), what]


def test_a_pickled_engine_keeps_handlers_filters_and_counts(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO(every=2), note_foo, "second")
    engine.add_event_handler(Mine.FOO(once=3, priority=1), note_foo, "third")
    engine.fire_event(Mine.FOO)
    twin = pickle.loads(pickle.dumps(engine))
    for _ in range(3):
        twin.fire_event(Mine.FOO)
    assert twin.state.noted == ["second", "third", "second"]
