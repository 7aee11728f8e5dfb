"""The arguments that handlers and the step receive, for every kind of callable."""

from __future__ import annotations

import functools
import inspect
import re
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


class Recorder:
    """Records the arguments of its calls, with the word "engine" for the engine."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def note(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append((*("engine" if isinstance(arg, Engine) else arg for arg in args), *sorted(kwargs.items())))


def called_with(handler: Any, recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    """Return the arguments with which `handler` called `recorder`: the same for `fire_event` and for a run."""
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
    """Return functions that pass their arguments on to `note`, by signature."""

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
def test_the_engine_is_passed_if_the_signature_has_a_parameter_for_it(
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
def test_a_handler_with_the_wrong_signature_raises_when_it_is_attached(
    signature: str, parameters: list[str], args: Any, kwargs: dict[str, Any], given_words: str
) -> None:
    handler = functions(print)[signature]
    engine = Engine(echo)
    message = (
        f"Error adding 'functions.<locals>.<lambda>' to Events.STARTED: takes parameters {parameters} but will be "
        f"called with (the engine, if it takes one{given_words}). "
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}.*add_event_handler"):
        engine.add_event_handler(Events.STARTED, handler, *args, **kwargs)
    assert not engine.has_event_handler(handler)


def test_a_missing_required_keyword_raises_when_the_handler_is_attached() -> None:
    def handler(engine: Any, *, key: Any) -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match=r"takes parameters \['engine', 'key'\] but will be called with"):
        Engine(echo).add_event_handler(Events.STARTED, handler)


def test_arguments_are_passed_without_copying(engine: Engine) -> None:
    calls: list[Any] = []
    mutable: list[int] = []
    engine.add_event_handler(Mine.FOO, lambda engine, a, b: calls.append((a, b)), mutable, b=mutable)
    mutable.append(1)
    engine.fire_event(Mine.FOO)
    assert calls == [([1], [1])]
    assert calls[0][0] is calls[0][1] is mutable


def test_arguments_of_fire_event_come_between_the_engine_and_the_arguments_of_the_handler(engine: Engine) -> None:
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


@settings(deadline=None)
@given(
    st.integers(0, 3),
    st.integers(0, 2),
    st.booleans(),
    st.integers(0, 3),
)
def test_handlers_receive_the_same_arguments_as_in_ignite(needed: int, optional: int, starred: bool, own: int) -> None:
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


# Kinds of callables


class Handler:
    """Handlers of several kinds: a method, a class method, a static method and a callable object."""

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
    """Wrap `function` with `functools.wraps`, which keeps its signature."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)

    return wrapper


def callables(recorder: Recorder) -> dict[str, tuple[Any, Any, Any]]:
    """Return callables by kind, each with its own arguments and the arguments that it records."""
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
        "class": (Recorder, (), None),
    }


@pytest.mark.parametrize("kind", callables(Recorder()))
def test_any_callable_can_be_a_handler(kind: str) -> None:
    recorder = Recorder()
    handler, args, expected = callables(recorder)[kind]
    if expected is None:
        engine = Engine(echo)
        engine.add_event_handler(Events.STARTED, handler)
        assert engine.run([1]).epoch == 1
    else:
        assert called_with(handler, recorder, *args) == expected


def test_a_builtin_with_a_signature_can_be_a_handler(engine: Engine) -> None:
    called: list[Any] = []
    engine.add_event_handler(Mine.FOO, called.append)
    engine.add_event_handler(Mine.FOO, called.append, 1)
    engine.add_event_handler(Mine.FOO, called.clear)
    engine.add_event_handler(Mine.FOO, called.append, 2)
    engine.fire_event(Mine.FOO)
    assert called == [2]


def test_a_builtin_without_a_signature_receives_the_engine(engine: Engine) -> None:
    with pytest.raises(ValueError, match="signature"):
        inspect.signature(max)
    compared: list[Any] = []

    def key(value: Any) -> int:
        compared.append(value)
        return 0

    engine.add_event_handler(Mine.FOO, max, "own", key=key)
    engine.fire_event(Mine.FOO)
    assert compared == [engine, "own"]


def test_a_torch_module_can_be_a_handler(engine: Engine) -> None:
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


def test_the_signature_attribute_of_a_handler_is_respected(engine: Engine) -> None:
    recorder = Recorder()

    def handler(*args: Any) -> None:
        recorder.note(*args)

    handler.__signature__ = inspect.Signature()  # type: ignore[attr-defined]
    engine.add_event_handler(Mine.FOO, handler)
    engine.fire_event(Mine.FOO)
    assert recorder.calls == [()]


def test_a_mock_with_a_spec_receives_the_engine() -> None:
    engine, handler = Engine(echo), mock.Mock(spec=echo)
    engine.add_event_handler(Events.STARTED, handler)
    engine.run([1])
    assert handler.call_args_list == [mock.call(engine)]


# Payloads


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
def test_handlers_of_exception_raised_receive_the_exception(handler: Any, args: Any, expected: Any) -> None:
    recorder = Recorder()
    engine = Engine(echo)
    engine.add_event_handler(Events.STARTED, fail)
    engine.add_event_handler(Events.EXCEPTION_RAISED, handler(recorder.note), *args)
    engine.run([1])
    error_as_text = [tuple(str(arg) if isinstance(arg, LookupError) else arg for arg in recorder.calls[0])]
    assert error_as_text == [expected]


@pytest.mark.parametrize("handler", [lambda: None, functools.partial(lambda: None)])
def test_a_handler_of_exception_raised_must_accept_the_exception(handler: Any) -> None:
    with pytest.raises(ValueError, match=r"Events\.EXCEPTION_RAISED") as error:
        Engine(echo).add_event_handler(Events.EXCEPTION_RAISED, handler)
    name = repr(getattr(handler, "__qualname__", handler))
    assert str(error.value).startswith(
        f"Error adding {name} to Events.EXCEPTION_RAISED: takes parameters [] but will be called with "
        f"(the engine, if it takes one, the event's error). "
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
def test_handlers_of_terminate_single_epoch_receive_iter_counter_if_they_accept_it(
    handler: Any, args: Any, kwargs: dict[str, Any], expected: Any
) -> None:
    recorder = Recorder()
    engine = Engine(echo)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.terminate_epoch())
    engine.add_event_handler(Events.TERMINATE_SINGLE_EPOCH, handler(recorder.note), *args, **kwargs)
    engine.run([1, 2, 3])
    assert recorder.calls == [expected]


def test_a_keyword_of_the_payload_cannot_be_passed_twice() -> None:
    def handler(engine: Engine, iter_counter: int) -> None:
        pytest.fail("the handler was refused")

    with pytest.raises(ValueError, match="iter_counter"):
        Engine(echo).add_event_handler(Events.TERMINATE_SINGLE_EPOCH, handler, iter_counter=1)


# The step


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda engine: None, "too many positional arguments"),
        (lambda engine, batch, more: None, "missing a required argument: 'more'"),
        (5, "5 is not a callable object"),
    ],
)
def test_a_step_must_accept_the_engine_and_a_batch(step: Any, why: str) -> None:
    message = (
        f"Error adding {step!r} as the process function: it takes other parameters, "
        f"but will be called with (engine, batch): {why}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Engine(step)


def test_an_engine_without_a_step_raises() -> None:
    with pytest.raises(ValueError, match=r"^Engine must be given a processing function .*: Engine\(step\)"):
        Engine(None)  # type: ignore[arg-type]


def test_a_step_can_be_a_builtin_without_a_signature() -> None:
    assert Engine(max)._process_function is max
