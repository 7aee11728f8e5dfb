"""The learning rate finder: a search that raises the learning rate until the loss diverges."""

from __future__ import annotations

from fsm_engine.handlers.lr_finder.finder import FastaiLRFinder

__all__ = ["FastaiLRFinder"]
