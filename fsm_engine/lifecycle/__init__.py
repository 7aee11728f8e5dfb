"""Lifecycles: the training graph, how users change a graph, the rules it has to follow, and questions about it.

A `Lifecycle` wraps a graph and a step and goes into an `Engine`. The package imports `runtime` and below.
"""
