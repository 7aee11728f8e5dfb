"""The lifecycle graph as immutable data: phases, transitions, signals, guards and activities.

A graph is built from events and scopes and is read by everything else. The package imports `events` and `_util` only.
"""
