"""An extension of griffe: in docstrings, ``::`` becomes a colon or nothing, and ``Example:`` a section."""

from __future__ import annotations

import re
from typing import Any

import griffe


class LiteralBlocks(griffe.Extension):
    """Docstrings mark blocks of code as `pydoc` readers expect; Markdown needs only the indentation."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of an object that was read."""
        if obj.docstring:
            text = re.sub(r"^::\n\n", "", obj.docstring.value, flags=re.MULTILINE)
            text = re.sub(r"::(?=\n\n)", ":", text)
            obj.docstring.value = re.sub(r"^Example:(?=\n +>>> )", "Examples:", text, flags=re.MULTILINE)
