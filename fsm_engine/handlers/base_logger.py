"""What loggers are made of, under the names that pytorch-ignite has for it."""

from __future__ import annotations

from fsm_engine.loggers.base import BaseLogger
from fsm_engine.loggers.handlers import BaseHandler
from fsm_engine.loggers.handlers import OptimizerParamsHandler as BaseOptimizerParamsHandler
from fsm_engine.loggers.handlers import OutputHandler as BaseOutputHandler
from fsm_engine.loggers.weights import BaseWeightsHandler, BaseWeightsScalarHandler

__all__ = [
    "BaseHandler",
    "BaseLogger",
    "BaseOptimizerParamsHandler",
    "BaseOutputHandler",
    "BaseWeightsHandler",
    "BaseWeightsScalarHandler",
]
