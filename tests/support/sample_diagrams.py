"""Diagrams for the tests of the formats: `RICH` has every kind of part, `hostile_diagram` has hostile texts."""

from __future__ import annotations

from fsm_engine.render.diagram import Box, Change, Diagram, Edge, EdgeKind, Mark, Node, NodeKind

INNER = Diagram(
    nodes=(
        Node("initial", "", NodeKind.INITIAL, main=True),
        Node("Rollout.COLLECT", "COLLECT", box="run", main=True),
        Node("final", "", NodeKind.FINAL, main=True),
    ),
    boxes=(Box("run", "run"),),
    edges=(
        Edge("initial", "Rollout.COLLECT", "run", EdgeKind.SIGNAL, main=True),
        Edge("Rollout.COLLECT", "final", main=True),
    ),
    title="rollout",
)

RICH = Diagram(
    nodes=(
        Node("initial", "", NodeKind.INITIAL, main=True),
        Node("Events.STARTED", "STARTED", box="engine.run", main=True, tip="Events.STARTED"),
        Node(
            "Events.ITERATION_STARTED",
            "ITERATION_STARTED",
            box="engine.run.epoch",
            notes=("the step", "log (train.py:3)"),
            main=True,
            marks=frozenset({Mark.CURRENT}),
        ),
        Node("Rl.LEARN", "LEARN", box="engine.run.epoch", main=True, marks=frozenset({Mark.CUSTOM}), notes=("learn",)),
        Node("Rl.ROLLOUT", "ROLLOUT", box="engine.run", marks=frozenset({Mark.CUSTOM}), inner=INNER),
        Node("Rl.SKIP", "SKIP", box="engine.run.epoch", change=Change.ADDED),
        Node("Rl.OLD", "OLD", box="engine.run.epoch", change=Change.REMOVED),
        Node("Rl.NEW", "NEW", box="engine.run.epoch", change=Change.CHANGED),
        Node("callback", "LOGGED", box="engine.run.epoch", marks=frozenset({Mark.CALLBACK})),
        Node("Events.INTERRUPT", "INTERRUPT", box="engine"),
        Node("Events.RESUMED", "RESUMED", box="engine.run"),
        Node("engine.run history", "H*", NodeKind.HISTORY, box="engine.run"),
        Node("Events.EXCEPTION_RAISED", "EXCEPTION_RAISED"),
        Node("final", "", NodeKind.FINAL, main=True),
    ),
    boxes=(Box("engine", "engine"), Box("engine.run", "run", "engine"), Box("engine.run.epoch", "epoch", "engine.run")),
    edges=(
        Edge("initial", "Events.STARTED", "run", EdgeKind.SIGNAL, main=True),
        Edge("Events.STARTED", "Events.ITERATION_STARTED", main=True),
        Edge("Events.ITERATION_STARTED", "Rl.LEARN", kind=EdgeKind.FIRED, main=True),
        Edge("Rl.LEARN", "final", "[done]", main=True),
        Edge("Rl.LEARN", "Events.ITERATION_STARTED", "[loss >= 0.5]", tip="again"),
        Edge("Rl.LEARN", "Rl.ROLLOUT"),
        Edge("Rl.ROLLOUT", "Events.ITERATION_STARTED"),
        Edge("engine.run.epoch", "Rl.SKIP", "OutOfMemoryError", EdgeKind.ERROR, change=Change.ADDED),
        Edge("Rl.SKIP", "Events.ITERATION_STARTED", kind=EdgeKind.FIRED),
        Edge("Events.ITERATION_STARTED", "Rl.OLD", change=Change.REMOVED),
        Edge("Rl.OLD", "Rl.NEW", change=Change.CHANGED),
        Edge("Events.ITERATION_STARTED", "callback", kind=EdgeKind.DISCOVERED, tip="seen 3 times"),
        Edge("Events.ITERATION_STARTED", "Events.ITERATION_STARTED", "[again]"),
        Edge("engine.run", "Events.INTERRUPT", "interrupt", EdgeKind.SIGNAL),
        Edge("Events.INTERRUPT", "Events.RESUMED", "run", EdgeKind.SIGNAL),
        Edge("Events.RESUMED", "engine.run history"),
        Edge("engine", "Events.EXCEPTION_RAISED", "exception", EdgeKind.SIGNAL),
        Edge("Events.EXCEPTION_RAISED", "final"),
    ),
    title='A <rich> diagram: "all" & 100% of it',
)

HOSTILE = (
    *("end", "END", "state", "STATE", "note", "NOTE", "class", "classDef", "style", "click", "CLICK", "default"),
    *(
        "direction TB",
        "DIRECTION LR",
        "direction",
        "scale 350 width",
        "accTitle: x",
        "accDescr {",
        "hide empty description",
    ),
    *(
        "[*]",
        "[[fork]]",
        "<<join>>",
        "--",
        "-->",
        ":::main",
        "a: b; c",
        "%% comment",
        "%%{init: {}}%%",
        "---",
        "{",
        "}",
    ),
    *(
        '"',
        "'",
        '"as" x',
        "a\nb",
        "a\r\nb\tc",
        " padded ",
        "\\",
        "\\n",
        "\\N \\G \\l",
        "a\\",
        '\\"',
        "`",
        "`x`",
        "$$x^2$$",
    ),
    *("<script>alert(1)</script>", "<b>bold</b>", "<br/>", "&lt;", "&amp;", "#35;", "#quot;", "# x", "fa:fa-ban"),
    *(
        "*x*",
        "**x**",
        "_x_",
        "__init__",
        "~~x~~",
        "1. x",
        "12) x",
        "- x",
        "+ x",
        "> x",
        "=",
        "===",
        "[a](b)",
        "[a]: b",
        "![a](b)",
    ),
    *(
        "http://example.com",
        "www.example.com",
        "WWW.example.com",
        "me@example.com",
        "style: x #1; y",
        "classDef a:#b;c",
    ),
    *(
        "prot\u00e9g\u00e9",
        "\u8bad\u7ec3",
        "\u2603\ufe0f",
        "\U0001f600",
        "\u202eabc",
        "a\x00b",
        "\x1b[31m",
        "\u2028",
        "\ud800",
        "\ufb02\u00b0\u00b035\u00b6\u00df",
    ),
    *("constructor", "__proto__", "toString", "a.b-c_d", "a|b", "||", "X", "x" * 60, "strict digraph", "n:port", "<i>"),
)
"""Texts with a special meaning in at least one of the formats."""


def hostile_diagram(texts: tuple[str, ...] = HOSTILE) -> Diagram:
    """Return a diagram that uses `texts` as its title and as the texts of boxes, nodes, notes and edges."""
    box = [Box(text, text, texts[number - 1] if number % 4 else None) for number, text in enumerate(texts)]
    ids = [f"{text} of {number}" for number, text in enumerate(texts)]
    nodes = [
        Node(i, text, box=text, notes=(text,) * (number % 3), tip=text)
        for number, (i, text) in enumerate(zip(ids, texts))
    ]
    edges = [Edge(i, ids[number - 1], text, tip=text) for number, (i, text) in enumerate(zip(ids, texts))]
    return Diagram(tuple(nodes), tuple(box), tuple(edges), title=texts[0])
