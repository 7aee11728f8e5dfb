"""Checkpoints: what is saved, under which names, how files are written, and how a run resumes from them."""

from __future__ import annotations

from fsm_engine.handlers.checkpoint.checkpoint import Checkpoint, CheckpointEvents
from fsm_engine.handlers.checkpoint.disk_saver import BaseSaveHandler, DiskSaver
from fsm_engine.handlers.checkpoint.model_checkpoint import ModelCheckpoint

__all__ = ["BaseSaveHandler", "Checkpoint", "CheckpointEvents", "DiskSaver", "ModelCheckpoint"]
