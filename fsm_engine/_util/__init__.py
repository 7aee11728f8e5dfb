"""Helpers that know nothing about engines: errors, plain data, atomic files, random generators, text tables.

They take and return types of the standard library and of torch. Every other package may import this one; it imports
no other package.
"""
