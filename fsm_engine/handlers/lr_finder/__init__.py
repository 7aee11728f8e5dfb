"""`FastaiLRFinder`: looks for a learning rate."""

from __future__ import annotations

from fsm_engine.handlers.lr_finder.finder import FastaiLRFinder

__all__ = ["FastaiLRFinder"]
