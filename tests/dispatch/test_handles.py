"""Handles: removing handlers with the object that `add_event_handler` returns."""

from __future__ import annotations

import copy
import gc
import weakref
from typing import Any

import pytest

from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events


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


class Owner:
    def method(self, engine: Engine) -> None:
        pass


def test_a_handle_removes_only_its_own_entry(engine: Engine) -> None:
    called: list[int] = []

    def handler(number: int) -> None:
        called.append(number)

    handles = [engine.add_event_handler(Mine.FOO, handler, number) for number in range(3)]
    handles[1].remove()
    handles[1].remove()
    engine.fire_event(Mine.FOO)
    assert called == [0, 2]


def test_a_handle_of_several_events_removes_the_handler_from_all(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO | Mine.BAR(every=2) | Mine.FOO, echo, 1)
    other = engine.add_event_handler(Events.STARTED, echo, 1)
    handle.remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, False, True]
    other.remove()
    assert not engine.has_event_handler(echo)


def test_a_handle_is_a_reusable_context_manager(engine: Engine) -> None:
    called: list[int] = []
    handle = engine.add_event_handler(Mine.FOO, called.append, 1)
    for _ in range(2):
        with handle as entered:
            assert entered is handle
            engine.fire_event(Mine.FOO)
    assert called == [1]
    with pytest.raises(LookupError, match="lost"), engine.add_event_handler(Mine.FOO, called.append, 2):
        raise LookupError("lost")
    engine.fire_event(Mine.FOO)
    assert called == [1]


def test_a_handle_constructed_by_a_user_removes_every_entry_of_the_handler_on_its_events(engine: Engine) -> None:
    for event in (Mine.FOO, Mine.FOO(every=2), Mine.BAR, Events.STARTED):
        engine.add_event_handler(event, echo, 1)
    RemovableEventHandle(Mine.FOO, echo, engine).remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, True, True]
    RemovableEventHandle(Mine.FOO | Mine.BAR, echo, engine).remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, False, True]


def test_a_handle_does_not_remove_a_handler_that_is_attached_again(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO, echo, 1)
    engine.remove_event_handler(echo, Mine.FOO)
    engine.add_event_handler(Mine.FOO, echo, 2)
    handle.remove()
    assert engine.has_event_handler(echo, Mine.FOO)


def test_a_handle_removes_nothing_from_a_copied_engine(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO, echo, 1)
    twin = copy.deepcopy(engine)
    handle.remove()
    assert (engine.has_event_handler(echo), twin.has_event_handler(echo)) == (False, True)


def test_a_handle_refers_to_handler_and_engine_weakly() -> None:
    engine = Engine(echo)

    def handler() -> None:
        pass

    events = Events.STARTED | Events.COMPLETED
    handle = engine.add_event_handler(events, handler)
    assert (handle.event_name, handle.handler(), handle.engine()) == (events, handler, engine)
    gone = weakref.ref(handler)
    del handler
    assert handle.handler() is gone() is not None
    engine.remove_event_handler(gone(), Events.STARTED)
    engine.remove_event_handler(gone(), Events.COMPLETED)
    assert gone() is handle.handler() is None
    handle.remove()
    del engine
    assert handle.engine() is None
    handle.remove()


def test_a_handle_does_not_keep_the_object_of_a_method_alive() -> None:
    engine, target = Engine(echo), Owner()
    handle = engine.add_event_handler(Events.STARTED, target.method)
    gone = weakref.ref(target)
    assert handle.handler() == target.method
    del target
    gc.collect()
    assert gone() is not None, "the engine keeps its handlers alive"
    del engine
    assert (gone(), handle.handler(), handle.engine()) == (None, None, None)


class Slotted:
    __slots__ = ("called",)

    def __init__(self) -> None:
        self.called = 0

    def __call__(self) -> None:
        self.called += 1


def test_a_handle_removes_a_handler_that_does_not_support_weak_references(engine: Engine) -> None:
    handler = Slotted()
    handle = engine.add_event_handler(Mine.FOO, handler)
    engine.fire_event(Mine.FOO)
    assert handle.handler() is None
    handle.remove()
    engine.fire_event(Mine.FOO)
    assert handler.called == 1
