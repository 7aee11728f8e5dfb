"""Events, filters, scopes and edges: the names that handlers attach to and that a graph is made of.

Nothing of a run is in here. The package imports `_util` only, and every package above may import it.
"""
