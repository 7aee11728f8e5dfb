"""The examples below the help of each command. The tests run them."""

from __future__ import annotations

EXAMPLES = {
    "draw": (
        ("draw", "The standard lifecycle as Mermaid text"),
        ("draw train.py:trainer -o lifecycle.svg", "The lifecycle of an engine in your code"),
        ("draw lifecycle.json -o wide.svg -o wide.mmd --direction right", "One from a file, in two formats"),
        ("draw --timeline run.fsmt -o heat.svg", "How often a recorded run came where, and how long it stayed"),
    ),
    "show": (
        ("show", "The table of phases and exits"),
        ("show train.py:trainer --source", "The Python function that runs the engine"),
    ),
    "check": (
        ("check train.py:trainer", "What is wrong, and what to do about it"),
        ("check train.py:trainer --strict --format json", "For scripts; warnings count, too"),
    ),
    "paths": (
        ("paths started completed --shortest", "How short a run can be"),
        ("paths iteration_started iteration_completed train.py:trainer", "Every way through an iteration"),
    ),
    "diff": (
        ("diff training train.py:trainer", "What your lifecycle adds to the standard one"),
        ("diff lifecycle.json train.py:trainer -o diff.svg", "Both in one picture"),
    ),
    "timeline": (("timeline run.fsmt -o run.html", "A page of a recorded run, to zoom into"),),
    "timeline summary": (("timeline summary run.fsmt", "Where the time of a recorded run went"),),
    "timeline verify": (("timeline verify run.fsmt train.py:trainer", "Whether your lifecycle allows that run"),),
    "timeline diff": (("timeline diff run.fsmt other.fsmt", "Where two runs part"),),
    "timeline draw": (("timeline draw run.fsmt -o timeline.svg -o trace.json", "A picture, and a trace for Perfetto"),),
    "demo": (("demo --epochs 5 --out pictures", "Train, and draw the lifecycle that was gone through"),),
}
"""Per command: what to type behind ``fsm-engine``, and what it gives."""


def epilog(*commands: str, each: int | None = None) -> str:
    """Return the first examples of these commands, or all of them, with rich's markup and a paragraph each."""
    chosen = [example for name in commands for example in EXAMPLES[name][:each]]
    return "\n\n".join(f"[dim]{what}:[/dim]\n  [cyan]fsm-engine {line}[/cyan]" for line, what in chosen)
