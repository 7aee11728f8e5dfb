"""Outputs in notebooks and consoles: rich ones by IPython's own formatters, short ones by `repr`."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

pytest.importorskip("IPython")

from IPython.core.formatters import DisplayFormatter

from fsm_engine import Engine, EventEnum, Events, Lifecycle
from fsm_engine._util.short_values import describe_value
from fsm_engine.render.timeline import notebook
from fsm_engine.runtime.state import State
from fsm_engine.timeline import Timeline

EVIL = "<img src=x onerror=alert(1)>"


class Evil(EventEnum):
    EVENT = EVIL


def step(_engine: Engine, batch: Any) -> Any:
    return batch


@pytest.fixture
def engine() -> Engine:
    engine = Engine(step)
    engine.add_event_handler(Events.EPOCH_COMPLETED(every=2), lambda engine: None)
    return engine


def recorded(engine: Engine) -> Timeline:
    with engine.record() as timeline:
        engine.run([1, 2], max_epochs=2)
    return timeline


def shown(value: Any) -> dict[str, str]:
    """Return the output of a notebook for the value of a cell."""
    data, _ = DisplayFormatter().format(value)
    return data  # type: ignore[no-any-return]


class _Text(HTMLParser):
    """The text, the elements and the lit phases of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open and data.strip():
            self.words.append(data.strip())


def text_of(html: str) -> str:
    parsed = _Text(html)
    assert parsed.open == []
    assert not {"img", "script"} & set(parsed.elements)
    return " ".join(parsed.words)


def lit_phases(html: str) -> list[str]:
    return re.findall(r'class="node[^"]*current[^"]*" data-node="([^"]+)"', html)


# Engines


def test_an_engine_is_described_in_a_line_at_each_stage_of_its_life(engine: Engine) -> None:
    seen = [repr(engine)]
    engine.add_event_handler(Events.EPOCH_STARTED(once=2), lambda engine: seen.append(repr(engine)))
    engine.run([1, 2], max_epochs=3, until=Events.EPOCH_COMPLETED(once=2))
    seen.append(repr(engine))
    engine.run()
    seen.append(repr(engine))
    engine.add_event_handler(Events.STARTED, lambda engine: engine.terminate())
    engine.state.max_epochs = None
    engine.run([1], max_iters=5)
    assert [*seen, repr(engine)] == [
        "<Engine training: idle>",
        "<Engine training: running in EPOCH_STARTED, epoch 2 of 3, iteration 2>",
        "<Engine training: suspended, epoch 2 of 3, iteration 4>",
        "<Engine training: completed, epoch 3 of 3, iteration 6>",
        "<Engine training: terminated, epoch 0, iteration 0 of 5>",
    ]


def test_a_lifecycle_without_epochs_has_its_own_counters() -> None:
    lifecycle = Lifecycle("ppo")
    lifecycle.add_phase(Evil.EVENT, activity=lambda engine: None, counter="rollout")
    lifecycle.add_path(Events.STARTED >> Evil.EVENT >> Events.COMPLETED)
    engine = Engine(lifecycle=lifecycle)
    engine.run()
    assert repr(engine) == "<Engine ppo: completed, rollout 1>"


def test_an_engine_shows_its_run_its_handlers_and_its_phase(engine: Engine) -> None:
    engine.state.metrics["accuracy"] = 0.987654321
    outputs = []
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda engine: outputs.append(shown(engine)))
    engine.run([1, 2], max_epochs=2)
    during, after = outputs[0]["text/html"], shown(engine)["text/html"]
    assert lit_phases(during) == ["Events.ITERATION_COMPLETED"]
    for part in ("running", "epoch 2 of 2, iteration 3", "list of 2", "accuracy 0.987654", "2 handlers", "every=2"):
        assert part in text_of(during), part
    assert "completed" in text_of(after)
    assert outputs[0]["text/plain"] == "<Engine training: running in ITERATION_COMPLETED, epoch 2 of 2, iteration 3>"


def test_a_suspended_engine_shows_where_it_resumes(engine: Engine) -> None:
    engine.run([1, 2], until=Events.GET_BATCH_COMPLETED(once=1))
    html = shown(engine)["text/html"]
    assert lit_phases(html) == ["Events.INTERRUPT"]
    assert "resumes in GET_BATCH_COMPLETED" in text_of(html)
    engine.run()
    assert "resumes in" not in text_of(shown(engine)["text/html"])


def test_an_engine_that_cannot_run_shows_why() -> None:
    engine = Engine(lifecycle=Lifecycle("stuck"))
    text = text_of(shown(engine)["text/html"])
    assert "STARTED gets stuck" in text
    assert "idle" in text


def test_an_engine_without_a_picture_shows_its_tables(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fsm_engine.render.engine_html.render", lambda *_: 1 / 0)
    text = text_of(shown(engine)["text/html"])
    assert "cannot be drawn: division by zero" in text
    assert "1 handler" in text


def test_an_object_whose_html_cannot_be_made_shows_its_text_and_the_reason() -> None:
    class Unfinished(Engine):
        def __init__(self) -> None:
            pass

    (form,) = output = shown(Unfinished())
    assert form == "text/plain"
    assert re.search(r"Unfinished object at .*\n\(no HTML: AttributeError: ", output[form])


# Findings


def test_findings_are_a_table_with_a_line_of_text_for_each(engine: Engine) -> None:
    engine.add_event_handler(Events.EPOCH_COMPLETED(once=9), lambda: None)
    output = shown(engine.check([1], max_epochs=2))
    (line,) = output["text/plain"].splitlines()
    assert line.startswith("warning never-passes: ")
    assert "is not called on Events.EPOCH_COMPLETED (once=9)" in line
    text = text_of(output["text/html"])
    for part in ("rule problem fix", "warning never-passes", "epoch is at most 2", "Change the filter"):
        assert part in text, part


def test_one_finding_and_the_findings_of_a_lifecycle_are_shown_and_escaped() -> None:
    lifecycle = Lifecycle("stuck")
    lifecycle.add_phase(Evil.EVENT, activity=lambda engine: None)
    found = lifecycle.check()
    assert [line.split(":")[0] for line in shown(found)["text/plain"].splitlines()] == [
        f"error {finding.code}" for finding in found
    ]
    assert "error unreachable" in text_of(shown(found)["text/html"])
    assert "error unreachable" in text_of(shown(found[0])["text/html"])


def test_no_findings_say_so(engine: Engine) -> None:
    output = shown(engine.check())
    assert (output["text/plain"], text_of(output["text/html"])) == ("no problems found", "No problems found.")
    assert engine.check() == []


# Inspectors


def test_an_inspector_is_its_page_with_its_address_as_text(engine: Engine) -> None:
    pytest.importorskip("websockets")
    with engine.inspect() as inspector:
        output = shown(inspector)
    assert output["text/plain"] == f"<Inspector at {inspector.address}>"
    assert f'<iframe src="{inspector.address}"' in output["text/html"]


# Timelines


def test_a_timeline_shows_its_picture_and_the_longest_phases(engine: Engine) -> None:
    output = shown(recorded(engine))
    assert output["text/plain"] == "<Timeline of training: 1 track, 24 moves, 1 handler calls>"
    text = text_of(output["text/html"])
    for part in ("iteration", "wait for data", "Events.EPOCH_COMPLETED 2", "<lambda> on Events.EPOCH_COMPLETED 1"):
        assert part in text, part


@pytest.mark.parametrize("most", [5, 12])
def test_a_long_timeline_shows_its_newest_moves_and_says_so(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(notebook, "MAX_MOVES", most)
    timeline = recorded(engine)
    text = text_of(shown(timeline)["text/html"])
    assert f"The newest {most} of 24 moves." in text
    assert "Events.COMPLETED 1" in text
    assert "Events.STARTED" not in text
    assert sum(len(track.move_ring) for track in timeline.tracks) == 24


def test_the_newest_moves_are_the_end_of_a_track(engine: Engine) -> None:
    (track,) = recorded(engine).tracks
    moves, spans = list(track.moves), list(track.spans)
    for count in (1, 5, len(moves), 100):
        part = track.newest(count)
        assert (list(part.moves), list(part.spans)) == (moves[-count:], spans[-count:])
        assert part.dropped == (max(len(moves) - count, 0), 0)


def test_a_track_is_shown_as_a_timeline_of_one(engine: Engine) -> None:
    timeline = recorded(engine)
    output = shown(timeline.tracks[0])
    assert output == {**shown(timeline), "text/plain": "<Track training: 24 moves, 1 handler calls>"}


def test_an_empty_timeline_and_summary_say_how_to_record() -> None:
    assert repr(Timeline()) == "<Timeline: nothing was recorded>"
    assert "engine.record()" in text_of(shown(Timeline())["text/html"])
    assert repr(Timeline().summary()) == "<Summary of nothing>"
    assert text_of(shown(Timeline().summary())["text/html"]) == "nothing was recorded"


def test_a_summary_has_a_table_for_phases_handlers_and_transitions(engine: Engine) -> None:
    summary = recorded(engine).summary()
    output = shown(summary)
    assert output["text/plain"] == str(summary)
    text = text_of(output["text/html"])
    assert [text.count(f"{what} count total") for what in ("phase", "handler", "transition")] == [1, 1, 1]
    for name, stats in summary.tracks[0].transitions.items():
        assert f"{name} {stats.count}" in text
    assert repr(summary).startswith("<Summary of training: ")
    assert "\n" not in repr(summary)
    assert shown(summary.tracks[0])["text/html"] == output["text/html"]


# Results of questions


def test_explanations_are_tables(engine: Engine) -> None:
    handler = engine.add_event_handler(Events.EPOCH_STARTED, step, 1)
    engine.run([1], max_epochs=3)
    explained = engine.explain(step)
    assert repr(explained) == "<Explanation of step: attached to 1 events>"
    assert shown(explained)["text/plain"] == str(explained)
    assert text_of(shown(explained)["text/html"]).endswith("fired called Events.EPOCH_STARTED 3 3")
    event = engine.explain(Events.EPOCH_COMPLETED)
    assert repr(event) == "<Explanation of Events.EPOCH_COMPLETED: 1 handlers>"
    assert "every=2" in text_of(shown(event)["text/html"])
    handler.remove()
    assert "is not attached" in text_of(shown(engine.explain(step))["text/html"])
    assert "calls nothing" in text_of(shown(engine.explain(Events.STARTED))["text/html"])


def test_violations_and_divergences_are_short_in_consoles_and_tables_in_notebooks(engine: Engine) -> None:
    pytest.importorskip("transitions")
    timeline = recorded(engine)
    without_data = Engine(step)
    with without_data.record() as other:
        without_data.run(epoch_length=1)
    stricter = Lifecycle.training(step)
    stricter.remove_transition(Events.EPOCH_COMPLETED >> Events.EPOCH_STARTED)
    violation, divergence = timeline.verify(stricter), timeline.diff(other)
    for result, parts in ((violation, ("move", "legal there")), (divergence, ("first run", "second run"))):
        assert repr(result) == f"<{type(result).__name__}{': ' if result is violation else ' at '}{result}>"
        output = shown(result)
        assert output["text/plain"] == str(result)
        assert all(part in text_of(output["text/html"]) for part in parts)


def test_coverage_and_difference_are_tables(engine: Engine) -> None:
    coverage = recorded(engine).coverage(engine.lifecycle)
    text = text_of(shown(coverage)["text/html"])
    assert "phases (" in text
    assert "RESUMED" in text
    changed = Lifecycle.training(step)
    changed.insert(Evil.EVENT, after=Events.STARTED)
    output = shown(Lifecycle.training(step).diff(changed))
    assert "added phase EVENT" in text_of(output["text/html"])
    assert "no difference" in text_of(shown(changed.diff(changed))["text/html"])


def test_a_lifecycle_is_its_picture_and_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    lifecycle = Lifecycle.training(step)
    output = shown(lifecycle)
    assert ElementTree.fromstring(output["image/svg+xml"]).tag.endswith("svg")
    assert output["text/plain"] == str(lifecycle)
    monkeypatch.setattr("fsm_engine.render.render", lambda *_: 1 / 0)
    assert shown(lifecycle) == {"text/plain": f"{lifecycle}\n(no picture: ZeroDivisionError: division by zero)"}


def test_a_state_is_a_table_of_short_values() -> None:
    output = shown(State(note="x" * 200, metrics={"accuracy": 0.5}))
    assert "metrics dict of 1: 'accuracy': 0.5" in text_of(output["text/html"])
    assert "x" * 81 not in output["text/html"]
    assert output["text/plain"] == repr(State(note="x" * 200, metrics={"accuracy": 0.5}))


# All of them


def test_names_are_text_and_never_markup() -> None:
    lifecycle = Lifecycle.training(step)
    lifecycle.name = EVIL
    engine = Engine(lifecycle=lifecycle)
    engine.register_events(EVIL)

    def handler() -> None:
        pass

    handler.__qualname__ = EVIL
    engine.add_event_handler(EVIL, handler)
    engine.add_event_handler(Events.STARTED, handler)
    engine.state.metrics[EVIL] = EVIL
    timeline = recorded(engine)
    outputs = (engine, timeline, timeline.summary(), engine.explain(handler), engine.explain(EVIL), engine.state)
    for value in outputs:
        html = shown(value)["text/html"]
        assert "<img" not in html
        assert "img src=x onerror" in text_of(html), value


def test_consoles_do_not_load_the_drawing(engine: Engine) -> None:
    code = """
        from fsm_engine import Engine
        engine = Engine(lambda engine, batch: batch)
        with engine.record() as timeline:
            engine.run([1])
        for value in (engine, timeline, timeline.tracks[0], timeline.summary(), engine.lifecycle, engine.state):
            repr(value)
        import sys
        print([name for name in sys.modules if name == "html" or "render" in name or "html" in name])
    """
    done = subprocess.run([sys.executable, "-c", re.sub("^ {8}", "", code, flags=re.M)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (0.123456789, "0.123457"),
        ("a", "'a'"),
        ([], "list of 0"),
        ((1, [2, (3,)]), "tuple of 2: 1, list of 2: 2, tuple of 1"),
        ([1] * 5, "list of 5"),
        ({"a": 1.5}, "dict of 1: 'a': 1.5"),
        (Engine, "type"),
    ],
)
def test_values_are_described_shortly(value: Any, text: str) -> None:
    assert describe_value(value) == text


def test_tensors_are_described_by_shape_and_never_printed() -> None:
    torch = pytest.importorskip("torch")
    assert describe_value(torch.zeros(2, 3)) == "Tensor [2, 3] float32 on cpu"
    assert describe_value(torch.tensor(1.5)) == "1.5"
    assert describe_value((torch.zeros(1), 2)) == "tuple of 2: Tensor [1] float32 on cpu, 2"
    looped: list[Any] = []
    looped.append(looped)
    assert describe_value(looped) == "list of 1: list of 1: list of 1"
