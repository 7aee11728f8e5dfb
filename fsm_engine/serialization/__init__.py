"""Lifecycles as dictionaries, networkx graphs and files, one module per format.

A `Lifecycle` goes in and a dictionary, graph or text comes out, and the other way round; `dictionary` describes the
content that all formats share. Nothing read from a file is evaluated or imported: the library's own parts are looked up
by name in `library`, and the user's objects in the ``bind`` argument. `render`, which draws the same files, and `cli`
may import this package; methods of `Lifecycle` import it when they are called.
"""
