"""Packages that not everybody needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def needed(module: str, extra: str, needs: str) -> Any:
    """Import `module`.

    Args:
        module: its name.
        extra: the extra of ours that installs it.
        needs: who needs what, for the message: ``"WandBLogger needs wandb"``.

    Raises:
        ModuleNotFoundError: it is not installed; says how to do that.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f'{needs}. Install it with: pip install "fsm-engine[{extra}]"') from error
