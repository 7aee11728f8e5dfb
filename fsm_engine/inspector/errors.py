"""The error of a command that an inspector refuses."""


class CommandError(Exception):
    """A command is malformed, or cannot be executed now. The text is the reply to the page."""
