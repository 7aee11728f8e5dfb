"""Compiles a lifecycle graph to one Python function: code generation, a cache, and the program of an engine.

A graph and the shapes of the attached handlers go in; a compiled function and its source come out. This package may
import `dispatch` and the packages below it; `persistence`, `engine` and the packages above may import it.
"""
