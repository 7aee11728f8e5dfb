"""`Engine`: the loop that runs a lifecycle, with signals, error recovery, breakpoints and explanations.

A lifecycle, handlers and data go in; the final `State` comes out. The package imports `persistence` and the packages
below it.
"""
