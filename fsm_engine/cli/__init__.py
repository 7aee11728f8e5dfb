"""The command line ``fsm-engine``: draw, show, check and compare lifecycles, list paths, train, watch and read runs.

It takes the arguments of the process and prints to the standard streams; it needs the extra ``cli``. Nothing but
`fsm_engine.__main__` and the installed script may import this package.
"""

from __future__ import annotations

import sys
from io import TextIOWrapper

from fsm_engine._util.extras import install_command

_REQUIRED = ("typer", "rich")


def main() -> None:
    """Run the command line with the arguments of this process, and exit.

    Raises:
        SystemExit: always: 0 for success, 1 for a negative answer, 2 for an error, 130 for Ctrl-C, 141 if the reader
            of the output closed the pipe; for ``run``, the exit code of the program.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # the encoding of a terminal may lack characters of names
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            from fsm_engine.cli.app import app
        except ModuleNotFoundError as error:
            name = (error.name or "").partition(".")[0]
            if name not in _REQUIRED:
                raise
            command = install_command('"fsm-engine[cli]"')
            print(f"fsm-engine needs {name} ({error}). {command}", file=sys.stderr)
            sys.exit(2)
        app(prog_name="fsm-engine")
    except KeyboardInterrupt:  # during imports; commands handle their own
        sys.exit(130)
