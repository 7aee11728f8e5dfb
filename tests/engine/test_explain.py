"""`Engine.explain`: which handlers an event calls, and how often a handler was called."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events

HERE = Path(__file__)


class Mine(EventEnum):
    FOO = "foo"


def line_of(text: str) -> str:
    """Return the file and number of the line of this file that begins with `text`."""
    lines = HERE.read_text(encoding="utf-8").splitlines()
    (number,) = (number for number, line in enumerate(lines, 1) if line.lstrip().startswith(text))
    return f"{HERE}:{number}"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def log_loss(*args: Any) -> None:
    pass


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any) -> Any:
        return function(*args)

    return wrapper


@decorated
def checkpoint(*args: Any) -> None:
    pass


class Saver:
    def __call__(self, engine: Engine) -> None:
        pass

    def save(self, engine: Engine) -> None:
        pass


silent = lambda engine: None  # noqa: E731
LOG_LOSS = line_of("def log_loss")


@pytest.fixture
def engine() -> Engine:
    engine = Engine(echo)
    engine.register_events(Mine.FOO, "happened")
    return engine


def explained(engine: Engine, what: Any) -> str:
    return str(engine.explain(what))


# Events


def test_an_event_lists_its_handlers_in_the_order_of_the_calls(engine: Engine) -> None:
    engine.add_event_handler(Events.EPOCH_COMPLETED, log_loss)
    engine.add_event_handler(Events.EPOCH_COMPLETED(every=2, priority=-1), checkpoint)
    engine.add_event_handler(Events.EPOCH_COMPLETED(priority=10), Saver())
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=[1, 3]), Saver().save)
    assert explained(engine, Events.EPOCH_COMPLETED) == "\n".join(
        [
            "Events.EPOCH_COMPLETED calls, in this order:",
            f"  1. Saver (priority=10)  {line_of('class Saver')}",
            f"  2. log_loss  {LOG_LOSS}",
            f"  3. Saver.save (once=[1, 3])  {line_of('def save')}",
            f"  4. checkpoint (every=2, priority=-1)  {line_of('@decorated')}",
        ]
    )


@pytest.mark.parametrize("event", [Events.STARTED, Mine.FOO, "happened"])
def test_an_event_without_handlers_says_so(engine: Engine, event: Any) -> None:
    assert explained(engine, event) == f"{event} calls nothing: no handler is attached."


def test_a_filtered_event_is_explained_as_the_event(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO, log_loss)
    expected = f"Mine.FOO calls, in this order:\n  1. log_loss  {LOG_LOSS}"
    assert explained(engine, Mine.FOO) == explained(engine, Mine.FOO(every=3, priority=2)) == expected


def test_a_string_is_an_event(engine: Engine) -> None:
    engine.add_event_handler("happened", log_loss)
    assert explained(engine, "happened") == f"happened calls, in this order:\n  1. log_loss  {LOG_LOSS}"


def test_an_event_that_is_not_registered_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^Mine\.FOO is not a valid event for this Engine\. "):
        Engine(echo).explain(Mine.FOO)


def test_several_events_are_an_error(engine: Engine) -> None:
    with pytest.raises(TypeError, match=r"one event.*Events\.STARTED \| Events\.COMPLETED"):
        engine.explain(Events.STARTED | Events.COMPLETED)  # type: ignore[arg-type]


scope: dict[str, Any] = {}
exec(compile("def made(engine): pass", "<made>", "exec"), scope)


def names_and_places() -> dict[str, tuple[Any, str]]:
    """Return for each kind a handler and the line that shows it."""
    saver = Saver()
    return {
        "partial": (functools.partial(log_loss, 1), f"log_loss  {LOG_LOSS}"),
        "partial of a method": (functools.partial(saver.save), f"Saver.save  {line_of('def save')}"),
        "partial of an object": (functools.partial(saver), f"Saver  {line_of('class Saver')}"),
        "lambda": (silent, f"<lambda>  {line_of('silent = lambda')}"),
        "built in": ([].append, "list.append  (built in)"),
        "without a source": (scope["made"], "made  <made>:1"),
        "mock": (mock.Mock(), "Mock  "),
    }


@pytest.mark.parametrize("kind", ["partial", "partial of a method", "partial of an object", "lambda", "built in"])
def test_a_handler_is_shown_with_its_name_and_the_place_of_its_definition(engine: Engine, kind: str) -> None:
    handler, expected = names_and_places()[kind]
    engine.add_event_handler(Mine.FOO, handler)
    assert explained(engine, Mine.FOO) == f"Mine.FOO calls, in this order:\n  1. {expected}"


@pytest.mark.parametrize("kind", ["without a source", "mock"])
def test_any_handler_can_be_shown(engine: Engine, kind: str) -> None:
    handler, expected = names_and_places()[kind]
    engine.add_event_handler(Mine.FOO, handler)
    assert explained(engine, Mine.FOO).startswith(f"Mine.FOO calls, in this order:\n  1. {expected}")


def test_a_handler_is_shown_with_its_line_after_its_file_has_changed(engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "program.py"
    scope: dict[str, Any] = {}
    source = "\n\ndef made(engine): pass\n\nclass Saver:\n    def __call__(self, engine): pass\n"
    exec(compile(source, str(file), "exec"), scope)
    file.write_text("total = (\n" * 4)
    engine.add_event_handler(Mine.FOO, scope["made"])
    engine.add_event_handler(Mine.FOO, scope["Saver"]())
    first, second = explained(engine, Mine.FOO).splitlines()[1:]
    assert first == f"  1. made  {file}:3"
    assert second.startswith("  2. Saver  ")


class Throttled:
    """A handler that stores another one in an attribute `func`, as `functools.partial` does."""

    def __init__(self, func: Any) -> None:
        self.func = func

    def __call__(self, engine: Engine) -> None:
        self.func(engine)


def test_an_object_that_wraps_a_function_is_shown_as_itself(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO, Throttled(log_loss))
    assert explained(engine, Mine.FOO) == (
        f"Mine.FOO calls, in this order:\n  1. Throttled  {line_of('class Throttled')}"
    )


# Handlers


def test_the_report_of_an_unattached_handler_says_how_to_attach_it(engine: Engine) -> None:
    assert explained(engine, log_loss) == (
        "log_loss is not attached to any event of this engine, so it is never called. "
        "Attach it: engine.add_event_handler(event, handler)."
    )


def test_a_handler_reports_each_of_its_attachments(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO(once=2), log_loss)
    engine.add_event_handler(Events.EPOCH_COMPLETED(every=2, priority=3), log_loss)
    engine.add_event_handler(Events.ITERATION_COMPLETED, log_loss)
    engine.add_event_handler(Events.ITERATION_COMPLETED(after=9), log_loss)
    engine.add_event_handler(Events.TERMINATE(once=2), log_loss)
    engine.run([1, 2], max_epochs=3)
    for _ in range(3):
        engine.fire_event(Mine.FOO)
    report = explained(engine, log_loss).splitlines()
    assert report[0] == f"log_loss  {LOG_LOSS}"
    assert set("\n".join(report[1:]).split("\n  on ")) == {
        "  on Events.ITERATION_COMPLETED: fired 6, called 6",
        "Events.ITERATION_COMPLETED (after=9): fired 6, called 0\n"
        "    the last value of its iteration was 6\n"
        "    not called, because no value passed the filter after=9",
        "Events.EPOCH_COMPLETED (every=2, priority=3): fired 3, called 1\n    the last value of its epoch was 3",
        "Events.TERMINATE (once=2): fired 0, called 0\n"
        "    not called, because Events.TERMINATE has not fired since it was attached",
        "Mine.FOO (once=2): fired 3, called 1\n    the last value of its number of firings was 3",
    }


def test_a_handler_reports_that_its_event_has_not_fired(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO, log_loss)
    assert explained(engine, log_loss) == (
        f"log_loss  {LOG_LOSS}\n"
        f"  on Mine.FOO: fired 0, called 0\n"
        f"    not called, because Mine.FOO has not fired since it was attached"
    )


def test_firings_before_the_handler_was_attached_do_not_count(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO, echo, 1)
    for _ in range(3):
        engine.fire_event(Mine.FOO)
    engine.add_event_handler(Mine.FOO(every=2), log_loss)
    engine.fire_event(Mine.FOO)
    assert explained(engine, log_loss) == (
        f"log_loss  {LOG_LOSS}\n"
        f"  on Mine.FOO (every=2): fired 1, called 1\n"
        f"    the last value of its number of firings was 4"
    )


def test_a_handler_attached_while_its_event_fires_has_not_missed_that_firing(engine: Engine) -> None:
    engine.add_event_handler(Events.STARTED, lambda: engine.add_event_handler(Events.STARTED, log_loss))
    engine.run([1])
    assert explained(engine, log_loss) == (
        f"log_loss  {LOG_LOSS}\n"
        f"  on Events.STARTED: fired 0, called 0\n"
        f"    not called, because Events.STARTED has not fired since it was attached"
    )


def test_a_new_run_counts_from_zero_and_a_resumed_run_continues(engine: Engine) -> None:
    engine.add_event_handler(Events.ITERATION_COMPLETED, log_loss)
    engine.run([1, 2])
    engine.run([1, 2])
    assert explained(engine, log_loss).endswith("on Events.ITERATION_COMPLETED: fired 2, called 2")
    with engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: engine.interrupt()):
        engine.state.max_epochs = None
        engine.run([1, 2, 3])
    assert explained(engine, log_loss).endswith("on Events.ITERATION_COMPLETED: fired 2, called 2")
    engine.run()
    assert explained(engine, log_loss).endswith("on Events.ITERATION_COMPLETED: fired 3, called 3")


def test_the_last_value_is_the_last_argument_of_the_filter(engine: Engine) -> None:
    engine.add_event_handler(Events.GET_BATCH_STARTED(once=3), log_loss)
    engine.run([1, 2, 3])
    assert explained(engine, log_loss) == (
        f"log_loss  {LOG_LOSS}\n"
        f"  on Events.GET_BATCH_STARTED (once=3): fired 3, called 0\n"
        f"    the last value of its iteration was 2\n"
        f"    not called, because no value passed the filter once=3"
    )


def test_the_report_names_the_attribute_that_counts_a_users_event() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO, event_to_attr={Mine.FOO: "foos"})
    engine.add_event_handler(Mine.FOO(every=5), log_loss)
    engine.state.foos = 7
    engine.fire_event(Mine.FOO)
    assert explained(engine, log_loss) == (
        f"log_loss  {LOG_LOSS}\n"
        f"  on Mine.FOO (every=5): fired 1, called 0\n"
        f"    the last value of its foos was 7\n"
        f"    not called, because no value passed the filter every=5"
    )


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_the_report_agrees_with_the_run(every: int, iterations: int, epochs: int) -> None:
    engine = Engine(echo)
    called: list[int] = []

    def handler() -> None:
        called.append(engine.state.iteration)

    engine.add_event_handler(Events.ITERATION_STARTED(every=every), handler)
    engine.run(range(iterations), max_epochs=epochs)
    assert f"fired {iterations * epochs}, called {len(called)}\n" in explained(engine, handler) + "\n"
    assert ("not called" in explained(engine, handler)) == (not called)


def test_a_removed_handler_is_not_attached(engine: Engine) -> None:
    engine.add_event_handler(Mine.FOO, log_loss).remove()
    assert explained(engine, log_loss).startswith("log_loss is not attached to any event of this engine")


def test_a_value_that_is_neither_event_nor_handler_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"an event or a handler, got 5\."):
        Engine(lambda engine, batch: None).explain(5)  # type: ignore[arg-type]
