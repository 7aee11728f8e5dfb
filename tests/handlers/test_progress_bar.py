"""`ProgressBar`: the content of bars, how often they are drawn, and when they are closed."""

from __future__ import annotations

import contextlib
import gc
import io
import os
import pickle
import re
import struct
import sys
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
tqdm = pytest.importorskip("tqdm")

from fsm_engine import Engine, EventEnum, Events, Lifecycle  # noqa: E402
from fsm_engine.handlers.progress_bar import ProgressBar, engine_bar  # noqa: E402
from fsm_engine.handlers.progress_bar.backend import BarContent  # noqa: E402


class Clock:
    """Clock that advances by the next of `steps` at each call."""

    def __init__(self, *steps: float) -> None:
        self.now, self._steps = 0.0, steps or (0.1,)
        self.calls = 0

    def __call__(self) -> float:
        self.now += self._steps[self.calls % len(self._steps)]
        self.calls += 1
        return self.now


@pytest.fixture
def always_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    """Advance the clock so far at each call that every update draws the bar."""
    monkeypatch.setattr(engine_bar, "monotonic", Clock(1.0))


@pytest.fixture
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_bar, "monotonic", Clock(0.0))


def frames(text: str) -> list[str]:
    """Return the text of each draw, without the times and the bar itself."""
    timeless = re.sub(r" \[[\d:]+<[^\]\r\n]*\]?|\x1b\[A", "", text)
    drawn = re.split(r"[\r\n]", re.sub(r"\|[#\d ]*", "", timeless))
    return [frame.strip() for frame in drawn if frame.strip()]


def halved(engine: Any, batch: Any) -> Any:
    return batch * 0.5


def with_values(engine: Any) -> Any:
    engine.state.metrics = {"acc": 0.25, "f1": torch.tensor([0.5, 0.75])}
    engine.state.alpha = 3.8990001
    return engine


def draws(attach: dict[str, Any], epochs: int = 1, data: Any = (1, 2, 3), **arguments: Any) -> list[str]:
    """Return the frames of a run with a bar."""
    file, engine = io.StringIO(), with_values(Engine(halved))
    ProgressBar(file=file, ncols=120, **arguments).attach(engine, **attach)
    engine.run(data() if callable(data) else data, max_epochs=epochs)
    return frames(file.getvalue())


def ignite_draws(attach: dict[str, Any], epochs: int = 1, data: Any = (1, 2, 3), **arguments: Any) -> list[str]:
    """Return the frames of Ignite's bar in the same run."""
    from ignite.engine import Engine as IgniteEngine
    from ignite.engine import Events as IgniteEvents
    from ignite.handlers import ProgressBar as IgniteBar

    for name in attach.keys() & {"event_name", "closing_event_name"}:
        event = getattr(IgniteEvents, attach[name].name)
        attach = {**attach, name: event if attach[name].filter is None else event(every=2)}
    file, engine = io.StringIO(), with_values(IgniteEngine(halved))
    IgniteBar(file=file, ncols=120, mininterval=0, **arguments).attach(engine, **attach)
    engine.run(data() if callable(data) else data, max_epochs=epochs)
    return frames(file.getvalue())


@pytest.mark.usefixtures("always_draw")
def test_there_is_a_bar_for_each_epoch() -> None:
    assert draws({"output_transform": lambda output: output}, epochs=2) == [
        "Epoch [1/2]: [1/3]  33%, output=0.5",
        "Epoch [1/2]: [2/3]  67%, output=1",
        "Epoch [1/2]: [3/3] 100%, output=1.5",
        "Epoch [2/2]: [1/3]  33%, output=0.5",
        "Epoch [2/2]: [2/3]  67%, output=1",
        "Epoch [2/2]: [3/3] 100%, output=1.5",
    ]


def nested(output: Any) -> Any:
    return {"v": [1, {"w": output}], "s": "text", "n": 12345678}


CASES: list[dict[str, Any]] = [
    {"attach": {}},
    {"attach": {}, "epochs": 2},
    {"attach": {}, "epochs": 2, "persist": True},
    {"attach": {}, "epochs": 2, "desc": "Val"},
    {"attach": {}, "desc": "Val"},
    {"attach": {"metric_names": ["f1", "acc"]}},
    {"attach": {"metric_names": "all", "state_attributes": ["alpha"]}},
    {"attach": {"output_transform": nested}},
    {"attach": {"output_transform": nested}, "bar_format": "{desc}{n}{postfix}"},
    {"attach": {"output_transform": nested}, "bar_format": None},
    {"attach": {"output_transform": nested}, "data": lambda: iter([1, 2, 3])},
    {"attach": {"event_name": Events.ITERATION_STARTED}},
    {"attach": {"event_name": Events.ITERATION_COMPLETED(every=2)}, "epochs": 2, "data": range(1, 6)},
    {"attach": {"event_name": Events.EPOCH_COMPLETED, "closing_event_name": Events.COMPLETED}, "epochs": 3},
    {"attach": {"event_name": Events.EPOCH_STARTED, "closing_event_name": Events.COMPLETED}, "epochs": 3},
]


@pytest.mark.usefixtures("always_draw")
@pytest.mark.parametrize("case", CASES)
def test_every_frame_is_also_drawn_by_ignite(case: dict[str, Any]) -> None:
    pytest.importorskip("ignite")
    ours, theirs = draws(**case), ignite_draws(**case)
    assert ([frame for frame in ours if frame not in theirs], ours[-1]) == ([], theirs[-1])


@pytest.mark.usefixtures("always_draw")
@pytest.mark.parametrize(
    ("attached", "run", "last"),
    [
        ({}, {"max_iters": 5}, "Epoch [2/2]: [2/3]  67%"),
        ({"closing_event_name": Events.COMPLETED}, {"max_epochs": 2}, "Iteration: [6/6] 100%"),
        ({"closing_event_name": Events.COMPLETED}, {"max_iters": 4}, "Iteration: [4/4] 100%"),
    ],
    ids=str,
)
def test_a_bar_follows_other_limits_and_may_span_the_run(attached: Any, run: Any, last: str) -> None:
    file, engine = io.StringIO(), Engine(halved)
    ProgressBar(file=file, ncols=120).attach(engine, **attached)
    engine.run([1, 2, 3], **run)
    assert frames(file.getvalue())[-1] == last


class Own(EventEnum):
    COUNTED = "counted"
    UNCOUNTED = "uncounted"


@pytest.mark.usefixtures("always_draw")
def test_a_custom_counter_has_no_total() -> None:
    def step(engine: Engine, batch: Any) -> None:
        engine.state.seen += batch
        engine.fire_event(Own.COUNTED)

    file, engine = io.StringIO(), Engine(step)
    engine.register_events(*Own, event_to_attr={Own.COUNTED: "seen"})
    ProgressBar(file=file, ncols=120).attach(engine, event_name=Own.COUNTED)
    engine.run([10, 20], max_epochs=1)
    assert frames(file.getvalue()) == ["COUNTED: [10/?]   0%", "COUNTED: [30/?]   0%"]


@pytest.mark.usefixtures("always_draw")
def test_a_missing_metric_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"no metric 'gone'.*\['acc', 'f1'\]"):
        assert draws({"metric_names": ["gone", "acc"]}, data=[1]) == ["Iteration: [1/1] 100%, acc=0.25"]


WRONG: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"event_name": "abc"}, ValueError, "Logging event abc is not in allowed events"),
    ({"event_name": Own.UNCOUNTED}, ValueError, "Logging event Own.UNCOUNTED is not in allowed events"),
    ({"event_name": Events.TERMINATE}, ValueError, "Logging event Events.TERMINATE is not in allowed events"),
    (
        {"closing_event_name": Events.EXCEPTION_RAISED},
        ValueError,
        "Closing event Events.EXCEPTION_RAISED is not in allowed",
    ),
    ({"closing_event_name": Events.EPOCH_COMPLETED(every=2)}, ValueError, "should not be a filtered event"),
    (
        {"event_name": Events.COMPLETED},
        ValueError,
        "Logging event Events.COMPLETED should be called before closing event Events.EPOCH_COMPLETED",
    ),
    ({"event_name": Events.EPOCH_COMPLETED}, ValueError, "should be called before closing event"),
    ({"event_name": Events.STARTED | Events.COMPLETED}, TypeError, "is not an event"),
    ({"metric_names": "acc"}, TypeError, "metric_names should be"),
    ({"output_transform": 1}, TypeError, "output_transform should be a function"),
]


@pytest.mark.parametrize(("attached", "error", "message"), WRONG, ids=str)
def test_wrong_arguments_are_errors_and_nothing_is_attached(attached: Any, error: Any, message: str) -> None:
    engine = Engine(halved)
    engine.register_events(*Own)
    with pytest.raises(error, match=re.escape(message)):
        ProgressBar().attach(engine, **attached)
    assert not any(slot.handlers for slot in engine._entries.values())


def test_an_unknown_backend_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"backend='curses'.*'tqdm' or 'rich'"):
        ProgressBar(backend="curses")


@pytest.mark.parametrize(
    ("backend", "module", "message"),
    [
        ("tqdm", "tqdm.autonotebook", "This submodule requires tqdm to be installed"),
        ("rich", "rich.console", "ProgressBar(backend='rich') needs rich"),
    ],
)
def test_the_error_for_a_missing_backend_has_the_pip_command(
    backend: str, module: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ModuleNotFoundError, match=re.escape(message) + r'.*pip install "fsm-engine\[progress\]"'):
        ProgressBar(backend=backend)


class FakeBackend:
    """Backend and bar that record their calls and the times of the draws."""

    interval = 0.1

    def __init__(self, clock: Clock, persist: bool = False) -> None:
        self.clock, self.persist = clock, persist
        self.times: list[float] = []
        self.calls: list[str] = []

    def open(self, content: BarContent) -> FakeBackend:
        self.times.append(self.clock.now)
        self.calls.append(f"open {content.description} {content.n}/{content.total}")
        return self

    def update(self, content: BarContent) -> None:
        self.times.append(self.clock.now)

    def close(self, content: BarContent) -> None:
        self.calls.append(f"close {content.description} {content.n}/{content.total} {content.values}".strip())


def fake_bar(engine: Engine, clock: Clock, persist: bool = False, **attach: Any) -> FakeBackend:
    bar = ProgressBar()
    backend = FakeBackend(clock, persist)
    bar._backend = backend  # type: ignore[assignment]
    bar.attach(engine, **attach)
    return backend


@given(
    st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.03, 0.3]), min_size=1, max_size=9),
    st.integers(1, 30),
    st.integers(1, 30),
)
def test_a_bar_is_drawn_at_most_ten_times_a_second_and_reads_values_only_for_a_draw(
    steps: list[float], length: int, epochs: int
) -> None:
    clock, engine, reads = Clock(*steps), Engine(halved), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine_bar, "monotonic", clock)
        backend = fake_bar(engine, clock, output_transform=lambda output: reads.append(clock.now) or output)
        engine.run(range(length), max_epochs=epochs)
    times = backend.times
    crowded = [time for time in times if len([other for other in times if time <= other < time + 0.999]) > 10]
    assert (crowded, len(reads)) == ([], len(times))
    assert [call.split()[0] for call in backend.calls] == ["open", "close"] * (len(backend.calls) // 2)


def test_an_iteration_reads_the_clock_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, engine = Clock(0.0), Engine(halved)
    monkeypatch.setattr(engine_bar, "monotonic", clock)
    fake_bar(engine, clock)
    engine.run(range(50))
    assert clock.calls == 50 + 1  # the only draw reads it once more


@pytest.mark.usefixtures("stopped_clock")
def test_a_persistent_bar_shows_the_last_values_of_an_epoch_that_is_too_short_for_a_draw() -> None:
    clock, engine = Clock(0.0), Engine(halved)
    backend = fake_bar(engine, clock, persist=True, output_transform=lambda output: output)
    engine.run(range(3), max_epochs=20)
    closed = [call for call in backend.calls if call.startswith("close")]
    assert closed == [f"close Epoch [{epoch}/20] 3/3 {{'output': 1.0}}" for epoch in range(1, 21)]


@pytest.mark.usefixtures("stopped_clock")
@pytest.mark.parametrize("persist", [False, True])
def test_a_bar_of_a_whole_run_is_closed_once_with_the_last_values(persist: bool) -> None:
    clock, engine = Clock(0.0), Engine(halved)
    whole = {"closing_event_name": Events.COMPLETED, "output_transform": lambda output: output}
    backend = fake_bar(engine, clock, persist=persist, **whole)
    for _ in range(2):
        engine.run(range(3), max_epochs=2)
        engine.state.max_epochs = None
    shown = 1.0 if persist else 0.0  # without persist, the values of the last draw
    assert backend.calls == ["open Iteration 1/6", f"close Iteration 6/6 {{'output': {shown}}}"] * 2


@pytest.mark.parametrize("backend", ["tqdm", "rich"])
@pytest.mark.parametrize("terminated", [False, True])
@pytest.mark.parametrize("event", [Events.ITERATION_COMPLETED, Events.EPOCH_COMPLETED])
def test_a_whole_run_leaves_one_persistent_bar(backend: str, terminated: bool, event: Any) -> None:
    file, engine = io.StringIO(), Engine(terminating if terminated else halved)
    bar = ProgressBar(persist=True, backend=backend, file=file)
    bar.attach(engine, event_name=event, closing_event_name=Events.COMPLETED)
    engine.run(range(4), max_epochs=3)
    if event is Events.ITERATION_COMPLETED:
        name, n, total = "Iteration", 2 if terminated else 12, 12
    else:
        name, n, total = "Epoch", 1 if terminated else 3, 3
    left = [line.split("\r")[-1] for line in file.getvalue().split("\n") if line.strip()]
    assert len(left) == 1
    assert re.search(rf"^{name}.* ?\[?{n}/{total}", left[0])
    assert list(getattr(tqdm.tqdm, "_instances", ())) == []


def test_a_bar_of_a_whole_run_is_closed_once_however_the_run_ends() -> None:
    ends: list[tuple[Any, str]] = [
        (failing, "close Iteration 2/8 {}"),
        (interrupting, "close Iteration 2/8 {}"),
        (terminating, "close Iteration 2/8 {}"),
        (lambda engine, batch: engine.terminate(skip_completed=True), "close Iteration 1/8 {}"),
    ]
    for step, closed in ends:
        clock, engine = Clock(0.0), Engine(step)
        backend = fake_bar(engine, clock, closing_event_name=Events.COMPLETED)
        with contextlib.suppress(ArithmeticError):
            engine.run(range(4), max_epochs=2)
        assert backend.calls == ["open Iteration 1/8", closed]


@pytest.mark.parametrize("event", [Events.INTERRUPT, Events.EXCEPTION_RAISED])
@pytest.mark.parametrize("closing", [Events.EPOCH_COMPLETED, Events.COMPLETED])
def test_a_bar_is_closed_before_the_handlers_of_an_interrupt_or_exception(event: Any, closing: Any) -> None:
    clock, engine = Clock(0.0), Engine(interrupting if event is Events.INTERRUPT else failing)
    seen: list[str] = []
    engine.add_event_handler(event, lambda *_: seen.extend(backend.calls))
    backend = fake_bar(engine, clock, closing_event_name=closing)
    engine.run(range(4), max_epochs=1)
    assert seen == ["open Iteration 1/4", "close Iteration 2/4 {}"]


def failing(engine: Engine, batch: Any) -> None:
    if engine.state.iteration == 2:
        raise ArithmeticError("no")


def terminating(engine: Engine, batch: Any) -> None:
    if engine.state.iteration == 2:
        engine.terminate()


def interrupting(engine: Engine, batch: Any) -> None:
    if engine.state.iteration == 2:
        engine.interrupt()


def keyboard_interrupt(engine: Engine, batch: Any) -> None:
    if engine.state.iteration == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("step", "error"),
    [(failing, ArithmeticError), (keyboard_interrupt, KeyboardInterrupt), (terminating, None), (interrupting, None)],
)
@pytest.mark.parametrize("backend", ["tqdm", "rich"])
def test_a_bar_is_closed_however_its_run_ends(
    step: Callable[..., Any], error: type[BaseException] | None, backend: str
) -> None:
    file, engine = io.StringIO(), Engine(step)
    ProgressBar(persist=True, backend=backend, file=file).attach(engine)
    if error is None:
        engine.run(range(4), max_epochs=2)
    else:
        with pytest.raises(error):
            engine.run(range(4), max_epochs=2)
    last = file.getvalue().replace("\r", "\n").strip().splitlines()[-1]
    assert re.search(r"^Epoch \[1/2\].* ?\[?2/4", last)
    assert file.getvalue().endswith("\n")
    assert list(getattr(tqdm.tqdm, "_instances", ())) == []


def test_no_values_are_read_when_a_run_fails() -> None:
    def transform(output: Any) -> Any:
        assert output is not None
        return output

    engine = Engine(lambda engine, batch: 1 / (2 - engine.state.iteration))
    ProgressBar(persist=True, file=io.StringIO()).attach(engine, output_transform=transform)
    with pytest.raises(ZeroDivisionError):
        engine.run(range(4))


def test_a_resumed_run_opens_a_new_bar() -> None:
    clock, engine = Clock(0.0), Engine(interrupting)
    backend = fake_bar(engine, clock)
    engine.run(range(4))
    engine.run()
    assert backend.calls == [
        "open Iteration 1/4",
        "close Iteration 2/4 {}",
        "open Iteration 3/4",
        "close Iteration 4/4 {}",
    ]


def test_an_engine_with_a_custom_lifecycle_can_have_a_bar() -> None:
    lifecycle = Lifecycle("own")
    lifecycle.add_transition(Events.STARTED >> Events.COMPLETED)
    engine = Engine(lifecycle=lifecycle)
    clock = Clock(0.0)
    backend = fake_bar(engine, clock, event_name=Events.STARTED, closing_event_name=Events.COMPLETED)
    engine.run()
    assert backend.calls == ["open Epoch 0/None", "close Epoch 0/None {}"]


@pytest.mark.parametrize("backend", ["tqdm", "rich"])
def test_an_engine_with_a_bar_is_freed_without_the_garbage_collector(backend: str) -> None:
    gc.disable()
    try:
        engine = Engine(halved)
        ProgressBar(backend=backend, file=io.StringIO()).attach(engine, output_transform=nested)
        engine.run([1, 2])
        gone = weakref.ref(engine)
        del engine
        assert gone() is None
    finally:
        gc.enable()


def test_a_suspended_engine_with_a_bar_can_be_pickled() -> None:
    engine = Engine(interrupting)
    ProgressBar(disable=True).attach(engine)
    engine.run(range(4))
    again = pickle.loads(pickle.dumps(engine))
    again.run(range(4))
    assert again.state.iteration == 4


def test_log_message_prints_the_text_unchanged() -> None:
    for backend in ("tqdm", "rich"):
        file = io.StringIO()
        ProgressBar(backend=backend, file=file).log_message("[1/2] saved")
        assert file.getvalue() == "[1/2] saved\n"


pty = pytest.importorskip("pty")


def screen(text: str) -> list[str]:
    """Return the lines that a terminal shows after `text`."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[\d;?]*[A-Za-z]|[^\x1b]", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part.startswith("\x1b"):
            if part.endswith("A"):
                row -= int(part[2:-1] or 1)
            elif part == "\x1b[2K":
                lines[row] = ""
        else:
            lines[row] = f"{lines[row][:column]:<{column}}{part}{lines[row][column + 1 :]}"
            column += 1
    return [line.rstrip() for line in lines]


def on_a_terminal(run: Callable[[Any], Any]) -> list[str]:
    """Call `run` with the file of a terminal, and return the lines on its screen."""
    import fcntl
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with open(theirs, "w", buffering=1, encoding="utf-8") as file, open(ours, "rb", buffering=0) as reading:  # noqa: PTH123
        run(file)
        file.write("end\n")
        file.flush()
        text = b""
        while not text.endswith(b"end\r\n"):
            text += os.read(reading.fileno(), 65536)
    return screen(text.decode().replace("\r\n", "\n\r"))


@pytest.mark.usefixtures("always_draw")
@pytest.mark.parametrize("backend", ["tqdm", "rich"])
@pytest.mark.parametrize("persist", [False, True])
def test_bars_of_nested_runs_are_drawn_below_each_other(
    backend: str, persist: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")

    def run(file: Any) -> None:
        trainer, evaluator = Engine(halved), Engine(halved)
        bar = ProgressBar(persist=persist, backend=backend, file=file)
        bar.attach(trainer)
        ProgressBar(persist=persist, backend=backend, file=file, desc="Val").attach(evaluator)

        @trainer.on(Events.ITERATION_COMPLETED(every=2))
        def evaluate() -> None:
            evaluator.run(range(2))

        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: bar.log_message("done"))
        trainer.run(range(4), max_epochs=2)

    left = [line.split(":")[0].split(" \u2501")[0] for line in on_a_terminal(run)]
    epochs = [["Val", "Val", f"Epoch [{epoch}/2]", "done"] if persist else ["done"] for epoch in (1, 2)]
    assert left == [*epochs[0], *epochs[1], "end", ""]
