"""The whole screen as lines of text, for any size from 60 columns on."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from fsm_engine.cli.watch import lifecycle_view
from fsm_engine.cli.watch.controls import HELP, Controls
from fsm_engine.cli.watch.model import Model, WatchedEngine
from fsm_engine.cli.watch.pause_view import failure_sections, pause_sections
from fsm_engine.cli.watch.questions import PhasePrompt
from fsm_engine.cli.watch.section import Section
from fsm_engine.cli.watch.sections import all_sections, status_style
from fsm_engine.cli.watch.text import count_text, fitted, spread
from fsm_engine.timeline.units import format_duration

LEAST_WIDTH = 60
_TWO_COLUMNS = 76
"""The width from which the panel is beside the lifecycle."""

_CURVE_ROWS = (4, 3, 2, 1)
"""The heights of curves. The first for which all sections fit is used."""

_MOST = 8
"""The most lines of a section other than the first, where the height does not demand fewer."""

_KEYS = {
    "running": "p pause  n/i/e step  b break  s save  t terminate  q quit  ? help",
    "paused": "c continue  n/i/e step  b break  s save  t terminate  q quit  ? help",
    "": "tab engine  q quit  ? help",
}


def screen(model: Model, controls: Controls, width: int, height: int) -> list[Text]:
    """Return the lines of the screen, each `width` columns wide, `height` in number."""
    width = max(width, 20)
    top, bottom = header(model, width), _footer(model, controls, width)
    room = max(height - len(top) - len(bottom), 1)
    body = _body(model, controls, width, room)
    body += [Text()] * (room - len(body))
    return [fitted(line, width) for line in [*top, *body[:room], *bottom][:height]]


def snapshot(model: Model, width: int) -> list[Text]:
    """Return everything as lines at most `width` columns wide, for a file or a pipe."""
    engine = model.shown
    lines = header(model, width)
    if engine is not None:
        lines += [*lifecycle_view.column(engine, min(lifecycle_view.natural_width(engine), width), None), Text()]
        details = [*_details(model, engine, width), *all_sections(model, engine, width, 1)]
        lines += _stacked(details)
    lines = [fitted(line, width) for line in lines]
    for line in lines:
        line.rstrip()
    return lines


# The top


def header(model: Model, width: int) -> list[Text]:
    """Return the title, the status, the counters and the progress."""
    engine = model.shown
    if engine is None:
        return [spread(Text("fsm-engine watch", "bold"), _lost_pill(model) or Text(), width), _rule(width)]
    title = Text.assemble((engine.heading, "bold"), (f"  {model.hello.get('process', '')}", "dim"))
    style = f"reverse bold {status_style(engine.status)}".rstrip()
    status = _lost_pill(model) or Text(f" {engine.status or 'waiting'} ", style)
    read_only = Text(" read-only ", "dim") if model.hello.get("readOnly") else Text()
    return [
        spread(title, Text.assemble(read_only, status), width),
        _counters(model, engine, width),
        _progress(engine, width),
        _rule(width),
    ]


def _lost_pill(model: Model) -> Text | None:
    if not model.lost:
        return None
    text, style = (" closed ", "reverse bold") if model.closed else (" disconnected, trying again ", "reverse bold red")
    return Text(text, style)


def _counters(model: Model, engine: WatchedEngine, width: int) -> Text:
    state, since = engine.now.get("state", {}), engine.now.get("since")
    limits = {"epoch": "max_epochs", "iteration": "max_iters"}
    counters = [name for name in dict.fromkeys([*limits, *engine.counters]) if name in engine.counters]
    parts = [
        _of(name, state.get(name), state.get(limits.get(name, ""))) for name in counters if state.get(name) is not None
    ]
    phase = Text.assemble((engine.phase_name(engine.now.get("phase")), "bold"))
    if since is not None and engine.status in ("running", "paused") and model.now - since >= 10**9:
        phase.append(f" for {format_duration((model.now - since) // 10**8 * 10**8)}", "dim")
    return spread(phase, Text("   ").join(parts), width)


def _of(name: str, value: float, most: float | None) -> Text:
    return Text.assemble((f"{name} ", "dim"), count_text(value), (f" of {count_text(most)}" if most else "", "dim"))


def _progress(engine: WatchedEngine, width: int) -> Text:
    progress = engine.now.get("progress", {})
    done, total, remaining = progress.get("done"), progress.get("total"), progress.get("remaining")
    parts = [f"{count_text(done)}{f'/{count_text(total)}' if total else ''}"]
    if progress.get("rate"):
        parts.append(f"{progress['rate']:,.3g} it/s")
    if progress.get("seconds") is not None:
        parts.append(_clock(progress["seconds"]))
    if remaining is not None:
        parts.append(f"{_clock(remaining)} left")
    right = Text(f" {'  '.join(parts)}")
    if not total or done is None:
        return spread(Text("iterations", "dim"), right, width)
    share = min(done / total, 1)
    percent = f"{share:4.0%} "
    room = max(width - right.cell_len - len(percent), 1)
    full = round(share * room)
    style = status_style(engine.status) or "white"
    return Text.assemble((percent, "bold"), ("━" * full, style), ("─" * (room - full), "dim"), right)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _rule(width: int) -> Text:
    return Text("─" * width, "dim")


# The middle


def _body(model: Model, controls: Controls, width: int, height: int) -> list[Text]:
    engine = model.shown
    if controls.shows_help:
        return [Text.assemble((f"  {keys:<10}", "bold"), text) for keys, text in HELP]
    if engine is None:
        return [Text("No engine is inspected." if model.hello else "Waiting for the inspector.", "dim")]
    if width < _TWO_COLUMNS:
        path = lifecycle_view.paragraph(engine, width)
        path = [*path[: max(height // 2, 1)], _rule(width)]
        return [*path, *_panel(model, controls, engine, width, height - len(path))]
    left = min(lifecycle_view.natural_width(engine), width // 2 - 1)
    column = lifecycle_view.column(engine, left, height)
    panel = _panel(model, controls, engine, width - left - 3, height)
    rows = max(len(column), len(panel))
    column += [Text()] * (rows - len(column))
    panel += [Text()] * (rows - len(panel))
    return [Text.assemble(fitted(one, left), (" │ ", "dim"), other) for one, other in zip(column, panel)]


def _panel(model: Model, controls: Controls, engine: WatchedEngine, width: int, height: int) -> list[Text]:
    if isinstance(controls.prompt, PhasePrompt):
        return _choices(controls.prompt, height)
    details = _details(model, engine, width)
    if details:
        return _scrolled(_stacked([*details, *all_sections(model, engine, width, 1)]), controls, width, height)
    controls.scroll = 0
    sections: list[Section] = []
    for rows in _CURVE_ROWS:
        sections = all_sections(model, engine, width, rows)
        lengths = [len(section.lines) for section in sections]
        lines = _stacked(sections, [*lengths[:1], *(min(length, _MOST) for length in lengths[1:])])
        if len(lines) <= height:
            return lines
    return _shared(sections, height)


def _details(model: Model, engine: WatchedEngine, width: int) -> list[Section]:
    failure = model.failures.get(engine.id)
    if failure is not None:
        return failure_sections(failure, engine, width)
    return pause_sections(model.look, width) if model.is_paused and model.look.get("engine") == engine.id else []


def _scrolled(lines: list[Text], controls: Controls, width: int, height: int) -> list[Text]:
    """Return the lines below those that were scrolled away, with a mark if more follow."""
    controls.scroll = min(controls.scroll, max(len(lines) - height, 0))
    shown = lines[controls.scroll : controls.scroll + height]
    below = len(lines) - controls.scroll - len(shown)
    if below or controls.scroll:
        mark = f" ↑ {controls.scroll}  ↓ {below} lines "
        shown[-1] = spread(shown[-1], Text(mark, "reverse"), width)
    return shown


def _shared(sections: Sequence[Section], height: int) -> list[Text]:
    """Return the sections, with the lines of the longest ones left out until all fit."""
    shown = [len(section.lines) for section in sections]
    while sum(shown) + 2 * len(shown) - 1 > height and max(shown, default=0) > 1:
        shown[max(range(len(shown)), key=lambda number: (shown[number], number))] -= 1
    return _stacked(sections, shown)[:height]


def _stacked(sections: Sequence[Section], most: Sequence[int] | None = None) -> list[Text]:
    """Return the lines of the sections, with an empty line between two."""
    rows = [None] * len(sections) if most is None else most
    return [line for section, limit in zip(sections, rows) for line in (*section.shown(limit), Text())][:-1]


def _choices(prompt: PhasePrompt, height: int) -> list[Text]:
    matches = prompt.matches
    first = min(max(prompt.index - height // 2, 0), max(len(matches) - height + 1, 0))
    rows = [Text(f"  {phase['name']}") for phase in matches]
    if rows:
        rows[prompt.index] = Text(f"▶ {matches[prompt.index]['name']}", "bold reverse")
    return [Text("phases  (↑ ↓ choose, tab completes, enter sets)", "bold"), *rows[first : first + height - 1]]


# The bottom


def _footer(model: Model, controls: Controls, width: int) -> list[Text]:
    if controls.question is not None:
        return [_rule(width), Text(controls.question.text, "bold yellow"), Text("any other key: no", "dim")]
    if controls.prompt is not None:
        prompt = controls.prompt
        hint = Text(prompt.error, "red") if prompt.error else Text(f"{prompt.help}; escape leaves", "dim")
        return [_rule(width), Text.assemble((f"{prompt.title}: ", "bold"), prompt.line, ("▏", "blink")), hint]
    return [_rule(width), _note(model), Text(_keys(model, width), "dim")]


def _note(model: Model) -> Text:
    if model.lost:
        return Text(model.lost, "red")
    return Text() if model.note is None else Text(model.note.text, "red" if model.note.is_error else "")


def _keys(model: Model, width: int) -> str:
    engine = model.shown
    status = "" if engine is None or model.hello.get("readOnly") or model.lost else engine.status
    keys = _KEYS.get(status, _KEYS["running"] if status else _KEYS[""])
    while len(keys) > width:  # the keys in the middle are in the help
        parts = keys.split("  ")
        keys = "  ".join([*parts[:-3], *parts[-2:]]) if len(parts) > 3 else keys[:width]
    return keys
