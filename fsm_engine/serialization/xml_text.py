"""XML read safely, with line numbers: no document type, so no entities; no external references; not too deep."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.found import shown

_DEEPEST = 64


@dataclass(eq=False)
class Element:
    """An element without its text, with the line that it begins in. Names are written ``{namespace}name``."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)

    def all(self, tag: str) -> list[Element]:
        """Return the children of that name."""
        return [child for child in self.children if child.tag == tag]

    def refused(self, why: str) -> LifecycleError:
        """Return an error about this element."""
        return LifecycleError(f"line {self.line}: {why}")


def parsed(text: str, reader: str) -> Element:
    """Return the root of an XML text, for the function called `reader`.

    Raises:
        LifecycleError: for what is no XML, or has a document type, or is nested too deep.
        TypeError: if `text` is no string.
    """
    if not isinstance(text, str):
        raise TypeError(f"{reader} reads a string, got {shown(text)}. For a file, use Lifecycle.load(path).")
    return _Parser().parse(text)


class _Parser:
    def __init__(self) -> None:
        self.root: Element | None = None
        self.open: list[Element] = []
        self.expat: Any = expat.ParserCreate("utf-8", "}")
        self.expat.StartDoctypeDeclHandler = self._refuse_doctype
        self.expat.EntityDeclHandler = self._refuse_doctype
        self.expat.ExternalEntityRefHandler = self._refuse_doctype
        self.expat.StartElementHandler = self._start
        self.expat.EndElementHandler = self._end

    def parse(self, text: str) -> Element:
        try:
            self.expat.Parse(text.encode(), True)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise LifecycleError(f"line {error.lineno}, column {error.offset + 1}: this is no XML: {what}.") from None
        except UnicodeEncodeError as error:
            raise LifecycleError(f"character {error.start} of this XML is half of one.") from None
        assert self.root is not None  # or expat had refused
        return self.root

    def _refuse_doctype(self, *_about: Any) -> NoReturn:
        raise LifecycleError(
            f"line {self.expat.CurrentLineNumber}: it has a document type or an entity, which a lifecycle needs not, "
            f"and which could make it read other files or grow without end. Take the <!DOCTYPE> out."
        )

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        element = Element(_named(tag), {_named(k): v for k, v in attributes.items()}, self.expat.CurrentLineNumber)
        if len(self.open) >= _DEEPEST:
            raise element.refused(f"it is nested deeper than {_DEEPEST} elements.")
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def _end(self, _tag: str) -> None:
        self.open.pop()


def _named(name: str) -> str:
    return f"{{{name}" if "}" in name else name
