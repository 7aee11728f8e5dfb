"""The live inspector: a page that shows a run while it runs, and that pauses and steers it.

An engine goes in, and messages for pages come out; commands of pages come in and are executed in the thread of the run.
Only the command line and `Engine.inspect` import this package.
"""

from fsm_engine.inspector.inspector import Inspector, inspect

__all__ = ["Inspector", "inspect"]
