"""Events and handlers of an engine: registration, handler calls, moves of a run, and observers.

An event comes in, and its handlers are called. `EventDispatcher` is the base class of `Engine`. This package may import
`_util`, `events`, `graph`, `runtime` and `lifecycle`; every package above it may import it.
"""
