"""Registering events, attaching handlers, what handlers are called with, and detaching them."""

from __future__ import annotations

import copy
import functools
import gc
import inspect
import pickle
import re
import weakref
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.dispatch.handles import RemovableEventHandle
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events, EventsList
from fsm_engine.lifecycle.training import TRAINING

BUILT_IN = ", ".join(str(phase.event) for phase in TRAINING.phases[1:])


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


class Namesake(EventEnum):
    FOO = "other foo"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def note_foo(engine: Engine, what: str) -> None:
    engine.state.noted = [*getattr(engine.state, "noted", []), what]


@pytest.fixture
def engine() -> Engine:
    """An engine that knows Mine.FOO and Mine.BAR."""
    engine = Engine(echo)
    engine.register_events(*Mine)
    return engine


# Registering events


def test_the_events_of_the_lifecycle_are_registered_and_users_events_are_not() -> None:
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


def test_the_attribute_that_counts_can_be_named_later(engine: Engine) -> None:
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(every=2), lambda: called.append(engine.state.foos))
    engine.fire_event(Mine.FOO)
    engine.register_events(Mine.FOO, event_to_attr={Mine.FOO: "foos"})
    for engine.state.foos in range(1, 6):
        engine.fire_event(Mine.FOO)
    assert called == [2, 4]


def test_a_namesake_warns_and_is_registered(engine: Engine) -> None:
    message = (
        "Namesake.FOO has the name of Mine.FOO, but is another event: handlers of one are not called when the other "
        "is fired. Give it another name if that is not what you want."
    )
    with pytest.warns(UserWarning, match=f"^{re.escape(message)}$") as caught:
        engine.register_events(Namesake.FOO)
    assert [warning.filename for warning in caught] == [__file__]
    assert engine.has_registered_events(Namesake.FOO)


def test_a_string_that_names_an_event_of_the_lifecycle_warns() -> None:
    engine = Engine(echo)
    with pytest.warns(UserWarning, match=r"^'STARTED' has the name of Events\.STARTED, but is another event: "):
        engine.register_events("STARTED")
    called: list[str] = []
    engine.add_event_handler("STARTED", called.append, "string")
    engine.run([1])
    assert called == []
    engine.fire_event("STARTED")
    assert called == ["string"]


@pytest.mark.parametrize("event", [1, None, [Mine.FOO], Mine.FOO | Mine.BAR])
def test_something_that_is_no_event_cannot_be_registered(event: Any) -> None:
    engine = Engine(echo)
    message = f"Value at 1 of event_names should be a str or EventEnum, but given {event!r}"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        engine.register_events(Mine.FOO, event)
    assert not engine.has_registered_events(Mine.FOO)


def test_a_filtered_event_cannot_be_registered() -> None:
    message = (
        "Value at 0 of event_names should be a str or EventEnum, but given Mine.FOO(filter=every=2). "
        "Register the event itself, without its filter."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Engine(echo).register_events(Mine.FOO(every=2))


def test_registering_an_enum_in_place_of_its_members_says_how_to_register_them() -> None:
    message = (
        "Value at 0 of event_names should be a str or EventEnum, but given <enum 'Mine'>. "
        "Register its members: register_events(*Mine)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Engine(echo).register_events(Mine)  # type: ignore[arg-type]


@pytest.mark.parametrize("stranger", [Mine.BAR, "BAR", "FOO"])
def test_event_to_attr_names_only_events_that_are_registered_with_it(stranger: Any) -> None:
    engine = Engine(echo)
    message = f"event_to_attr names {stranger!r}, which is not among the events registered: [Mine.FOO]."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        engine.register_events(Mine.FOO, event_to_attr={stranger: "foos"})
    assert not engine.has_registered_events(Mine.FOO)


@pytest.mark.parametrize("mapping", [[(Mine.FOO, "foos")], "foos", 1])
def test_event_to_attr_has_to_be_a_mapping(mapping: Any) -> None:
    message = f"Expected event_to_attr to be dictionary. Got {type(mapping)}."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Engine(echo).register_events(Mine.FOO, event_to_attr=mapping)


# Attaching


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
def test_higher_priorities_first_and_ties_in_the_order_of_attachment(priorities: list[int], gone: list[int]) -> None:
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
def test_an_event_that_is_not_registered_is_an_error_that_says_which_are(attach: Any) -> None:
    engine = Engine(echo)
    with pytest.raises(ValueError, match=r"^Mine") as error:
        attach(engine, Mine.FOO)
    assert str(error.value) == (
        f"Mine.FOO is not a valid event for this Engine. It knows {BUILT_IN}. "
        f"Register others with engine.register_events(Mine.FOO)."
    )
    assert not engine.has_event_handler(print)


def test_a_string_that_is_not_registered_is_an_error() -> None:
    message = (
        f"'EPOCH_STRATED' is not a valid event for this Engine. It knows {BUILT_IN}. "
        f"Register others with engine.register_events('EPOCH_STRATED')."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Engine(echo).add_event_handler("EPOCH_STRATED", print)


@pytest.mark.parametrize("event", [None, 1, [Events.STARTED], Events])
@pytest.mark.parametrize(
    "use",
    [
        lambda engine, event: engine.add_event_handler(event, print),
        lambda engine, event: engine.fire_event(event),
        lambda engine, event: engine.remove_event_handler(print, event),
    ],
)
def test_something_that_is_no_event_is_an_error_everywhere(use: Any, event: Any) -> None:
    message = (
        f"{event!r} is not an event. Give a member of Events or of an EventEnum, filtered or not, an edge such as "
        f"A >> B, or a string that was registered as an event."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        use(Engine(echo), event)


@pytest.mark.parametrize("handler", [None, 1, "print", [print]])
def test_a_handler_has_to_be_callable(handler: Any) -> None:
    message = (
        f"a handler of Events.STARTED has to be callable, got {handler!r}. "
        f"If it has an attach method, call that: handler.attach(engine)."
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        Engine(echo).add_event_handler(Events.STARTED, handler)


def test_a_refused_handler_is_attached_to_none_of_several_events() -> None:
    engine = Engine(echo)

    def handler() -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match=r"to Events\.EXCEPTION_RAISED: takes parameters \[\] "):
        engine.add_event_handler(Events.STARTED | Events.EXCEPTION_RAISED, handler)
    assert not engine.has_event_handler(handler)
    engine.run([1])


def test_an_unknown_event_in_a_list_attaches_to_none_of_its_events() -> None:
    engine = Engine(echo)
    with pytest.raises(ValueError, match=r"^Mine\.FOO is not a valid event"):
        engine.add_event_handler(Events.STARTED | Mine.FOO, print)
    assert not engine.has_event_handler(print)


# As a decorator


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


# What a handler is called with


class Recorder:
    """Keeps what it was called with, the engine as the word."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def note(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((*("engine" if isinstance(arg, Engine) else arg for arg in args), *sorted(kwargs.items())))


def called_with(handler: Any, recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    """Return what the one call of `handler` gave its `recorder`, the same by hand and in a run."""
    for event in (Mine.FOO, Events.STARTED):
        engine = Engine(echo)
        engine.register_events(Mine.FOO)
        engine.add_event_handler(event, handler, *args, **kwargs)
        if event is Mine.FOO:
            engine.fire_event(event)
        else:
            engine.run([1])
    first, second = recorder.calls
    assert first == second
    return first


def functions(note: Any) -> dict[str, Any]:
    """Return functions by their signature, that hand everything on to `note`."""

    def keyword_only(*, key: Any = 1) -> None:
        note(key=key)

    def engine_and_keyword(engine: Any, *, key: Any = 1) -> None:
        note(engine, key=key)

    return {
        "()": lambda: note(),
        "(engine)": lambda engine: note(engine),
        "(engine=None)": lambda engine=None: note(engine),
        "(*args)": lambda *args: note(*args),
        "(**kwargs)": lambda **kwargs: note(**kwargs),
        "(*args, **kwargs)": lambda *args, **kwargs: note(*args, **kwargs),
        "(a)": lambda a: note(a),
        "(a, b)": lambda a, b: note(a, b),
        "(a, b=2)": lambda a, b=2: note(a, b),
        "(a, *rest)": lambda a, *rest: note(a, *rest),
        "(*, key=1)": keyword_only,
        "(engine, *, key=1)": engine_and_keyword,
    }


@pytest.mark.parametrize(
    ("signature", "args", "kwargs", "expected"),
    [
        ("()", (), {}, ()),
        ("(engine)", (), {}, ("engine",)),
        ("(engine=None)", (), {}, ("engine",)),
        ("(*args)", (), {}, ("engine",)),
        ("(**kwargs)", (), {}, ()),
        ("(*args, **kwargs)", (), {}, ("engine",)),
        ("(a, b=2)", (), {}, ("engine", 2)),
        ("(a, *rest)", (), {}, ("engine",)),
        ("(*, key=1)", (), {}, (("key", 1),)),
        ("(engine, *, key=1)", (), {}, ("engine", ("key", 1))),
        ("(a)", ("x",), {}, ("x",)),
        ("(a)", (), {"a": "x"}, ("x",)),
        ("(engine)", (), {"engine": "x"}, ("x",)),
        ("(*args)", ("x", "y"), {}, ("engine", "x", "y")),
        ("(**kwargs)", (), {"k": "x"}, (("k", "x"),)),
        ("(*args, **kwargs)", ("x",), {"k": "y"}, ("engine", "x", ("k", "y"))),
        ("(a, b)", ("x",), {}, ("engine", "x")),
        ("(a, b)", ("x", "y"), {}, ("x", "y")),
        ("(a, b)", (), {"b": "y"}, ("engine", "y")),
        ("(a, b)", (), {"a": "x", "b": "y"}, ("x", "y")),
        ("(a, b)", ("x",), {"b": "y"}, ("x", "y")),
        ("(a, b=2)", ("x",), {}, ("engine", "x")),
        ("(a, *rest)", ("x", "y"), {}, ("engine", "x", "y")),
        ("(*, key=1)", (), {"key": "x"}, (("key", "x"),)),
        ("(engine, *, key=1)", (), {"key": "x"}, ("engine", ("key", "x"))),
    ],
)
def test_the_engine_is_given_where_there_is_room_for_it(
    signature: str, args: Any, kwargs: dict[str, Any], expected: Any
) -> None:
    recorder = Recorder()
    assert called_with(functions(recorder.note)[signature], recorder, *args, **kwargs) == expected


@pytest.mark.parametrize(
    ("signature", "parameters", "args", "kwargs", "given_words"),
    [
        ("(a, b)", ["a", "b"], (), {}, ""),
        ("()", [], (1,), {}, ", 1"),
        ("(engine)", ["engine"], (1, "two"), {}, ", 1, 'two'"),
        ("(engine)", ["engine"], (), {"key": "x"}, ", key='x'"),
        ("(a, b)", ["a", "b"], ("x",), {"a": 1}, ", 'x', a=1"),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused_when_it_is_attached(
    signature: str, parameters: list[str], args: Any, kwargs: dict[str, Any], given_words: str
) -> None:
    handler = functions(print)[signature]
    engine = Engine(echo)
    message = (
        f"Error adding 'functions.<locals>.<lambda>' to Events.STARTED: takes parameters {parameters} but will be "
        f"called with (the engine, if it takes one{given_words}). "
        f"Give the missing ones to add_event_handler behind the handler."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        engine.add_event_handler(Events.STARTED, handler, *args, **kwargs)
    assert not engine.has_event_handler(handler)


def test_a_keyword_that_has_to_be_given_is_missed_when_the_handler_is_attached() -> None:
    def handler(engine: Any, *, key: Any) -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match=r"takes parameters \['engine', 'key'\] but will be called with"):
        Engine(echo).add_event_handler(Events.STARTED, handler)


def test_arguments_are_handed_on_as_they_are(engine: Engine) -> None:
    calls: list[Any] = []
    mutable: list[int] = []
    engine.add_event_handler(Mine.FOO, lambda engine, a, b: calls.append((a, b)), mutable, b=mutable)
    mutable.append(1)
    engine.fire_event(Mine.FOO)
    assert calls == [([1], [1])]
    assert calls[0][0] is calls[0][1] is mutable


def test_what_a_firing_by_hand_is_given_comes_between_the_engine_and_the_handlers_own(engine: Engine) -> None:
    recorder = Recorder()
    engine.add_event_handler(Mine.FOO, recorder.note, "own", mine=1)
    engine.add_event_handler(Mine.FOO(every=2), lambda *args, **kwargs: recorder.note("second", *args, **kwargs))
    engine.fire_event(Mine.FOO, "a", "b", theirs=2)
    engine.fire_event(Mine.FOO)
    engine.fire_event(Mine.FOO, theirs=3)
    assert recorder.calls == [
        ("engine", "a", "b", "own", ("mine", 1), ("theirs", 2)),
        ("engine", "own", ("mine", 1)),
        ("second", "engine"),
        ("engine", "own", ("mine", 1), ("theirs", 3)),
    ]


class Handler:
    """A handler as a method, a class method, a static method and an object."""

    def __init__(self, note: Any) -> None:
        self.note = note

    def method(self, engine: Any) -> None:
        self.note("method", engine)

    def method_without_engine(self) -> None:
        self.note("method")

    @classmethod
    def class_method(cls, engine: Any, note: Any) -> None:
        note(cls.__name__, engine)

    @staticmethod
    def static_method(note: Any) -> None:
        note("static")

    def __call__(self, engine: Any, *args: Any) -> None:
        self.note("object", engine, *args)


def double(function: Any) -> Any:
    """Wrap `function` so that it says what it takes, as `functools.wraps` does."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return wrapper


def callables(recorder: Recorder) -> dict[str, tuple[Any, Any, Any]]:
    """Return by kind: something callable, arguments of its own, and what it notes."""
    note, handler = recorder.note, Handler(recorder.note)
    autospecced = mock.create_autospec(lambda engine, a: None, side_effect=note)
    return {
        "bound method": (handler.method, (), ("method", "engine")),
        "bound method without engine": (handler.method_without_engine, (), ("method",)),
        "class method": (Handler.class_method, (note,), ("Handler", "engine")),
        "static method": (Handler.static_method, (note,), ("static",)),
        "object": (handler, (), ("object", "engine")),
        "object with arguments": (handler, (1, 2), ("object", "engine", 1, 2)),
        "lambda": (lambda engine: note("lambda", engine), (), ("lambda", "engine")),
        "partial": (functools.partial(note, "bound"), (), ("bound", "engine")),
        "partial without room": (functools.partial(lambda a: note(a), "bound"), (), ("bound",)),
        "partial with keyword": (functools.partial(lambda e, a: note(e, a), a=1), (), ("engine", 1)),
        "wrapped function": (double(lambda: note("wrapped")), (), ("wrapped",)),
        "wrapped function with engine": (double(lambda engine, a: note(engine, a)), (1,), ("engine", 1)),
        "wrapped twice": (double(double(lambda engine: note(engine))), (), ("engine",)),
        "mock": (mock.Mock(side_effect=note), (1,), ("engine", 1)),
        "magic mock": (mock.MagicMock(side_effect=note), (), ("engine",)),
        "autospecced function": (autospecced, (1,), ("engine", 1)),
        "class": (functools.partial(Handler, note=None).func, (), None),
    }


@pytest.mark.parametrize("kind", callables(Recorder()))
def test_anything_callable_is_a_handler(kind: str) -> None:
    recorder = Recorder()
    handler, args, expected = callables(recorder)[kind]
    if expected is None:
        engine = Engine(echo)
        engine.add_event_handler(Events.STARTED, handler)
        assert engine.run([1]).epoch == 1
    else:
        assert called_with(handler, recorder, *args) == expected


def test_a_builtin_function_that_tells_what_it_takes_is_a_handler(engine: Engine) -> None:
    called: list[Any] = []
    engine.add_event_handler(Mine.FOO, called.append)
    engine.add_event_handler(Mine.FOO, called.append, 1)
    engine.add_event_handler(Mine.FOO, called.clear)
    engine.add_event_handler(Mine.FOO, called.append, 2)
    engine.fire_event(Mine.FOO)
    assert called == [2]


def test_a_builtin_function_that_does_not_tell_is_given_the_engine(engine: Engine) -> None:
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(max)
    compared: list[Any] = []

    def key(value: Any) -> int:
        compared.append(value)
        return 0

    engine.add_event_handler(Mine.FOO, max, "own", key=key)
    engine.fire_event(Mine.FOO)
    assert compared == [engine, "own"]


def test_a_torch_module_is_a_handler(engine: Engine) -> None:
    torch = pytest.importorskip("torch")
    called: list[Any] = []

    class Module(torch.nn.Module):  # type: ignore[name-defined, misc]
        def forward(self, given: Engine, more: int = 0) -> None:
            called.append((given is engine, more))

    module = Module()
    engine.add_event_handler(Mine.FOO, module)
    engine.add_event_handler(Mine.FOO, module, 3)
    engine.fire_event(Mine.FOO)
    assert called == [(True, 0), (True, 3)]
    assert engine.has_event_handler(module)


def test_a_handler_with_a_signature_of_its_own_is_believed(engine: Engine) -> None:
    recorder = Recorder()

    def handler(*args: Any) -> None:
        recorder.note(*args)

    handler.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
    engine.add_event_handler(Mine.FOO, handler)
    engine.fire_event(Mine.FOO)
    assert recorder.calls == [()]


@settings(deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 3),
)
def test_the_rule_of_signatures_is_that_of_pytorch_ignite(needed: int, optional: int, starred: bool, own: int) -> None:
    ignite = pytest.importorskip("ignite.engine")
    names = [f"a{number}" for number in range(needed)] + [f"b{number}=None" for number in range(optional)]
    text = ", ".join([*names, *["*rest"] * starred])
    scope: dict[str, Any] = {}
    values = ", ".join([*(name.partition("=")[0] for name in names), *["*rest"] * starred])
    exec(f"def handler({text}): calls.append([{values}])", scope)
    results: list[Any] = []
    for library in (ignite, None):
        scope["calls"] = calls = []
        engine: Any = Engine(echo) if library is None else library.Engine(echo)
        started = Events.STARTED if library is None else library.Events.STARTED
        try:
            engine.add_event_handler(started, scope["handler"], *range(own))
        except ValueError:
            results.append("refused")
            continue
        engine.fire_event(started)
        results.append([["engine" if value is engine else value for value in call] for call in calls])
    assert results[0] == results[1]


# Events that hand something over


def fail(engine: Engine) -> None:
    raise LookupError("lost")


@pytest.mark.parametrize(
    ("handler", "args", "expected"),
    [
        (lambda note: lambda engine, error: note(engine, error), (), ("engine", "lost")),
        (lambda note: lambda error: note(error), (), ("lost",)),
        (lambda note: lambda *args: note(*args), (), ("engine", "lost")),
        (lambda note: lambda engine, error, own: note(engine, error, own), ("own",), ("engine", "lost", "own")),
        (lambda note: lambda error, own: note(error, own), ("own",), ("lost", "own")),
    ],
)
def test_handlers_of_exception_raised_are_given_the_exception(handler: Any, args: Any, expected: Any) -> None:
    recorder = Recorder()
    engine = Engine(echo)
    engine.add_event_handler(Events.STARTED, fail)
    engine.add_event_handler(Events.EXCEPTION_RAISED, handler(recorder.note), *args)
    engine.run([1])
    error_as_text = [tuple(str(arg) if isinstance(arg, LookupError) else arg for arg in recorder.calls[0])]
    assert error_as_text == [expected]


@pytest.mark.parametrize("handler", [lambda: None, functools.partial(lambda: None)])
def test_a_handler_of_exception_raised_has_to_take_the_exception(handler: Any) -> None:
    with pytest.raises(ValueError, match=r"Events\.EXCEPTION_RAISED") as error:
        Engine(echo).add_event_handler(Events.EXCEPTION_RAISED, handler)
    name = repr(getattr(handler, "__qualname__", handler))
    assert str(error.value) == (
        f"Error adding {name} to Events.EXCEPTION_RAISED: takes parameters [] but will be called with "
        f"(the engine, if it takes one, the event's error). "
        f"Give the missing ones to add_event_handler behind the handler."
    )


@pytest.mark.parametrize(
    ("handler", "args", "kwargs", "expected"),
    [
        (lambda note: lambda: note(), (), {}, ()),
        (lambda note: lambda engine: note(engine), (), {}, ("engine",)),
        (lambda note: lambda engine, iter_counter: note(engine, iter_counter), (), {}, ("engine", 2)),
        (lambda note: lambda iter_counter: note(iter_counter), (), {}, (2,)),
        (lambda note: lambda *, iter_counter: note(iter_counter), (), {}, (2,)),
        (lambda note: lambda **kwargs: note(**kwargs), (), {}, (("iter_counter", 2),)),
        (lambda note: note, (), {}, ("engine", ("iter_counter", 2))),
        (lambda note: note, ("own",), {"key": 1}, ("engine", "own", ("iter_counter", 2), ("key", 1))),
        (lambda note: lambda engine, own: note(engine, own), ("own",), {}, ("engine", "own")),
        (lambda note: lambda own: note(own), ("own",), {}, ("own",)),
        (lambda note: lambda e, own, iter_counter: note(e, own, iter_counter), ("own",), {}, ("engine", "own", 2)),
    ],
)
def test_handlers_of_terminate_single_epoch_are_given_iter_counter_if_they_take_it(
    handler: Any, args: Any, kwargs: dict[str, Any], expected: Any
) -> None:
    recorder = Recorder()
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.terminate_epoch())
    engine.add_event_handler(Events.TERMINATE_SINGLE_EPOCH, handler(recorder.note), *args, **kwargs)
    engine.run([1, 2, 3])
    assert recorder.calls == [expected]


def test_a_keyword_that_the_event_hands_over_cannot_be_given_twice() -> None:
    def handler(engine: Engine, iter_counter: int) -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match="iter_counter"):
        Engine(echo).add_event_handler(Events.TERMINATE_SINGLE_EPOCH, handler, iter_counter=1)


# Asking


def test_a_handler_is_found_by_equality_on_filtered_and_plain_events(engine: Engine) -> None:
    handler = Handler(print)
    engine.add_event_handler(Mine.FOO(every=3) | Events.STARTED(priority=2), handler.method)
    assert handler.method is not handler.method
    questions = [None, Mine.FOO, Mine.FOO(once=1), Events.STARTED, Events.STARTED(every=2), Mine.BAR, Events.COMPLETED]
    assert [engine.has_event_handler(handler.method, event) for event in questions] == [True] * 5 + [False] * 2
    assert not engine.has_event_handler(Handler(print).method)
    assert not engine.has_event_handler(handler)


class Elementwise:
    """Something like an array: comparing gives no truth value."""

    def __call__(self) -> None:
        pass

    def __eq__(self, other: object) -> Any:
        raise ValueError("the truth value is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_handlers_that_cannot_be_compared_are_told_apart_by_identity(engine: Engine) -> None:
    one, other = Elementwise(), Elementwise()
    engine.add_event_handler(Mine.FOO, one)
    assert engine.has_event_handler(one)
    assert not engine.has_event_handler(other)
    assert not engine.has_event_handler(print)


# Detaching


def test_removing_a_handler_takes_all_its_attachments_to_that_event_and_no_other(engine: Engine) -> None:
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


def test_removing_a_handler_that_is_not_attached_there_is_an_error(engine: Engine) -> None:
    engine.add_event_handler(Mine.BAR, print)
    engine.add_event_handler(Mine.FOO, echo, 1)
    message = (
        f"Input handler {print!r} is not found among the registered event handlers of Input event name "
        f"Mine.FOO: [{echo!r}]."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        engine.remove_event_handler(print, Mine.FOO)
    assert engine.has_event_handler(print, Mine.BAR)


def test_a_handle_takes_back_its_own_attachment_only(engine: Engine) -> None:
    called: list[int] = []

    def handler(number: int) -> None:
        called.append(number)

    handles = [engine.add_event_handler(Mine.FOO, handler, number) for number in range(3)]
    handles[1].remove()
    handles[1].remove()
    engine.fire_event(Mine.FOO)
    assert called == [0, 2]


def test_a_handle_of_several_events_takes_back_all_of_them(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO | Mine.BAR(every=2) | Mine.FOO, echo, 1)
    other = engine.add_event_handler(Events.STARTED, echo, 1)
    handle.remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, False, True]
    other.remove()
    assert not engine.has_event_handler(echo)


def test_a_handle_is_a_context_manager_that_can_be_left_again(engine: Engine) -> None:
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


def test_a_handle_made_by_hand_takes_back_all_attachments_of_the_handler_to_its_events(engine: Engine) -> None:
    for event in (Mine.FOO, Mine.FOO(every=2), Mine.BAR, Events.STARTED):
        engine.add_event_handler(event, echo, 1)
    RemovableEventHandle(Mine.FOO, echo, engine).remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, True, True]
    RemovableEventHandle(Mine.FOO | Mine.BAR, echo, engine).remove()
    assert [engine.has_event_handler(echo, event) for event in (*Mine, Events.STARTED)] == [False, False, True]


def test_a_handle_after_remove_event_handler_takes_back_nothing(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO, echo, 1)
    engine.remove_event_handler(echo, Mine.FOO)
    engine.add_event_handler(Mine.FOO, echo, 2)
    handle.remove()
    assert engine.has_event_handler(echo, Mine.FOO)


def test_a_handle_knows_its_event_handler_and_engine_weakly() -> None:
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
    engine, target = Engine(echo), Handler(print)
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


def test_a_handler_that_cannot_be_referred_to_weakly_can_be_taken_back(engine: Engine) -> None:
    handler = Slotted()
    handle = engine.add_event_handler(Mine.FOO, handler)
    engine.fire_event(Mine.FOO)
    assert handle.handler() is None
    handle.remove()
    engine.fire_event(Mine.FOO)
    assert handler.called == 1


def test_a_handler_attached_while_its_event_fires_waits_for_the_next_firing(engine: Engine) -> None:
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


def test_the_copy_of_an_engine_has_the_same_handlers_and_counts_on_its_own(engine: Engine) -> None:
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


def test_a_handle_of_an_engine_takes_nothing_back_from_its_copy(engine: Engine) -> None:
    handle = engine.add_event_handler(Mine.FOO, echo, 1)
    twin = copy.deepcopy(engine)
    handle.remove()
    assert (engine.has_event_handler(echo), twin.has_event_handler(echo)) == (False, True)


def test_a_pickled_engine_keeps_handlers_filters_and_counts(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO(every=2), note_foo, "second")
    engine.add_event_handler(Mine.FOO(once=3, priority=1), note_foo, "third")
    engine.fire_event(Mine.FOO)
    twin = pickle.loads(pickle.dumps(engine))
    for _ in range(3):
        twin.fire_event(Mine.FOO)
    assert twin.state.noted == ["second", "third", "second"]


# Firing by hand


def test_firing_an_event_without_handlers_does_nothing_but_name_it(engine: Engine) -> None:
    assert engine.last_event_name is None
    engine.fire_event(Mine.FOO)
    assert engine.last_event_name is Mine.FOO
    engine.fire_event(Mine.BAR(every=2))
    assert engine.last_event_name is Mine.BAR


def test_firing_a_filtered_event_fires_the_event(engine: Engine) -> None:
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(every=2), lambda: called.append(1))
    for _ in range(4):
        engine.fire_event(Mine.FOO(every=3))
    assert called == [1, 1]


def test_firing_an_event_of_the_lifecycle_by_hand_calls_its_handlers_and_moves_nothing(engine: Engine) -> None:
    called: list[str] = []
    for event in (Events.STARTED, Events.EPOCH_STARTED, Events.COMPLETED):
        engine.add_event_handler(event, called.append, event.name)
    engine.fire_event(Events.EPOCH_STARTED)
    assert (called, engine.phase.name, engine.state.epoch) == (["EPOCH_STARTED"], "IDLE", 0)
    engine.add_event_handler(Events.ITERATION_STARTED, lambda: engine.fire_event(Events.COMPLETED))
    engine.run([1])
    assert called[1:] == ["STARTED", "EPOCH_STARTED", "COMPLETED", "COMPLETED"]


def test_what_a_handler_raises_leaves_fire_event_and_the_rest_is_not_called(engine: Engine) -> None:
    called: list[str] = []
    engine.add_event_handler(Mine.FOO, called.append, "before")
    engine.add_event_handler(Mine.FOO, fail)
    engine.add_event_handler(Mine.FOO, called.append, "after")
    with pytest.raises(LookupError, match=r"^lost$"):
        engine.fire_event(Mine.FOO)
    assert called == ["before"]


def test_events_fired_in_a_step_come_between_its_iteration_events() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.fire_event(Mine.FOO)
        engine.fire_event(Mine.BAR)

    engine = Engine(step)
    engine.register_events(*Mine)
    called: list[Any] = []
    for event in (Events.ITERATION_COMPLETED, Mine.BAR, Mine.FOO, Events.ITERATION_STARTED):
        engine.add_event_handler(event, lambda engine: called.append(engine.last_event_name))
    engine.run([1])
    assert called == [Events.ITERATION_STARTED, Mine.FOO, Mine.BAR, Events.ITERATION_COMPLETED]


# Engines


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda engine: None, "too many positional arguments"),
        (lambda engine, batch, more: None, "missing a required argument: 'more'"),
        (5, "5 is not a callable object"),
    ],
)
def test_a_step_has_to_take_the_engine_and_a_batch(step: Any, why: str) -> None:
    message = (
        f"Error adding {step!r} as the process function: it takes other parameters, "
        f"but will be called with (engine, batch): {why}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Engine(step)


def test_an_engine_has_to_have_a_step() -> None:
    with pytest.raises(ValueError, match=r"^Engine must be given a processing function in order to run\.$"):
        Engine(None)  # type: ignore[arg-type]


def test_the_events_of_an_empty_list_are_none(engine: Engine) -> None:
    handle = engine.add_event_handler(EventsList(), echo, 1)
    assert not engine.has_event_handler(echo)
    handle.remove()


def test_a_subclass_may_attach_to_itself() -> None:
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


def test_a_string_that_is_the_name_of_an_event_is_told_so() -> None:
    with pytest.raises(ValueError, match=r"Or did you mean Events\.STARTED, which is no string\?$"):
        Engine(echo).add_event_handler("STARTED", print)


def test_a_mock_of_a_function_is_called_with_the_engine() -> None:
    engine, handler = Engine(echo), mock.Mock(spec=echo)
    engine.add_event_handler(Events.STARTED, handler)
    engine.run([1])
    assert handler.call_args_list == [mock.call(engine)]


def test_a_step_may_be_a_builtin_that_does_not_tell_what_it_takes() -> None:
    assert Engine(max)._process_function is max
