"""The documentation site: built strictly, complete, and readable without a network."""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchmetrics")
pytest.importorskip("mkdocs")
pytest.importorskip("mkdocstrings")

import fsm_engine

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, str]:
    return {path.relative_to(site).as_posix(): path.read_text() for path in site.glob("**/*.html")}


def public_names() -> Iterator[tuple[str, str]]:
    """Yield each package that declares public names, with each of them."""
    packages = ["fsm_engine", *(m.name for m in pkgutil.walk_packages(fsm_engine.__path__, "fsm_engine.") if m.ispkg)]
    for package in packages:
        if package.startswith(("fsm_engine._", "fsm_engine.cli")):
            continue
        for name in getattr(import_module(package), "__all__", ()):
            yield package, name


def test_the_reference_has_an_anchor_for_each_public_name(pages: dict[str, str]) -> None:
    reference = (text for name, text in pages.items() if name.startswith("reference/"))
    anchors = {anchor for text in reference for anchor in re.findall(r'\bid="([^"]+)"', text)}

    names = list(public_names())
    values = {(package, name): getattr(import_module(package), name) for package, name in names}
    with_anchor = {
        id(value)
        for (package, name), value in values.items()
        if {f"{package}.{name}", f"{getattr(value, '__module__', '')}.{name}"} & anchors
    }
    by_ignite = ("supervised_training_step_amp", "supervised_evaluation_step_amp", "convert_tensor")
    with_anchor |= {
        id(values["fsm_engine.engine", name]) for name in by_ignite if any(a.endswith(name) for a in anchors)
    }
    assert {"fsm_engine.handlers", "fsm_engine.metrics", "fsm_engine.loggers"} < {package for package, _ in names}
    assert [f"{package}.{name}" for (package, name), value in values.items() if id(value) not in with_anchor] == []


def test_no_entry_of_the_reference_is_a_module_instead_of_the_function_with_its_name(pages: dict[str, str]) -> None:
    assert [name for name, text in pages.items() if "doc-symbol-module" in text] == []


@pytest.mark.parametrize("facade", ["fsm_engine.Engine", "fsm_engine.Lifecycle", "fsm_engine.timeline.Timeline"])
def test_the_reference_has_each_method_of_a_facade_also_if_it_is_inherited(pages: dict[str, str], facade: str) -> None:
    package, _, name = facade.rpartition(".")
    methods = [method for method, _ in inspect.getmembers(getattr(import_module(package), name), inspect.isfunction)]
    methods = [method for method in methods if not method.startswith("_")]
    assert len(methods) > 10
    anchors = {anchor for text in pages.values() for anchor in re.findall(r'\bid="([^"]+)"', text)}
    assert [method for method in methods if f"{facade}.{method}" not in anchors] == []


def test_each_command_has_a_page_with_all_of_its_options(pages: dict[str, str]) -> None:
    typer = pytest.importorskip("typer")
    from fsm_engine.cli.app import app

    for name, command in typer.main.get_command(app).commands.items():
        page = pages[f"reference/commands/{name}.html"]
        for one in (command, *getattr(command, "commands", {}).values()):
            options = {option for parameter in one.params for option in parameter.opts if option.startswith("--")}
            assert [option for option in sorted(options) if f"<code>{option}</code>" not in page] == []


def test_no_page_loads_anything_from_the_network(site: Path, pages: dict[str, str]) -> None:
    loads = r'<(?:script|img|iframe|source)\b[^>]*\bsrc(?:set)?="https?:|<link\b[^>]*\bhref="https?:'
    assert [name for name, text in pages.items() if re.search(loads, text)] == []
    styles = [path for path in site.glob("**/*.css") if re.search(r"url\([\"']?https?:", path.read_text())]
    assert styles == []


def test_the_search_finds_pages_without_a_server(site: Path) -> None:
    index = (site / "search" / "search_index.js").read_text()
    assert "Resume after a kill" in index
    assert "reference/handlers.html" in index


def test_each_picture_is_in_the_site(site: Path, pages: dict[str, str]) -> None:
    missing = [
        (name, picture)
        for name, text in pages.items()
        for picture in re.findall(r'<(?:img|source)\b[^>]*\bsrc(?:set)?="([^":#]+)[#"]', text)
        if not ((site / name).parent / picture).exists()
    ]
    assert missing == []


def test_no_page_shows_markup_as_text(pages: dict[str, str]) -> None:
    for name, text in pages.items():
        prose = re.sub(r"<(pre|code|script|style)\b.*?</\1>|<[^>]+>", " ", text, flags=re.S)
        assert re.findall(r"\[/?(?:bold|cyan|dim)\]|\]\([\w./#-]+\)|`|^:::", prose, re.MULTILINE) == [], name


def test_no_page_is_nearly_empty(pages: dict[str, str]) -> None:
    articles = {
        name: match[1]
        for name, text in pages.items()
        if (match := re.search(r"<article\b.*?>(.*)</article>", text, re.S))
    }
    assert len(articles) >= 40
    words = {name: len(re.sub(r"<[^>]+>", " ", article).split()) for name, article in articles.items()}
    assert [
        name for name, count in words.items() if count < 100 and "<img" not in articles[name] and name != "404.html"
    ] == []
