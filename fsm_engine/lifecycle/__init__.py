"""Lifecycles: the training graph, edits of a graph, the rules that validate it, and queries about its paths.

A `Lifecycle` combines a graph with the step that runs in it; an `Engine` runs it. This package may import `runtime` and
the packages before it; `dispatch` and the packages after it may import this one.
"""
