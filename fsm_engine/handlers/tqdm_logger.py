"""`ProgressBar`, under the name that pytorch-ignite has for the module."""

from __future__ import annotations

from fsm_engine.handlers.progress_bar import ProgressBar

__all__ = ["ProgressBar"]
