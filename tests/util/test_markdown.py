"""Tables in Markdown: the cells of a lifecycle's table, and the escaping of special characters in names."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fsm_engine._util.markdown import code_span, escape
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.graph.phases import IDLE
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.lifecycle.table import to_rows

markdown_it: Any = pytest.importorskip("markdown_it")


def cells(text: str) -> list[list[str]]:
    """Return the rendered cells of the Markdown table `text`; a line break is a newline."""
    parser = markdown_it.MarkdownIt("commonmark").enable(["table", "strikethrough"])
    tokens = parser.parse(text)
    assert {token.type for token in tokens} <= {
        f"{part}_{end}" for part in ("table", "thead", "tbody", "tr", "th", "td") for end in ("open", "close")
    } | {"inline"}
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append("".join("\n" if part.type == "html_inline" else part.content for part in token.children))
            assert {part.type for part in token.children} <= {"text", "code_inline", "html_inline", "text_special"}
            assert {part.content for part in token.children if part.type == "html_inline"} <= {"<br>"}
    return rows


def expected(lifecycle: Lifecycle) -> list[list[str]]:
    rows: list[list[str]] = [["phase", "scope", "on entry", "activity", "exits"]]
    for row in to_rows(lifecycle.graph):
        row = tuple(" ".join(cell.split()) for cell in row)
        if row[0]:
            rows.append(list(row))
        else:
            rows[-1][-1] += "\n" + row[-1]
    return rows


def test_the_table_of_training_has_the_cells_of_the_printed_table():
    assert cells(Lifecycle.training().to_markdown()) == expected(Lifecycle.training())


def test_phases_are_in_the_order_of_the_graph():
    shown = [row[0] for row in cells(Lifecycle.training().to_markdown())[1:]]
    phases = [phase.name for phase in Lifecycle.training().phases]
    assert shown[: len(phases)] == phases
    assert {*shown[1 : len(phases)]} == {event.name for event in Events}
    assert shown[0] == IDLE


def test_the_markdown_of_the_header_and_a_row():
    rows = Lifecycle.training().to_markdown().splitlines()
    assert rows[0] == "| phase | scope | on entry | activity | exits |"
    assert [row for row in rows if row.startswith("| `EPOCH_STARTED`")] == [
        "| `EPOCH_STARTED` | epoch | epoch += 1 | open the data unless it is open | "
        "[no data] -> ITERATION_STARTED / batch = output = None<br>-> GET_BATCH_STARTED |"
    ]


LETTERS = st.sampled_from(
    [*"|`*_~<>&[]()!#\\\"'$:^-+= \n\t.;", "a", "B1", "\u00e9", "&lt;", "<br>", "](", "[^1]", "``"]
)
TEXTS = st.lists(LETTERS, min_size=1, max_size=10).map("".join).filter(lambda text: bool(text.strip()))


@given(TEXTS, TEXTS)
def test_any_text_is_shown_literally_in_its_cell(one, other):
    table = f"| a | b | c |\n| --- | --- | --- |\n| {code_span(one)} | {escape(other)} | end |"
    assert cells(table)[1] == [" ".join(one.split()), " ".join(other.split()), "end"]


@given(TEXTS, TEXTS)
def test_names_of_users_are_shown_literally(name_like, guard_like):
    name = " ".join(name_like.split())
    assume(not name[0] == name[-1] == "_")  # Enum reserves such names
    own = EventEnum("Own", {name: 1})  # type: ignore[call-overload]  # pyright and mypy know only classes
    event = next(iter(own))

    def guard() -> bool:
        return True

    guard.__name__ = guard_like
    lifecycle = Lifecycle.training()
    lifecycle.add_phase(event)
    lifecycle.add_transition(Events.ITERATION_COMPLETED >> event, guard=guard)
    lifecycle.add_transition(event >> Events.EPOCH_COMPLETED)
    assert cells(lifecycle.to_markdown()) == expected(lifecycle)


TABLES = runpy.run_path(str(Path(__file__).resolve().parents[2] / "diagrams" / "tables.py"))


def test_the_tables_in_the_document_are_up_to_date():
    text = TABLES["DOCUMENT"].read_text(encoding="utf-8")
    assert "<!-- events of training -->" in text
    assert TABLES["update_tables"](text) == text, "python diagrams/tables.py"


def test_refreshing_a_document_replaces_the_table_and_nothing_else():
    table = Lifecycle.training().to_markdown()
    stale = "# A\n<!-- events of training -->\n| old |\n<!-- end of events -->\nB\n"
    fresh = f"# A\n<!-- events of training -->\n\n{table}\n\n<!-- end of events -->\nB\n"
    assert TABLES["update_tables"](stale) == fresh == TABLES["update_tables"](fresh)
    with pytest.raises(KeyError, match="nobody"):
        TABLES["update_tables"]("<!-- events of nobody -->\n\n<!-- end of events -->")
