"""The lifecycle graph as immutable data: phases, transitions, signals, guards and activities.

A graph is built from events and scopes; the compiler, the engine, pictures and files are derived from it. The package
imports only `events` and `_util`; every package after it may import it.
"""
