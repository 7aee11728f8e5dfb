"""Which position the function of a lifecycle is certain to reach next, per line of its source.

Another thread can read the line at which a function is, but not when the function last read its flag. At the lines that
`line_positions` returns, a flag that is set is read before the function gets beyond the next safe position.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache

from fsm_engine._util.syntax_trees import making_syntax_tree
from fsm_engine.graph.positions import is_entered


@lru_cache(maxsize=16)
def line_positions(source: str) -> dict[int, int]:
    """Return, by line number of `source`, the position that the function works on, if it reads its flag next.

    At lines of the position before a phase, the handlers of the phase are called, and then the flag is read. At lines
    of the position after its handlers, the activity runs or an exit is chosen; the flag is read before the function
    gets beyond the handlers of the next phase. Lines that follow a reading of the flag are missing.

    Args:
        source: the text of a function from `CodeGenerator.text`.
    """
    with making_syntax_tree:
        (function,) = ast.parse(source).body
    return dict(_of_blocks(function))


def _of_blocks(node: ast.AST) -> Iterator[tuple[int, int]]:
    """Yield the lines and positions of the blocks ``if position <= ...`` in `node` that contain no other blocks."""
    for child in ast.iter_child_nodes(node):
        limit = _limit(child)
        if limit is None or any(_limit(inner) is not None for inner in ast.walk(child) if inner is not child):
            yield from _of_blocks(child)
        elif isinstance(child, ast.If):
            lines = _lines_until_flag(child.body) if is_entered(limit) else _lines_of_handlers(child.body, limit)
            yield from ((line, limit) for line in lines)


def _limit(node: ast.AST) -> int | None:
    """Return the number in ``if position <= number:``; None for other nodes."""
    if not isinstance(node, ast.If):
        return None
    match node.test:
        case ast.Compare(ast.Name("position"), [ast.LtE()], [ast.Constant(int(number))]):
            return number
    return None


def _lines_of_handlers(body: Sequence[ast.stmt], position: int) -> Iterator[int]:
    """Yield the lines between the last assignment of `position` to the cursor and the reading of the flag."""
    text = f"cursor.position = {position}"
    starts = [index for index, statement in enumerate(body) if ast.unparse(statement) == text]
    if starts and _reads_flag(body[-1]):
        yield from _lines_until_flag(body[starts[-1] + 1 :])


def _lines_until_flag(body: Sequence[ast.stmt]) -> Iterator[int]:
    for statement in body:
        if not _reads_flag(statement):
            yield from _lines(statement)
            continue
        if isinstance(statement, ast.If) and not _reads_flag(statement.test):
            yield from _lines(statement.test)
            yield from _lines_until_flag(statement.body)
            yield from _lines_until_flag(statement.orelse)
        return


def _reads_flag(node: ast.AST) -> bool:
    return any(isinstance(inner, ast.Attribute) and inner.attr == "needs_attention" for inner in ast.walk(node))


def _lines(node: ast.stmt | ast.expr) -> range:
    return range(node.lineno, (node.end_lineno or node.lineno) + 1)
