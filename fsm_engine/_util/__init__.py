"""Helpers without any knowledge of engines: errors, plain data, atomic files, random generators, text tables.

They take and return standard-library types. Every other package may import this one; it imports none of them.
"""
