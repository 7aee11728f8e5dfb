"""XML parsing without document types, entities or external references, with line numbers for error messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.values import short_repr

_MAX_DEPTH = 64


@dataclass(eq=False)
class Element:
    """An XML element without its text. `line` is the line of its start tag.

    Names of elements and attributes in a namespace are written ``namespace name``.
    """

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)

    def find_all(self, tag: str) -> list[Element]:
        """Return the children with the tag `tag`."""
        return [child for child in self.children if child.tag == tag]

    def error(self, message: str) -> LifecycleError:
        """Return an error whose message begins with the line of this element."""
        return LifecycleError(f"line {self.line}: {message}")


def parse_xml(text: str, caller: str) -> Element:
    """Return the root element of an XML text.

    Args:
        text: the XML.
        caller: the name of the public function that was given the text, for the TypeError.

    Raises:
        LifecycleError: the text is not well-formed, has a document type, or is nested deeper than 64 elements.
        TypeError: `text` is not a string.
    """
    if not isinstance(text, str):
        raise TypeError(f"{caller} reads a string, got {short_repr(text)}. For a file, use Lifecycle.load(path).")
    parser = expat.ParserCreate("utf-8", " ")
    document = Element("", {}, 0)
    stack = [document]

    def start(tag: str, attributes: dict[str, str]) -> None:
        element = Element(tag, attributes, parser.CurrentLineNumber)
        if len(stack) > _MAX_DEPTH:
            raise element.error(f"elements are nested deeper than {_MAX_DEPTH}.")
        stack[-1].children.append(element)
        stack.append(element)

    def refuse_doctype(*_args: Any) -> NoReturn:  # without one, XML has no entities and refers to no other file
        raise LifecycleError(
            f"line {parser.CurrentLineNumber}: the XML has a document type. It can declare entities that read other "
            f"files or expand without limit. Remove the <!DOCTYPE ...>."
        )

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: stack.pop()
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise LifecycleError(f"line {error.lineno}, column {error.offset + 1}: invalid XML: {reason}.") from None
    except UnicodeEncodeError as error:
        raise LifecycleError(f"invalid XML: character {error.start} is a lone surrogate.") from None
    return document.children[0]
