"""Bridges to other libraries, one package per library.

They adapt an engine to the interface of the other library, or programs written for that library to this one. Only users
and `cli` may import this package; the table of pytorch-ignite's paths leads to it, too.
"""
