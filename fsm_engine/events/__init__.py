"""Events, filters, scopes and edges: handlers are attached to them, and a graph consists of them.

They do not depend on a run. The package imports only `_util`; every package after it may import it.
"""
