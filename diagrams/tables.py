"""Write the tables of events into the documents, from the graphs: ``python diagrams/tables.py``.

A table stands between ``<!-- events of training -->`` and ``<!-- end of events -->``, in whatever document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from fsm_engine import Lifecycle

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / name for name in ("README.md", "DESIGN.md", "CONTRIBUTING.md")]
TABLES: dict[str, Callable[[], str]] = {
    "training": lambda: Lifecycle.training().to_markdown(),
    "every lifecycle": lambda: Lifecycle().to_markdown(),
}
PLACE = re.compile(r"(?<=<!-- events of )(?P<name>[\w ]+) -->\n.*?(?=\n<!-- end of events -->)", re.DOTALL)


def refreshed(text: str) -> str:
    """Return a document with its tables as they are today.

    Raises:
        KeyError: a table that nobody knows.
    """
    return PLACE.sub(lambda place: f"{place['name']} -->\n\n{TABLES[place['name']]()}\n", text)


def main() -> None:
    """Write the documents."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        if refreshed(text) != text:
            document.write_text(refreshed(text), encoding="utf-8")


if __name__ == "__main__":
    main()
