"""From a graph to one Python function: code generation, caching, and the program that an engine runs now.

A graph and the shapes of the attached handlers go in; a compiled function and its source come out.
The package imports `dispatch` and below.
"""
