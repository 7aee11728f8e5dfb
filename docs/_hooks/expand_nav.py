"""A hook of MkDocs: an entry of the navigation that ends in ``*`` stands for the other pages of its folder.

If the folder has an index with headings and lists of links, the navigation has these groups and titles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files

DOCS = Path(__file__).resolve().parents[1]


@event_priority(-100)  # after the hook that generates pages
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the patterns of the navigation."""
    nav = config.nav or []
    named = set(_named(nav))
    pages = sorted(file.src_uri for file in files.documentation_pages() if file.src_uri not in named)
    config.nav = list(_expanded(nav, pages))
    return files


def _named(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _named(part)


def _expanded(entries: list[Any], pages: list[str]) -> Iterator[Any]:
    for entry in entries:
        if isinstance(entry, dict):
            ((title, value),) = entry.items()
            if isinstance(value, str) and value.endswith("*"):
                value = [value]
            yield {title: list(_expanded(value, pages)) if isinstance(value, list) else value}
        elif entry.endswith("*"):
            matches = [page for page in pages if fnmatchcase(page, entry)]
            groups = list(_groups(entry.removesuffix("*"), matches))
            grouped = set(_named(groups))
            rest = [page for page in matches if page not in grouped]
            yield from sorted(rest, key=lambda page: (not page.endswith("/index.md"), page))
            yield from groups
        else:
            yield entry


def _groups(folder: str, pages: list[str]) -> Iterator[dict[str, list[dict[str, str]]]]:
    index = DOCS / folder / "index.md"
    text = index.read_text() if index.exists() else ""
    for group in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = group.partition("\n")
        links = re.findall(r"^- \[(.+?)\]\(([^)/]+\.md)\)", body, re.MULTILINE)
        entries = [{title: folder + name} for title, name in links if folder + name in pages]
        if entries:
            yield {heading: entries}
