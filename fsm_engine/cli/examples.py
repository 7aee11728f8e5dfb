"""The examples below the help of each command. The tests run them."""

from __future__ import annotations

EXAMPLES = {
    "draw": (
        ("draw", "The standard lifecycle as Mermaid text"),
        ("draw train.py:trainer -o lifecycle.svg", "The lifecycle of an engine in your code"),
        ("draw lifecycle.json -o wide.svg -o wide.mmd --direction right", "One from a file, in two formats"),
        ("draw train.py:trainer -o slide.svg --detail main", "Without signals, errors and rare edges, for a slide"),
        ("draw --timeline run.fsmt -o heat.svg", "The visits and times of a recorded run, on its own lifecycle"),
    ),
    "show": (
        ("show", "The table of phases and exits"),
        ("show train.py:trainer --source", "The Python function that runs the engine"),
    ),
    "check": (
        ("check train.py:trainer", "The problems of a lifecycle and their fixes"),
        ("check train.py:trainer --strict --format json", "For scripts; warnings fail, too"),
    ),
    "paths": (
        ("paths started completed --shortest", "The shortest run"),
        ("paths iteration_completed epoch_completed --limit 3", "Every way from an iteration to the end of its epoch"),
        ("paths iteration_started iteration_completed train.py:trainer", "Every path through an iteration"),
    ),
    "diff": (
        ("diff training train.py:trainer", "The changes of your lifecycle to the standard one"),
        ("diff lifecycle.json train.py:trainer -o diff.svg", "Both in one picture"),
    ),
    "timeline": (
        ("timeline run.fsmt", "The time that a recorded run spent per phase, transition and handler"),
        ("timeline run.fsmt -o run.html", "A recorded run as a page with zoom"),
    ),
    "timeline summary": (("timeline summary run.fsmt", "The time that a recorded run spent per phase"),),
    "timeline verify": (
        ("timeline verify run.fsmt", "Whether the run did only what its own lifecycle allows"),
        ("timeline verify run.fsmt train.py:trainer", "Whether your lifecycle allows a recorded run"),
    ),
    "timeline diff": (("timeline diff run.fsmt other.fsmt", "The first step in which two runs differ"),),
    "timeline draw": (("timeline draw run.fsmt -o timeline.svg -o trace.json", "A picture, and a trace for Perfetto"),),
    "timeline replay": (("timeline replay run.fsmt --open", "A recorded run played over its lifecycle"),),
    "timeline merge": (
        ("timeline merge rank0.fsmt rank1.fsmt -o run.html", "The ranks of a distributed run on one page"),
        ("timeline merge rank0.fsmt rank1.fsmt -o run.fsmt", "One recording, for the other commands"),
    ),
    "migrate": (
        ("migrate ignite_program.py", "The imports of pytorch-ignite to change, and the lines that need a human"),
        ("migrate ignite_program.py --write", "Change them"),
    ),
    "run": (
        ("run train.py --record run.fsmt", "A script, with every engine that runs recorded"),
        ("run train.py --inspect", "The same script, watched and steered in the browser"),
        ("run train.py -- --batch-size 64", "The same script with arguments of its own"),
        ("run train.py:trainer --data train.py:loader --epochs 3", "An engine on your data"),
    ),
    "watch": (
        ("watch http://127.0.0.1:8265/TOKEN/", "A running training, with keys to pause and step"),
        ("watch http://127.0.0.1:8265/TOKEN/ --once", "One snapshot, for scripts"),
    ),
    "demo": (
        ("demo --epochs 5 --out pictures", "Train, and draw the lifecycle"),
        ("demo --epochs 500 --inspect", "Watch and steer the training in the browser"),
    ),
}
"""The arguments after ``fsm-engine`` and a description of the result, by command."""


def epilog(*commands: str, each: int | None = None) -> str:
    """Return the examples of `commands` as paragraphs with rich markup; of each command the first `each`, or all."""
    chosen = [example for name in commands for example in EXAMPLES[name][:each]]
    return "\n\n".join(f"[dim]{description}:[/dim]\n  [cyan]fsm-engine {line}[/cyan]" for line, description in chosen)
