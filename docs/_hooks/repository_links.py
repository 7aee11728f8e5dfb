"""A hook of MkDocs: links from pages to files of the repository, such as ``../DESIGN.md``, lead to pages of the site.

GitHub shows the same pages, so their links name files of the repository. A picture outside of ``docs/`` is copied into
the site; a link to a file that the site does not have becomes its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "DESIGN.md": "explanation/design.md",
    "CONTRIBUTING.md": "explanation/contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "explanation/security.md",
}
PICTURES = ("diagrams/*.svg", "diagrams/*.png", "benchmarks/results/*.svg")

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
_ATTRIBUTE = re.compile(r"\b(?P<name>src|srcset|href)=\"(?P<target>[^\"#:]+)\"")
_CODE = re.compile(r"`[^`\n]+`")
_FENCE = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents and pictures of the repository that the pages show."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    for pattern in PICTURES:
        for path in sorted(ROOT.glob(pattern)):
            files.append(File.generated(config, path.relative_to(ROOT).as_posix(), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page."""
    del config
    here = page.file.src_uri
    source = next((name for name, uri in PAGES.items() if uri == here), f"docs/{here}")
    parts = _FENCE.split(markdown)
    return "".join(
        part if part.startswith("```") else _with_links(part, Path(source).parent.as_posix(), here, files)
        for part in parts
    )


def _with_links(text: str, folder: str, page: str, files: Files) -> str:
    def link(match: re.Match[str]) -> str:
        target, anchor = match["target"], match["anchor"] or ""
        if ":" in target:
            return match[0]
        place, keep_anchor = _place(posixpath.normpath(posixpath.join(folder, target)), files)
        if place is None:
            return match["text"]
        relative = posixpath.relpath(place, posixpath.dirname(page) or ".")
        shown = f"{match['image']}[{match['text']}]({relative}{anchor if keep_anchor else ''})"
        return f"[{shown}]({relative})" if place.endswith(".svg") and match["image"] else shown  # opens in full size

    def attribute(match: re.Match[str]) -> str:
        place, _ = _place(posixpath.normpath(posixpath.join(folder, match["target"])), files)
        # HTML is not rewritten by MkDocs, so this path is relative to the page of the site
        relative = posixpath.relpath(place or match["target"], posixpath.dirname(page) or ".")
        return f'{match["name"]}="{relative}"' if place else match[0]

    text = _CODE.sub(lambda match: match[0].replace("\\|", "|"), text)  # in tables, GitHub needs the backslash
    return _ATTRIBUTE.sub(attribute, _LINK.sub(link, text))


def _place(path: str, files: Files) -> tuple[str | None, bool]:
    """Return the page or picture of the site for a file of the repository, and whether it has the same anchors."""
    path = path.removeprefix("docs/")
    if path == "README.md":
        return "index.md", False
    if path in PAGES:
        return PAGES[path], True
    if path == "examples/README.md":
        return "examples/index.md", True
    if path.startswith("examples/") and path.endswith(".py"):
        path = path.removesuffix(".py") + ".md"
        return (path, False) if files.get_file_from_path(path) else (None, False)
    if files.get_file_from_path(path) or (path.endswith(".md") and not path.startswith(("..", "benchmarks/"))):
        return path, True  # MkDocs reports a page that is missing
    return None, False
