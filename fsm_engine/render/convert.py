"""SVG pictures as PNG and PDF, converted by Typst, which needs no system library and brings fonts of its own."""

from __future__ import annotations

from typing import Literal

from fsm_engine._util.extras import import_extra

DENSITY = 144
"""Dots per inch of a PNG. A pixel of the SVG is a point, 1/72 inch, so a PNG has twice as many pixels each way."""

# Typst takes a pixel of an SVG as 1/96 inch. Without a date, the same picture always gives the same bytes.
_PAGE = b"""
#set document(date: none)
#set page(width: auto, height: auto, margin: 0pt, fill: none)
#scale(400% / 3, reflow: true, image(bytes(sys.inputs.svg), format: "svg"))
"""


def convert_svg(svg: str, format: Literal["png", "pdf"]) -> bytes:  # noqa: A002  # the parameter name of draw()
    """Convert an SVG document to a PNG, or to a PDF with one page of the same size.

    A PNG has `DENSITY` dots per inch. A PDF keeps texts as texts and lines as lines. Both are transparent where the
    SVG has no background. The first conversion of a process takes longer, because it looks for the system's fonts.

    Raises:
        ModuleNotFoundError: Typst is not installed; the message has the command that installs it.
    """
    typst = import_extra("typst", "draw", f"A .{format} picture needs typst, an .svg picture needs no other package")
    converted: bytes = typst.compile(_PAGE, format=format, ppi=DENSITY, sys_inputs={"svg": svg})
    return converted
