"""A hook of MkDocs: pages for the commands of ``fsm-engine`` and for the example programs, made from their code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
_EVERY_COMMAND = """!!! note "Every command"
    A target is `module:name` or `file.py:name` of an engine, a lifecycle or a function that returns one, or the file of
    a lifecycle; without one it is the standard lifecycle. Exit codes: 0 for success, 1 for a negative answer, 2 for an
    error, 130 for Ctrl-C. `fsm-engine --traceback` before the command shows the traceback of an error, and
    `fsm-engine --install-completion` completes phases and formats in your shell. The commands need
    `pip install "fsm-engine[cli]"`; an error for another missing library names its extra."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    for name, text in [*_commands(), *_examples()]:
        files.append(File.generated(config, name, content=text))
    return files


def _commands() -> Iterator[tuple[str, str]]:
    import typer

    from fsm_engine.cli.app import app

    root: Any = typer.main.get_command(app)
    rows = "\n".join(f"| [`{name}`]({name}.md) | {_text(command.help)} |" for name, command in root.commands.items())
    yield (
        "reference/commands/index.md",
        f'# Command line\n\n```bash\npip install "fsm-engine[cli]"\nfsm-engine --help\n```\n\n{_text(root.help)}\n\n'
        f"| command | |\n| --- | --- |\n{rows}\n\n## Options of every command\n\n{_parameters(root)}\n",
    )
    for name, command in root.commands.items():
        yield f"reference/commands/{name}.md", _command_page(name, command)


def _command_page(name: str, command: Any) -> str:
    parts = [f"# {name}", *_command_parts(name, command)]
    for sub_name, sub in getattr(command, "commands", {}).items():
        parts += [f"## {name} {sub_name}", *_command_parts(f"{name} {sub_name}", sub)]
    return "\n\n".join(part for part in (*parts, _EVERY_COMMAND) if part) + "\n"


def _command_parts(name: str, command: Any) -> Iterator[str]:
    from fsm_engine.cli.examples import EXAMPLES

    yield _text(command.help)
    arguments = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
    yield f"```text\nfsm-engine {name} [OPTIONS] {arguments}\n```"
    yield _parameters(command)
    examples = EXAMPLES.get(name, ())
    if examples:
        lines = "\n\n".join(f"# {effect}\nfsm-engine {line}" for line, effect in examples)
        yield f"```bash\n{lines}\n```"


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return str(name if parameter.required else f"[{name}]")


def _parameters(command: Any) -> str:
    rows = []
    for parameter in command.params:
        is_option = parameter.param_type_name == "option"
        names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
        name = names if is_option else f"`{_argument(parameter)}`"
        default = parameter.default
        shown = "" if callable(default) or default in (None, False, (), []) else f" Default: `{default}`."
        rows.append(f"| {name} | {_text(getattr(parameter, 'help', None))}{shown} |")
    return "\n".join(["| argument or option | |", "| --- | --- |", *rows]) if rows else ""


def _text(help_text: str | None) -> str:
    """Return a help text as Markdown, in one line per paragraph."""
    text = re.sub(r"\[bold\](.*?)\[/bold\]", r"**\1**", help_text or "")
    text = re.sub(r"\[cyan\](.*?)\[/cyan\]", r"`\1`", text).replace("\\[", "[")
    return re.sub(r"\s*\n\s*", " ", text).replace("|", "\\|").strip()


def _examples() -> Iterator[tuple[str, str]]:
    yield "examples/index.md", (ROOT / "examples" / "README.md").read_text()
    for path in sorted((ROOT / "examples").glob("*.py")):
        source = path.read_text()
        title, _, text = (ast.get_docstring(ast.parse(source)) or path.stem).partition("\n")
        text = re.sub(r"::\n\n((?:    .*\n?)+)", lambda m: ":\n\n" + m[1] + "\n", text.strip("\n") + "\n")
        program = source.partition('"""\n\n')[2]
        drawn = (ROOT / "diagrams" / f"{path.stem}.svg").exists()
        picture = f"![The lifecycle of {path.name}](../diagrams/{path.stem}.svg)\n\n" if drawn else ""
        yield f"examples/{path.stem}.md", f"# {path.name}\n\n{title}\n\n{text}\n\n{picture}```py\n{program}```\n"
