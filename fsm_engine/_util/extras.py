"""Imports of optional dependencies, which the project's extras install."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, extra: str, needs: str) -> Any:
    """Import `module` and return it.

    Args:
        module: name of the module.
        extra: extra of fsm-engine that installs the module.
        needs: beginning of the error message, such as ``"WandBLogger needs wandb"``.

    Raises:
        ModuleNotFoundError: the module, or one that it imports, is not installed. The message has the pip command.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{needs} ({error}). Install it with: pip install "fsm-engine[{extra}]"') from error
