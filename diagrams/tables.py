"""Update the tables of events in a document from the graphs: ``python diagrams/tables.py``.

A table is between the comments ``<!-- events of training -->`` and ``<!-- end of events -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fsm_engine import Lifecycle

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "topics" / "training-lifecycle.md"
TABLES: dict[str, Callable[[], str]] = {
    "training": lambda: Lifecycle.training().to_markdown(),
    "every lifecycle": lambda: Lifecycle().to_markdown(),
}
PLACE = re.compile(r"(?<=<!-- events of )(?P<name>[\w ]+) -->\n.*?(?=\n<!-- end of events -->)", re.DOTALL)


def update_tables(text: str) -> str:
    """Return the text of a document with up-to-date tables.

    Raises:
        KeyError: the document has a table that is not in `TABLES`.
    """
    return PLACE.sub(lambda place: f"{place['name']} -->\n\n{TABLES[place['name']]()}\n", text)


def main() -> None:
    """Update the document."""
    DOCUMENT.write_text(update_tables(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
