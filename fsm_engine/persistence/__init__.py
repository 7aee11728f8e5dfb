"""A run as a state dict, a copy or a pickle, and back.

The position of an engine and the states of its handlers go in and come out as plain data.
The package imports `compiler` and below.
"""
