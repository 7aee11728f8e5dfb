"""Imports of optional dependencies. Each error for a missing one has the command that installs it."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, extra: str | None, needs: str) -> Any:
    """Import `module` and return it.

    Args:
        module: name of the module.
        extra: extra of fsm-engine that installs the module; None for a package of the name of the module.
        needs: beginning of the error message, such as ``"WandBLogger needs wandb"``.

    Raises:
        ModuleNotFoundError: the module, or one that it imports, is not installed. The message has the pip command.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0] if extra is None else f'"fsm-engine[{extra}]"'
        raise ModuleNotFoundError(f"{needs} ({error}). {install_command(package)}") from error


def install_command(package: str) -> str:
    """Return the sentence of an error that says how to install `package`."""
    return f"Install it with: pip install {package}"
