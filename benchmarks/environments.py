"""Virtual environments for programs whose dependencies exclude each other. They share torch if their pins permit it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SHARED = "shared"
INSTALLED = "installed.txt"


class CommandError(Exception):
    """A command in an environment failed; the message is the line that says why."""


@dataclass(frozen=True)
class Environments:
    """A folder of virtual environments.

    One of them, `shared`, has torch and scikit-learn. The others see its packages through a .pth file, so pip installs
    another torch, of several gigabytes, only if a package does not work with the shared one.

    Attributes:
        folder: the folder, which may not exist yet.
        torch: the requirement for the shared torch, such as ``torch==2.13.0``.
    """

    folder: Path
    torch: str = "torch"

    def make(self, name: str, requirements: Sequence[str], renew: Sequence[str] = ()) -> Environment:
        """Return the environment called `name`; make it and install the requirements, unless an earlier call did.

        Args:
            name: the name of its folder.
            requirements: installed once.
            renew: paths of projects, which are installed again in every call, because their code changes.

        Raises:
            CommandError: pip failed.
        """
        environment = Environment(self.folder / name, self.folder / "bytecode")
        if name == SHARED:
            environment.install([self.torch, "scikit-learn"], shared=None)
        else:
            environment.install([*requirements, "torch", "scikit-learn"], shared=self.make(SHARED, []))
        for path in renew:
            environment.pip("--no-deps", "--force-reinstall", path)
        return environment


@dataclass(frozen=True)
class Environment:
    """A virtual environment.

    Attributes:
        folder: its folder.
        bytecode: where its processes write bytecode, so that none is written into a repository.
    """

    folder: Path
    bytecode: Path

    @property
    def python(self) -> Path:
        """The path of its interpreter."""
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    def install(self, requirements: Sequence[str], shared: Environment | None) -> None:
        """Make the environment, let it see the packages of `shared`, and install `requirements`, unless that is done.

        Raises:
            CommandError: pip failed.
        """
        done = self.folder / INSTALLED
        wanted = "\n".join(requirements)
        if done.exists() and done.read_text(encoding="utf-8") == wanted:
            return
        subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True)
        if shared is not None:
            packages = self.packages()
            (packages / "shared.pth").write_text(f"{shared.packages()}\n", encoding="utf-8")
        self.pip(*requirements)
        done.write_text(wanted, encoding="utf-8")

    def packages(self) -> Path:
        """Return the folder of its packages."""
        return Path(self.run("-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())

    def pip(self, *arguments: str) -> None:
        """Install with pip.

        Raises:
            CommandError: pip failed.
        """
        self.run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments)

    def run(self, *arguments: str, path: Path | None = None) -> str:
        """Run its interpreter in an empty folder, with `path` on the import path, and return the standard output.

        Raises:
            CommandError: the exit status was not 0.
        """
        variables = {
            name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
        }
        variables |= {"PYTHONPYCACHEPREFIX": str(self.bytecode), "PYTHONNOUSERSITE": "1"}
        variables |= {"KERAS_BACKEND": "torch", "HF_HUB_OFFLINE": "1"}
        if path is not None:
            variables["PYTHONPATH"] = str(path)
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [self.python.absolute(), *arguments], cwd=folder, env=variables, capture_output=True, text=True
            )
        if done.returncode != 0:
            raise CommandError(why(done.stderr) or f"exit status {done.returncode}")
        return done.stdout


def why(output: str) -> str:
    """Return the line of an error output that says why a command failed: pip's first error, else the last line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines[-1:] or [""])[0]
