"""The source distribution and the wheel: their files, the page on the package index, and an installation."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from shutil import copy
from types import ModuleType
from zipfile import ZipFile

import pytest

for needed in ("build", "hatchling", "readme_renderer", "twine"):
    pytest.importorskip(needed)

ROOT = Path(__file__).resolve().parents[2]
REPOSITORY = "https://forge.example/owner/project"


def run(*command: str | Path, cwd: Path) -> str:
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@dataclass
class Built:
    """The two files that a release uploads."""

    wheel: Path
    sdist: Path

    def in_wheel(self) -> set[str]:
        with ZipFile(self.wheel) as archive:
            return {name for name in archive.namelist() if not name.endswith("/")}

    def in_sdist(self) -> set[str]:
        with tarfile.open(self.sdist) as archive:
            return {name.partition("/")[2] for name in archive.getnames()}

    def metadata(self) -> Message:
        with ZipFile(self.wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
            return message_from_bytes(archive.read(name))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the sdist from the checkout, and the wheel from the sdist."""
    directory = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", directory, ROOT, cwd=directory)
    return Built(*directory.glob("*.whl"), *directory.glob("*.tar.gz"))


def test_twine_finds_nothing_wrong(built: Built, tmp_path: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", built.wheel, built.sdist, cwd=tmp_path)


def test_the_wheel_contains_all_files_of_the_package_and_no_others(built: Built) -> None:
    package = {path.relative_to(ROOT).as_posix() for path in (ROOT / "fsm_engine").rglob("*") if path.is_file()}
    package = {name for name in package if "__pycache__" not in name}
    in_wheel = {name for name in built.in_wheel() if ".dist-info/" not in name}
    assert in_wheel == package
    assert {"fsm_engine/py.typed", "fsm_engine/render/assets/inspector/page.html"} <= package
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in built.in_wheel())


@pytest.mark.parametrize("folder", ["fsm_engine", "tests", "examples", "benchmarks", "diagrams", "docs"])
def test_the_sdist_contains_all_that_the_tests_need(built: Built, folder: str) -> None:
    in_sdist = built.in_sdist()
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / folder).rglob("*") if path.suffix in (".md", ".py")]
    assert [name for name in files if "node_modules" not in name and name not in in_sdist] == []
    assert {"README.md", "LICENSE", "SECURITY.md", "CITATION.cff", "pyproject.toml", "hatch_build.py"} <= in_sdist


def test_the_metadata_has_what_the_package_index_shows(built: Built) -> None:
    metadata = built.metadata()
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert metadata["Requires-Python"] == ">=3.10"
    classifiers = metadata.get_all("Classifier", [])
    assert "Typing :: Typed" in classifiers
    assert [name for name in classifiers if name.startswith("License ::")] == []  # the expression replaces them


def test_each_python_of_the_classifiers_is_tested() -> None:
    classified = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text())
    (row,) = re.findall(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert re.findall(r'"(.*?)"', row) == classified


def test_the_installed_wheel_runs_without_torch_and_without_the_checkout(built: Built, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--no-compile")
    run(*pip, built.wheel, cwd=tmp_path)
    (tmp_path / "program.py").write_text(
        "import fsm_engine\n"
        "from fsm_engine import Engine, Events\n"
        "from fsm_engine.render.inspector_page import inspector_page, inspector_script, inspector_style\n"
        "engine = Engine(lambda engine, batch: batch * 2)\n"
        "engine.add_event_handler(Events.ITERATION_COMPLETED(every=2), lambda e: print(e.state.output, end=' '))\n"
        "with engine.record() as timeline:\n"
        "    engine.run([1, 2, 3], max_epochs=2)\n"
        "engine.lifecycle.draw('page.html')\n"
        "timeline.draw('timeline.html')\n"
        "inspector_page() + inspector_script() + inspector_style()\n"
        "print(fsm_engine.__file__)\n"
    )
    output = run(python, "-I", "-W", "error", "program.py", cwd=tmp_path)
    assert output.startswith("4 2 6 ")
    assert Path(output.split()[-1]).is_relative_to(environment)
    assert (environment / "bin" / "fsm-engine").exists()


def release(root: Path, tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([root / ".ci" / "check-release", tag], capture_output=True, text=True)


def test_a_release_is_refused_until_tag_changelog_and_address_agree(tmp_path: Path) -> None:
    version, changelog, project = (
        tmp_path / name for name in ("fsm_engine/_util/version.py", "CHANGELOG.md", "pyproject.toml")
    )
    for path in (version, tmp_path / ".ci" / "check-release"):
        path.parent.mkdir(parents=True)
    copy(ROOT / ".ci" / "check-release", tmp_path / ".ci")
    version.write_text('__version__ = "1.2.3"\n')
    changelog.write_text("# Changelog\n\n## 1.2.2\n")
    project.write_text('[tool.hatch.metadata.hooks.custom] # hatch_build.py\nrepository = "" # none\n')
    refused = release(tmp_path, "v1.2.4")
    assert refused.returncode != 0
    assert [line.split()[0] for line in refused.stdout.splitlines()] == ["The", "CHANGELOG.md", "pyproject.toml"]
    changelog.write_text("# Changelog\n\n## 1.2.3\n")
    project.write_text(project.read_text().replace('""', f'"{REPOSITORY}"'))
    accepted = release(tmp_path, "v1.2.3")
    assert (accepted.returncode, accepted.stdout) == (0, "")


def test_the_address_is_where_the_check_of_a_release_looks_for_it() -> None:
    assert re.findall(r"^repository = ", (ROOT / "pyproject.toml").read_text(), re.MULTILINE) == ["repository = "]


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    """Import the build hook, which lies outside the package."""
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_links_and_pictures_of_the_readme_lead_from_the_package_index_to_the_repository(hook: ModuleType) -> None:
    from readme_renderer.markdown import render

    readme = (ROOT / "README.md").read_text()
    absolute = hook.absolute(readme, REPOSITORY, tag="v1.2.3")
    page = render(absolute)
    assert page is not None
    pictures = re.findall(r'<img [^>]*src="([^"]*)"', page)
    assert pictures
    assert [picture for picture in pictures if not picture.startswith(f"{REPOSITORY}/raw/v1.2.3/")] == []
    links = [link for link in re.findall(r'<a [^>]*href="([^"]*)"', page) if not link.startswith("#")]
    assert [link for link in links if not link.startswith("https://")] == []
    files = [address[len(REPOSITORY) :].split("/", 3)[3] for address in links + pictures if REPOSITORY in address]
    assert [name for name in files if not (ROOT / name.partition("#")[0]).exists()] == []


def test_code_in_the_readme_stays_as_it_is(hook: ModuleType) -> None:
    readme = 'See [`it`](a.md#b), `f["x"](y)` and [here](#there).\n\n```python\nhandlers["x"](engine)\n```\n'
    expected = readme.replace("a.md#b", f"{REPOSITORY}/blob/v1/a.md#b")
    assert hook.absolute(readme, REPOSITORY, tag="v1") == expected


def test_the_address_of_the_repository_gives_the_urls(hook: ModuleType) -> None:
    metadata = {"version": "1.2.3"}
    hook.RepositoryLinks(str(ROOT), {"repository": REPOSITORY + "/"}).update(metadata)
    assert metadata["urls"]["Repository"] == REPOSITORY
    assert all(url.startswith(REPOSITORY) for url in metadata["urls"].values())
    assert f"{REPOSITORY}/blob/v1.2.3/docs/" in metadata["readme"]["text"]


def test_without_an_address_there_are_no_urls_and_the_readme_is_unchanged(hook: ModuleType) -> None:
    metadata = {"version": "1.2.3"}
    hook.RepositoryLinks(str(ROOT), {"repository": ""}).update(metadata)
    assert metadata["urls"] == {}
    assert metadata["readme"]["text"] == (ROOT / "README.md").read_text()
