"""Bridges to other libraries, one module per library.

An fsm_engine engine goes in, and an object with the other library's interface comes out. Only users and `cli` may
import this package.
"""
