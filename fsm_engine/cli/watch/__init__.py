"""The command ``watch``: the live inspector in a terminal, for machines that are reached over SSH.

Messages of an inspector's server go in, and lines of text and commands come out. Only `fsm_engine.cli.app` imports this
package, when the command is called.
"""
