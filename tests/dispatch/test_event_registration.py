"""Registering events, and errors for events that are not registered."""

from __future__ import annotations

import re
from typing import Any

import pytest

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


class Namesake(EventEnum):
    FOO = "other foo"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


@pytest.fixture
def engine() -> Engine:
    """An engine with the callback events Mine.FOO and Mine.BAR."""
    engine = Engine(echo)
    engine.register_events(*Mine)
    return engine


def test_only_the_events_of_the_lifecycle_are_registered_at_first() -> None:
    engine = Engine(echo)
    assert [event for event in Events if not engine.has_registered_events(event)] == []
    assert engine.has_registered_events(Events.STARTED(every=2))
    assert [event for event in (Mine.FOO, Mine.FOO(every=2), "FOO", "foo") if engine.has_registered_events(event)] == []


def test_members_and_strings_can_be_registered() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO, "happened")
    known = [Mine.FOO, Mine.FOO(every=2), Mine.BAR, "happened", "FOO", "foo"]
    assert [engine.has_registered_events(event) for event in known] == [True, True, False, True, False, False]


def test_registering_again_keeps_handlers_and_counts(engine: Engine) -> None:
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(once=2), lambda: called.append(1))
    engine.fire_event(Mine.FOO)
    engine.register_events(Mine.FOO, Events.STARTED)
    engine.fire_event(Mine.FOO)
    assert called == [1]


def test_registering_again_can_set_the_counter(engine: Engine) -> None:
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(every=2), lambda: called.append(engine.state.foos))
    engine.fire_event(Mine.FOO)
    engine.register_events(Mine.FOO, event_to_attr={Mine.FOO: "foos"})
    for engine.state.foos in range(1, 6):
        engine.fire_event(Mine.FOO)
    assert called == [2, 4]


def test_an_event_with_the_name_of_another_is_registered_with_a_warning(engine: Engine) -> None:
    with pytest.warns(UserWarning, match=r"^Namesake\.FOO has the same name as Mine\.FOO") as caught:
        engine.register_events(Namesake.FOO)
    assert [warning.filename for warning in caught] == [__file__]
    assert engine.has_registered_events(Namesake.FOO)


def test_a_string_with_the_name_of_a_phase_is_registered_with_a_warning() -> None:
    engine = Engine(echo)
    with pytest.warns(UserWarning, match=r"^'STARTED' has the same name as Events\.STARTED"):
        engine.register_events("STARTED")
    called: list[str] = []
    engine.add_event_handler("STARTED", called.append, "string")
    engine.run([1])
    assert called == []
    engine.fire_event("STARTED")
    assert called == ["string"]


@pytest.mark.parametrize("event", [1, None, [Mine.FOO], Mine.FOO | Mine.BAR])
def test_registering_another_object_than_an_event_raises_type_error(event: Any) -> None:
    engine = Engine(echo)
    message = f"Value at 1 of event_names should be a str or EventEnum, but given {event!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        engine.register_events(Mine.FOO, event)
    assert not engine.has_registered_events(Mine.FOO)


def test_registering_a_filtered_event_raises_type_error() -> None:
    with pytest.raises(
        TypeError, match=r"^Value at 0 of event_names .* Mine\.FOO\(filter=every=2\)\. .* without its filter"
    ):
        Engine(echo).register_events(Mine.FOO(every=2))


def test_registering_an_enum_class_raises_and_names_the_fix() -> None:
    with pytest.raises(TypeError, match=r"^Value at 0 of event_names .* <enum 'Mine'>\. .*register_events\(\*Mine\)"):
        Engine(echo).register_events(Mine)  # type: ignore[arg-type]


def test_event_to_attr_may_name_events_that_are_registered_before_or_elsewhere() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO)
    engine.register_events(Mine.BAR, event_to_attr={Mine.FOO: "foos", Mine.BAR: "bars", "ELSEWHERE": "others"})
    assert (engine.state.foos, engine.state.bars) == (0, 0)
    assert not hasattr(engine.state, "others")
    assert not engine.has_registered_events("ELSEWHERE")
    values: list[int] = []
    engine.add_event_handler(Mine.FOO(event_filter=lambda engine, value: values.append(value) or True), lambda: None)
    engine.state.foos = 7
    engine.fire_event(Mine.FOO)
    assert values == [7]


@pytest.mark.parametrize("mapping", [[(Mine.FOO, "foos")], "foos", 1])
def test_event_to_attr_must_be_a_mapping(mapping: Any) -> None:
    message = f"Expected event_to_attr to be dictionary. Got {type(mapping)}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Engine(echo).register_events(Mine.FOO, event_to_attr=mapping)


@pytest.mark.parametrize(
    "attach",
    [
        lambda engine, event: engine.add_event_handler(event, print),
        lambda engine, event: engine.on(event)(print),
        lambda engine, event: engine.add_event_handler(Events.STARTED | event, print),
        lambda engine, event: engine.remove_event_handler(print, event),
        lambda engine, event: engine.fire_event(event),
        lambda engine, event: engine.explain(event),
        lambda engine, event: engine.may(event),
    ],
)
def test_an_unregistered_event_raises_and_lists_the_registered_ones(attach: Any) -> None:
    engine = Engine(echo)
    with pytest.raises(ValueError, match=r"^Mine") as error:
        attach(engine, Mine.FOO)
    message = str(error.value)
    assert message.startswith("Mine.FOO is not a valid event for this Engine.")
    assert [event for event in Events if str(event) not in message] == []
    assert "engine.register_events(Mine.FOO)" in message
    assert not engine.has_event_handler(print)


def test_an_unregistered_string_raises() -> None:
    with pytest.raises(
        ValueError, match=r"^'EPOCH_STRATED' is not a valid event .*engine\.register_events\('EPOCH_STRATED'\)"
    ):
        Engine(echo).add_event_handler("EPOCH_STRATED", print)


def test_an_unregistered_string_with_the_name_of_a_phase_suggests_the_event() -> None:
    with pytest.raises(ValueError, match=r"Did you mean Events\.STARTED"):
        Engine(echo).add_event_handler("STARTED", print)


@pytest.mark.parametrize("event", [None, 1, [Events.STARTED], Events])
@pytest.mark.parametrize(
    "use",
    [
        lambda engine, event: engine.add_event_handler(event, print),
        lambda engine, event: engine.fire_event(event),
        lambda engine, event: engine.remove_event_handler(print, event),
    ],
)
def test_another_object_than_an_event_raises_type_error(use: Any, event: Any) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(repr(event))} is not an event\\. "):
        use(Engine(echo), event)
