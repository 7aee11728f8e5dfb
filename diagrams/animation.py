"""Animate the picture of a lifecycle: a dot moves along the edges that a run takes, and lights up the active phase."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPEED = 260.0
"""Pixels per second of the dot on an edge."""
_SHORTEST, _STAY, _PAUSE = 0.25, 0.45, 1.5
"""Seconds on a short edge, in a phase, and at the end of the run."""
_COLOR = "#1f9cf0"

_EDGE = re.compile(r'data-source="([^"]+)" data-target="([^"]+)".*?<path d="([^"]+)"', re.DOTALL)
_NODE = re.compile(r'data-node="([^"]+)">.*?(<rect [^>]*/>|<circle [^>]*/>)', re.DOTALL)


@dataclass
class _Step:
    """One part of the walk: along a path from one time to the next, or inside `node` if it is given."""

    begin: float
    end: float
    length: float
    node: str = ""


def animated(svg: str, walk: Sequence[tuple[str, str]]) -> str:
    """Return `svg` with an animation of `walk` that repeats. It is hidden from readers who prefer reduced motion.

    Args:
        svg: a picture of a lifecycle.
        walk: the moves of a run in order, as names of nodes: `initial`, phases and `final`.

    Raises:
        KeyError: the picture has no edge for a move.
    """
    paths = {(source, target): path for source, target, path in _EDGE.findall(svg)}
    route, steps = _route([paths[move] for move in walk], [target for _, target in walk])
    dot = _dot(route, steps)
    lights = [_light(shape, name, steps) for name, shape in _NODE.findall(svg) if any(s.node == name for s in steps)]
    style = "<style>@media (prefers-reduced-motion: reduce) {.walk {display: none}}</style>"
    first_node = svg.index('<g class="node')
    with_dot = f'{svg[:first_node]}{style}\n<g class="walk">{dot}</g>\n{svg[first_node:]}'
    return with_dot.replace("</svg>", '<g class="walk">' + "\n".join(lights) + "</g>\n</svg>")


def _route(paths: Sequence[str], targets: Sequence[str]) -> tuple[str, list[_Step]]:
    """Return one path along all edges, and the times of its parts."""
    steps: list[_Step] = []
    now, here = 0.0, _points(paths[0])[0]
    for path, target, following in zip(paths, targets, [*paths[1:], None]):
        length = _length(path)
        steps.append(_Step(now, now + max(_SHORTEST, length / _SPEED), length))
        here = _points(path)[-1]
        start = here if following is None else _points(following)[0]
        stay = _PAUSE if following is None else _STAY
        steps.append(_Step(steps[-1].end, steps[-1].end + stay, math.dist(here, start), target))
        now = steps[-1].end
    return "L".join(path.removeprefix("M") for path in paths), steps


def _dot(route: str, steps: Sequence[_Step]) -> str:
    distances = list(itertools.accumulate((step.length for step in steps), initial=0.0))
    points = ";".join(f"{distance / distances[-1]:.4f}" for distance in distances)
    times = ";".join(f"{time / steps[-1].end:.4f}" for time in (0.0, *(step.end for step in steps)))
    return (
        f'<circle r="7" fill="{_COLOR}"><animateMotion path="M{route}" dur="{steps[-1].end:.2f}s" '
        f'repeatCount="indefinite" calcMode="linear" keyPoints="{points}" keyTimes="{times}"/></circle>'
    )


def _light(shape: str, name: str, steps: Sequence[_Step]) -> str:
    """Return a frame around `shape` that is visible while the run is in the node `name`."""
    times, values = ["0"], ["0"]
    for step in steps:
        if step.node == name:
            times += [f"{step.begin / steps[-1].end:.4f}", f"{min(step.end / steps[-1].end, 0.9999):.4f}"]
            values += ["1", "0"]
    frame = re.sub(r' fill="[^"]*"| stroke="[^"]*"| stroke-width="[^"]*"', "", shape).removesuffix("/>")
    return (
        f'{frame} fill="none" stroke="{_COLOR}" stroke-width="5" opacity="0"><animate attributeName="opacity" '
        f'dur="{steps[-1].end:.2f}s" repeatCount="indefinite" calcMode="discrete" keyTimes="{";".join(times)}" '
        f'values="{";".join(values)}"/></{shape[1 : shape.index(" ")]}>'
    )


def _points(path: str) -> list[tuple[float, float]]:
    """Return the corners of a path of lines and quadratic curves."""
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", path)]
    return list(zip(numbers[::2], numbers[1::2]))


def _length(path: str) -> float:
    """Return about how long a path is: curves are as short as the lines between their points."""
    return sum(math.dist(one, other) for one, other in itertools.pairwise(_points(path)))
