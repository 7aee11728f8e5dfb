"""A run as data: the state that users see, the position in the graph, the clocks, the limits and the open data.

The functions read and change this data and do not call handlers. The package imports only `graph`, `events` and
`_util`; every package after it may import it.
"""
