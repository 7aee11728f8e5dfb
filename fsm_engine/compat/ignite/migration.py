"""`migrate`: change the imports of pytorch-ignite in a program to fsm_engine, and find the lines that need a human.

Only the word ``ignite`` is replaced, at positions that Python's own parser gives. So the formatting stays as it is, and
no library for rewriting source is needed.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from fsm_engine._util.lazy_modules import missing

OLD, NEW = "ignite", "fsm_engine"
_IN_STRING = re.compile(r"\bignite\.(base|contrib|distributed|engine|exceptions|handlers|metrics|utils)\b")
_COMMAND = re.compile(r"^(\s*)(?:[%!?].*|\w[\w., ]*=\s*[%!].*|[\w.]+\?\??\s*)$")  # of a notebook: not Python


@dataclass(frozen=True)
class Change:
    """A line before and after the replacement."""

    line: int
    before: str
    after: str


@dataclass(frozen=True)
class Note:
    """A line that needs a human: the reason, and the first cell of the row of ``docs/differences.md`` about it."""

    line: int
    reason: str
    row: str | None = None


@dataclass(frozen=True)
class Migration:
    """The new source of a program, its changed lines, and its lines that need a human."""

    source: str
    changes: list[Change]
    notes: list[Note]


@dataclass(frozen=True)
class Rule:
    """A use of pytorch-ignite that may act differently.

    Attributes:
        name: name of an attribute, a class or a keyword argument.
        row: first cell of the row of ``docs/differences.md``.
        keyword: keyword argument that the call has; None for any use.
        values: values of the keyword argument; empty for any value.
    """

    name: str
    row: str
    keyword: str | None = None
    values: tuple[Any, ...] = ()


RULES = (
    Rule("EXCEPTION_RAISED", "an exception while EXCEPTION_RAISED has a handler"),
    Rule("StopIteration", "StopIteration from a handler or step"),
    Rule("register_events", "`register_events(event_to_attr=...)`", "event_to_attr"),
    Rule("terminate_epoch", "`terminate_epoch()` with no epoch open"),
    Rule("interrupt", "new data for a suspended run"),
    Rule("LRScheduler", "`LRScheduler`"),
    Rule("ReduceLROnPlateauScheduler", "`ReduceLROnPlateauScheduler(min_lr=...)`", "min_lr"),
    Rule("create_supervised_trainer", '`amp_mode="apex"`, `"tpu"`', "amp_mode", ("apex", "tpu")),
    Rule("create_supervised_evaluator", '`amp_mode="apex"`, `"tpu"`', "amp_mode", ("apex", "tpu")),
    Rule("Parallel", "`Parallel` and `spawn`", "nproc_per_node"),
    Rule("Parallel", "`Parallel` and `spawn`", "nnodes"),
)
_SHARED = {"LRScheduler", "Parallel"}
"""Names that other libraries have, too: they count only if they come from ignite."""


def migrate(source: str) -> Migration:
    """Return `source` with its imports of ignite changed, and the lines that need a human.

    A program that does not import ignite is returned unchanged.

    Raises:
        SyntaxError: `source` is not Python. Commands of notebooks, such as ``%matplotlib inline``, ``!ls``, ``x?``,
            and cells in other languages, are left alone.
    """
    lines = lines_of(source)
    program = _Program(*_parsed(lines))
    if not program.imported:
        return Migration(source, [], sorted(program.strings(), key=lambda note: note.line))
    new = _replaced(lines, program.positions())
    changes = [
        Change(number, before.strip(), after.strip())
        for number, (before, after) in enumerate(zip(lines, new), 1)
        if before != after
    ]
    return Migration("".join(new), changes, program.notes())


def lines_of(source: str) -> list[str]:
    """Return the lines with their ends. Only ends of lines for Python count, so form feeds and the like do not."""
    return list(io.StringIO(source, newline=""))


def _parsed(lines: list[str]) -> tuple[ast.Module, str]:
    """Return the syntax tree, and the source that was parsed, without the commands of notebooks."""
    plain = [line.rstrip("\r\n") for line in lines]
    try:
        return _tree(plain)
    except SyntaxError:
        return _tree([_COMMAND.sub(r"\1pass", line) for line in plain])


def _tree(lines: list[str]) -> tuple[ast.Module, str]:
    source = "\n".join([*lines, ""])
    return ast.parse(source), source


def is_python(cell: str) -> bool:
    """Return True if a cell of a notebook is Python, apart from its commands."""
    try:
        _parsed(lines_of(cell))
    except SyntaxError:
        return False
    return True


class _Program:
    """The syntax tree of a program, and the paths of pytorch-ignite that it imports."""

    def __init__(self, tree: ast.Module, source: str) -> None:
        self.source = source
        self.nodes = list(ast.walk(tree))
        self.lines = lines_of(source)
        self.imported: dict[str, str] = {}  # the path of pytorch-ignite for each local name
        self.statements: list[tuple[int, str]] = []  # the lines of the imports, and the paths that they ask for
        for node in self.nodes:
            if isinstance(node, ast.Import):
                self._add_import(node)
            elif isinstance(node, ast.ImportFrom) and not node.level and _is_ignite(node.module):
                self._add_import_from(node)

    def _add_import(self, node: ast.Import) -> None:
        for alias in node.names:
            if _is_ignite(alias.name):
                self.imported[alias.asname or OLD] = alias.name if alias.asname else OLD
                self.statements.append((alias.lineno, alias.name))

    def _add_import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            path = str(node.module) if alias.name == "*" else f"{node.module}.{alias.name}"
            self.imported[alias.asname or alias.name] = path
            self.statements.append((alias.lineno, path))

    def positions(self) -> Iterator[tuple[int, int]]:
        """Yield the lines and columns at which the word ignite has to be replaced."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if _is_ignite(alias.name):
                        yield alias.lineno, self._column(alias.lineno, alias.col_offset)
            elif isinstance(node, ast.Name) and node.id == OLD and self.imported.get(OLD) == OLD:
                yield node.lineno, self._column(node.lineno, node.col_offset)
        yield from self._modules_of_from()

    def _modules_of_from(self) -> Iterator[tuple[int, int]]:
        starts = {
            (node.lineno, self._column(node.lineno, node.col_offset))
            for node in self.nodes
            if isinstance(node, ast.ImportFrom) and not node.level and _is_ignite(node.module)
        }
        is_next = False
        for token in tokenize.generate_tokens(io.StringIO(self.source).readline):
            if is_next and token.type == tokenize.NAME:
                yield token.start
            is_next = token.start in starts or (is_next and token.type != tokenize.NAME)

    def _column(self, line: int, offset: int) -> int:
        """Return the column of an offset in bytes, which the syntax tree has."""
        return len(self.lines[line - 1].encode()[:offset].decode())

    def notes(self) -> list[Note]:
        """Return the lines that need a human, in order."""
        notes = {*self.missing_names(), *self.uses(), *self.strings(), *self.other_variables()}
        return sorted(notes, key=lambda note: (note.line, note.reason))

    def missing_names(self) -> Iterator[Note]:
        """Yield a note for each path that does not exist in fsm_engine."""
        for line, path in [*self.statements, *self._attributes()]:
            reason = _problem(path)
            if reason is not None:
                yield Note(line, reason)

    def _attributes(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Attribute):
                names = _dotted(node)
                if names and names[0] in self.imported and _is_module(self.imported[names[0]]):
                    yield node.lineno, ".".join([self.imported[names[0]], *names[1:]])

    def uses(self) -> Iterator[Note]:
        """Yield a note for each use that a rule describes."""
        rules: dict[str, list[Rule]] = {}
        for rule in RULES:
            rules.setdefault(rule.name, []).append(rule)
        for node in self.nodes:
            called = node.func if isinstance(node, ast.Call) else node
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if self._is_from_elsewhere(called):
                continue
            for rule in rules.get(str(name), ()):
                if isinstance(node, ast.Call) and _fits(rule, node):
                    yield Note(node.lineno, f"{rule.name}({rule.keyword}=...)" if rule.keyword else rule.name, rule.row)
                elif isinstance(node, (ast.Attribute, ast.Name)) and rule.keyword is None and not _is_call(rule):
                    yield Note(node.lineno, rule.name, rule.row)

    def _is_from_elsewhere(self, node: ast.AST) -> bool:
        """Return True if `node` is a name that other libraries have, too, and is not imported from ignite."""
        names = _dotted(node)
        return bool(names) and names[-1] in _SHARED and names[0] not in self.imported

    def strings(self) -> Iterator[Note]:
        """Yield a note for each string that names a path of ignite, except docstrings."""
        docstrings = {id(node.value) for node in self.nodes if isinstance(node, ast.Expr)}
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                found = _IN_STRING.search(node.value)
                if found:
                    yield Note(node.lineno, f"a string names {found.group()}: change it if it is a path or a logger")

    def other_variables(self) -> Iterator[Note]:
        """Yield a note for each parameter or global statement with the name of the imported package."""
        for node in self.nodes if self.imported.get(OLD) == OLD else ():
            names = [node.arg] if isinstance(node, ast.arg) else getattr(node, "names", ())
            if isinstance(node, (ast.arg, ast.Global, ast.Nonlocal)) and OLD in names:
                yield Note(node.lineno, f"{OLD} is a variable here, too: rename it as the names around it were renamed")


def _is_ignite(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] == OLD


def _dotted(node: ast.AST) -> list[str]:
    """Return the names of ``a.b.c``; an empty list for other expressions."""
    if isinstance(node, ast.Name):
        return [node.id]
    if isinstance(node, ast.Attribute):
        names = _dotted(node.value)
        return [*names, node.attr] if names else []
    return []


def _is_call(rule: Rule) -> bool:
    return rule.name not in ("EXCEPTION_RAISED", "StopIteration")


def _fits(rule: Rule, call: ast.Call) -> bool:
    if not _is_call(rule) or rule.keyword is None:
        return _is_call(rule)
    given = [keyword.value for keyword in call.keywords if keyword.arg == rule.keyword]
    if given and isinstance(given[0], ast.Constant) and given[0].value is None:
        return False
    return bool(given) and (not rule.values or getattr(given[0], "value", None) in rule.values)


def _problem(path: str) -> str | None:
    """Return why the counterpart of `path`, a path of pytorch-ignite, cannot be imported; None if it can."""
    own = path.removeprefix(OLD).removeprefix(".")
    return None if _found(own) else missing(own) or f"fsm_engine.{own} does not exist: it is a private name of ignite"


def _is_module(path: str) -> bool:
    try:
        import_module(f"{NEW}{path.removeprefix(OLD)}")
    except ImportError:
        return False
    return True


def _found(path: str) -> bool:
    """Return True if `path` is a module of fsm_engine, or an attribute of one, or below such an attribute."""
    thing = import_module(NEW)
    walked = NEW
    for name in path.split(".") if path else ():
        walked = f"{walked}.{name}"
        try:
            thing = getattr(thing, name)
        except AttributeError:
            try:
                thing = import_module(walked)
            except ImportError:
                return False
        if not hasattr(thing, "__path__") and not hasattr(thing, "__spec__"):
            return True  # a class or a function; its attributes are not checked
    return True


def _replaced(lines: list[str], positions: Iterator[tuple[int, int]]) -> list[str]:
    new = list(lines)
    for line, column in sorted(set(positions), reverse=True):
        text = new[line - 1]
        new[line - 1] = text[:column] + NEW + text[column + len(OLD) :]
    return new
