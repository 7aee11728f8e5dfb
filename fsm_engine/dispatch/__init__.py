"""Events and handlers on an engine: registration, calling handlers, moves between phases, and observers.

An event goes in and its handlers are called. `EventDispatcher` is the base class of `Engine`.
The package imports `lifecycle` and below.
"""
