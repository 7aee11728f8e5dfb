"""Training libraries that do the same work: one module for each, and the parts that all of them share.

A module of a peer has the functions `train` and `no_op`. The lines between ``# user code`` and ``# end of user code``
are the code that a user of this library writes to train a given model; the table counts them.
"""
