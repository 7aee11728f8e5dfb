"""`Engine`: the loop around the compiled function, signals, errors, breakpoints and explanations.

A lifecycle, handlers and data go in; a `State` comes out.
The package imports `persistence` and below; everything that users attach imports it.
"""
