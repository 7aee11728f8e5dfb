"""Saves, loads, copies and pickles a run.

The position of an engine, the attributes of its state and the states of its step and handlers become plain data, and
are restored from it. The package imports `compiler` and the packages below it.
"""
