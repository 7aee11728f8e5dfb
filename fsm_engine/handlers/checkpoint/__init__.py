"""Checkpoints: save objects during a run to checksummed files, keep the best or latest, and resume from them.

The handlers take objects with ``state_dict`` and ``load_state_dict``, and write one file per checkpoint.
Packages above `handlers` import the names listed here.
"""

from __future__ import annotations

from fsm_engine.handlers.checkpoint.checkpoint import Checkpoint, CheckpointEvents
from fsm_engine.handlers.checkpoint.disk_saver import BaseSaveHandler, DiskSaver
from fsm_engine.handlers.checkpoint.model_checkpoint import ModelCheckpoint

__all__ = ["BaseSaveHandler", "Checkpoint", "CheckpointEvents", "DiskSaver", "ModelCheckpoint"]
