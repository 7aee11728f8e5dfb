"""Events: names, filtered copies, lists, and enums of users' events."""

from __future__ import annotations

import copy
import enum
import pickle
import re
from typing import Any

import pytest

from fsm_engine.events.events import CallableEventWithFilter, EventEnum, Events, EventsList, name_of, without_filter
from fsm_engine.events.filters import Filter

NAMES = [
    "STARTED",
    "EPOCH_STARTED",
    "GET_BATCH_STARTED",
    "GET_BATCH_COMPLETED",
    "ITERATION_STARTED",
    "ITERATION_COMPLETED",
    "EPOCH_COMPLETED",
    "COMPLETED",
    "DATALOADER_STOP_ITERATION",
    "EXCEPTION_RAISED",
    "TERMINATE",
    "TERMINATE_SINGLE_EPOCH",
    "INTERRUPT",
]
OWN = ["RESUMED"]


class Backprop(EventEnum):
    BACKWARD_STARTED = "backward_started"
    BACKWARD_COMPLETED = "backward_completed"

    @property
    def opposite(self) -> Backprop:
        return Backprop.BACKWARD_COMPLETED if self is Backprop.BACKWARD_STARTED else Backprop.BACKWARD_STARTED


class Namesake(EventEnum):
    STARTED = "started"


# Members


def test_events_are_the_events_of_pytorch_ignite_and_resumed() -> None:
    assert [(event.name, event.value) for event in Events] == [(name, name.lower()) for name in NAMES + OWN]


def test_names_and_values_match_the_installed_pytorch_ignite() -> None:
    ignite = pytest.importorskip("ignite.engine")
    ours = {event.name: event.value for event in Events if event.name not in OWN}
    assert ours == {event.name: event.value for event in ignite.Events}


def test_an_event_is_an_enum_member_and_callable_without_filter_or_priority() -> None:
    event = Events.STARTED
    assert isinstance(event, enum.Enum)
    assert isinstance(event, EventEnum)
    assert isinstance(event, CallableEventWithFilter)
    assert (event.filter, event.priority, event.event) == (None, 0, event)
    assert Events("started") is Events["STARTED"] is event


def test_an_event_is_shown_with_the_name_of_its_enum() -> None:
    events = (Events.STARTED, Backprop.BACKWARD_STARTED)
    assert [str(event) for event in events] == [repr(event) for event in events]
    assert [str(event) for event in events] == ["Events.STARTED", "Backprop.BACKWARD_STARTED"]
    assert f"{Events.STARTED}" == "Events.STARTED"


def test_an_event_enum_can_have_methods_and_other_values() -> None:
    class Numbered(EventEnum):
        FIRST = 1
        SECOND = ("two", 2)

    assert Backprop.BACKWARD_STARTED.opposite is Backprop.BACKWARD_COMPLETED
    assert [(event.name, event.value) for event in Numbered] == [("FIRST", 1), ("SECOND", ("two", 2))]
    assert Numbered.SECOND(every=2).value == ("two", 2)


def test_two_members_with_the_same_value_raise_in_the_class_statement() -> None:
    with pytest.raises(ValueError, match="LATER") as error:

        class Twice(EventEnum):
            FIRST = "same"
            LATER = "same"

    for fragment in ("Twice.LATER", "Twice.FIRST", "'same'", "Give LATER another value"):
        assert fragment in str(error.value)


def test_members_of_a_plain_enum_are_not_events() -> None:
    class Plain(enum.Enum):
        FOO = "foo"

    with pytest.raises(TypeError, match=r"object is not callable$"):
        Plain.FOO(every=2)  # type: ignore[operator]


@pytest.mark.parametrize("event", [Events.STARTED, Backprop.BACKWARD_STARTED])
def test_copies_and_pickles_of_an_event_are_the_event_itself(event: EventEnum) -> None:
    assert copy.copy(event) is copy.deepcopy(event) is pickle.loads(pickle.dumps(event)) is event


def test_a_filtered_event_can_be_copied_and_pickled() -> None:
    event = Events.STARTED(every=3, priority=2)
    for copied in (copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert (copied.event, copied.filter, copied.priority) == (Events.STARTED, Filter(every=3), 2)


# Equality


def test_equality_ignores_filter_and_priority() -> None:
    same = [Events.STARTED, Events.STARTED(every=2), Events.STARTED(once=[3]), Events.STARTED(priority=4)]
    assert all(one == other for one in same for other in same)
    assert len(set(same)) == 1
    assert {Events.STARTED: "found"}[Events.STARTED(every=2)] == "found"


@pytest.mark.parametrize("event", [Events.STARTED, Events.STARTED(every=2)])
@pytest.mark.parametrize("other", [Events.COMPLETED, Events.COMPLETED(every=2), 1, "abc", "started", None, Events])
def test_events_differ_from_other_events_and_everything_else(event: Any, other: Any) -> None:
    assert event != other
    assert not event == other  # noqa: SIM201


@pytest.mark.parametrize("event", [Events.STARTED, Events.STARTED(every=2)])
def test_a_string_is_equal_to_an_event_of_that_name(event: Any) -> None:
    assert event == "STARTED"
    assert "STARTED" == event  # noqa: SIM300


def test_members_of_two_enums_with_the_same_name_differ() -> None:
    assert Namesake.STARTED != Events.STARTED
    assert Namesake.STARTED(every=2) != Events.STARTED(every=2)
    assert len({Namesake.STARTED, Events.STARTED}) == 2


# Filtered copies


def test_filtering_returns_a_copy_and_does_not_change_the_event() -> None:
    filtered = Events.ITERATION_STARTED(every=3)
    assert isinstance(filtered, CallableEventWithFilter)
    assert not isinstance(filtered, Events)
    assert (filtered.event, filtered.name, filtered.value) == (
        Events.ITERATION_STARTED,
        "ITERATION_STARTED",
        "iteration_started",
    )
    assert (filtered.filter, Events.ITERATION_STARTED.filter) == (Filter(every=3), None)


def test_every_1_is_an_unfiltered_event() -> None:
    assert Events.STARTED(every=1).filter is None
    assert str(Events.STARTED(every=1)) == "Events.STARTED"


def test_a_priority_can_be_given_with_or_without_a_filter() -> None:
    events = [Events.STARTED(priority=3), Events.STARTED(every=2, priority=-1), Events.STARTED(priority=0)]
    assert [(event.filter, event.priority) for event in events] == [(None, 3), (Filter(every=2), -1), (None, 0)]


def test_once_can_be_combined_with_a_priority() -> None:
    event = Events.STARTED(once=2, priority=1)
    assert (event.filter, event.priority) == (Filter(once=(2,)), 1)


def test_a_filtered_event_can_be_given_a_priority_or_another_filter() -> None:
    every = Events.STARTED(every=2)
    ranked = every(priority=5)
    again = ranked(once=1)
    assert [(event.filter, event.priority) for event in (every, ranked, again)] == [
        (Filter(every=2), 0),
        (Filter(every=2), 5),
        (Filter(once=(1,)), 5),
    ]


def test_every_1_removes_the_filter_of_a_filtered_event() -> None:
    assert Events.STARTED(every=5)(every=1).filter is None


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Events.STARTED(every=5), "Events.STARTED(filter=every=5)"),
        (Events.STARTED(once=[1, 2]), "Events.STARTED(filter=once=[1, 2])"),
        (Events.STARTED(priority=-3), "Events.STARTED(priority=-3)"),
        (Events.STARTED(after=1, before=5, priority=3), "Events.STARTED(filter=before=5, after=1, priority=3)"),
        (Backprop.BACKWARD_STARTED(every=2), "Backprop.BACKWARD_STARTED(filter=every=2)"),
    ],
)
def test_a_filtered_event_is_shown_with_filter_and_priority(event: CallableEventWithFilter, text: str) -> None:
    assert (str(event), repr(event)) == (text, text)


@pytest.mark.parametrize(("event", "name"), [(Events.STARTED, "Events.STARTED"), (Backprop.BACKWARD_STARTED, "Backp")])
def test_calling_an_event_without_arguments_is_an_error(event: EventEnum, name: str) -> None:
    with pytest.raises(ValueError, match=f"; {re.escape(name)}") as error:
        event()
    assert str(error.value) == (
        f"Only one of the input arguments should be specified, except before, after and every; {event}() got none. "
        f"Give every=, once=, before=, after=, event_filter= or priority=, or use {event} itself."
    )


@pytest.mark.parametrize("priority", [1.5, "high", [1]])
def test_a_priority_has_to_be_an_integer(priority: Any) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(f'Argument priority should be an integer, got {priority!r}')}$"):
        Events.STARTED(priority=priority)


# Lists


def names(events: EventsList) -> list[str]:
    return [str(event) for event in events]


def test_events_are_joined_in_order_and_with_duplicates() -> None:
    joined = Events.STARTED | Events.COMPLETED(every=2) | Backprop.BACKWARD_STARTED | Events.STARTED
    assert isinstance(joined, EventsList)
    assert names(joined) == [
        "Events.STARTED",
        "Events.COMPLETED(filter=every=2)",
        "Backprop.BACKWARD_STARTED",
        "Events.STARTED",
    ]
    assert (len(joined), joined[0], str(joined[-3])) == (4, Events.STARTED, "Events.COMPLETED(filter=every=2)")
    assert repr(joined) == " | ".join(names(joined))


def test_lists_can_be_joined_with_events_and_with_lists() -> None:
    first, second = Events.STARTED | Events.COMPLETED, Events.TERMINATE | Events.INTERRUPT
    assert names(first | second) == names(first) + names(second)
    assert names(Events.EPOCH_STARTED(once=1) | second) == ["Events.EPOCH_STARTED(filter=once=1)", *names(second)]


def test_joining_does_not_change_the_operands() -> None:
    first, second = Events.STARTED | Events.COMPLETED, Events.TERMINATE | Events.INTERRUPT
    first | second | Events.EPOCH_STARTED  # type: ignore[unused-ignore]
    assert (len(first), len(second)) == (2, 2)


def test_a_list_can_be_empty_and_extended() -> None:
    assert names(EventsList()) == []
    assert names(EventsList() | Events.STARTED) == names(EventsList(Events.STARTED)) == ["Events.STARTED"]


def test_a_list_keeps_filter_and_priority() -> None:
    joined = Events.STARTED(every=2) | Events.COMPLETED(priority=3)
    assert [(event.filter, event.priority) for event in joined] == [(Filter(every=2), 0), (None, 3)]


@pytest.mark.parametrize("other", ["STARTED", 1, None, Events, lambda: None])
@pytest.mark.parametrize("left", [Events.STARTED, Events.STARTED(every=2), Events.STARTED | Events.COMPLETED])
def test_only_events_can_be_joined(left: Any, other: Any) -> None:
    message = f"Argument event should be Events or CallableEventWithFilter, got {other!r}. Only events can be joined"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        left | other


def test_a_string_on_the_left_raises_too() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        "STARTED" | Events.COMPLETED  # type: ignore[operator]


# Without filter and priority


@pytest.mark.parametrize(
    ("event", "itself", "name"),
    [
        (Events.STARTED, Events.STARTED, "STARTED"),
        (Events.STARTED(every=2, priority=1), Events.STARTED, "STARTED"),
        (Backprop.BACKWARD_STARTED(once=1), Backprop.BACKWARD_STARTED, "BACKWARD_STARTED"),
        ("custom", "custom", "custom"),
    ],
)
def test_an_event_without_filter_and_its_name(event: Any, itself: Any, name: str) -> None:
    assert without_filter(event) is itself
    assert name_of(without_filter(event)) == name
