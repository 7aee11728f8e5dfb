"""The command line `fsm-engine`: draw, show and check lifecycles, ask for ways through them, compare them.

It needs the extra ``cli``. `app` has the commands, `targets` finds what they work on, `failures` says how they fail.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

_NEEDED = ("typer", "rich")


def main() -> None:
    """Run the command line with the arguments of this process, and exit.

    Raises:
        SystemExit: always, with 0 for success, 1 for an answer that is no, 2 for trouble, 130 for Ctrl-C, and 141
            when whoever read the output went away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal may lack letters that names have
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            from fsm_engine.cli.app import app
        except ModuleNotFoundError as error:
            name = (error.name or "").partition(".")[0]
            if name not in _NEEDED:
                raise
            print(f"fsm-engine needs {name}: pip install 'fsm-engine[cli]'", file=sys.stderr)
            sys.exit(2)
        app(prog_name="fsm-engine")
    except KeyboardInterrupt:  # before or after a command, which takes its own
        sys.exit(130)
