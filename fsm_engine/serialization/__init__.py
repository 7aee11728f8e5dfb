"""Lifecycles as files: written, read back, and bound again to what they name. One module per format.

``dictionary`` has the form that all others carry; ``json_text``, ``networkx_graph``, ``graphml`` and ``scxml`` are
ways of carrying it. Nothing that is read is evaluated or imported: what the library wrote is found by name in
``library``, what is the user's in the ``bind`` given.
"""
