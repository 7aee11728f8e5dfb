"""A progress bar for each run of an engine, drawn by tqdm or rich."""

from __future__ import annotations

from fsm_engine.handlers.progress_bar.progress_bar import ProgressBar

__all__ = ["ProgressBar"]
