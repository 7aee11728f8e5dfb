"""A run as data: the state that users see, the position of the run, its clocks, limits and open data.

Functions here change that data and call no handlers. The package imports `graph`, `events` and `_util`.
"""
