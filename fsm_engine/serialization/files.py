"""Reading and writing files of lifecycles; the suffix of a file tells its format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fsm_engine._util.atomic_files import write_atomically
from fsm_engine._util.choices import suffix_of
from fsm_engine._util.errors import LifecycleError
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.serialization.graphml import from_graphml, to_graphml
from fsm_engine.serialization.json_text import from_json, to_json
from fsm_engine.serialization.scxml import from_scxml, to_scxml

READERS: dict[str, Callable[[str, Mapping[str, Any] | None], Lifecycle]] = {
    ".json": from_json,
    ".scxml": from_scxml,
    ".graphml": from_graphml,
}
WRITERS: dict[str, Callable[[Lifecycle], str]] = {".json": to_json, ".scxml": to_scxml, ".graphml": to_graphml}


def save(lifecycle: Lifecycle, path: str | os.PathLike[str]) -> Path:
    """Write `lifecycle` to a file, whole or not at all, and return the path.

    Raises:
        LifecycleError: a file cannot hold something in the lifecycle, such as a name that is not printable.
        ValueError: the suffix is not one of `WRITERS`.
        OSError: the file cannot be written.
    """
    return write_atomically(path, WRITERS[suffix_of(path, READERS)](lifecycle).encode())


def load(path: str | os.PathLike[str], bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a file; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the file is not a lifecycle; the message names the file and the location in it.
        ValueError: the suffix is not one of `READERS`.
        OSError: the file cannot be read.
    """
    file = Path(path)
    reader = READERS[suffix_of(path, READERS)]
    try:
        return reader(file.read_text("utf-8-sig"), bind)
    except UnicodeDecodeError as error:
        raise LifecycleError(f"{file}: byte {error.start} is not UTF-8.") from None
    except LifecycleError as error:
        raise LifecycleError(f"{file}: {error}") from error
