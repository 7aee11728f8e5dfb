"""Reading and writing files of lifecycles; the suffix of a file tells its format."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fsm_engine._util.errors import LifecycleError
from fsm_engine.serialization.graphml import from_graphml
from fsm_engine.serialization.json_text import from_json
from fsm_engine.serialization.scxml import from_scxml

if TYPE_CHECKING:
    from fsm_engine.lifecycle.lifecycle import Lifecycle

READERS: dict[str, Callable[[str, Mapping[str, Any] | None], Lifecycle]] = {
    ".json": from_json,
    ".graphml": from_graphml,
    ".scxml": from_scxml,
}


def load(path: str | os.PathLike[str], bind: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the lifecycle of a file; for `bind` see `from_dict`.

    Raises:
        LifecycleError: the file is not a lifecycle; the message names the file and the location in it.
        ValueError: the suffix is not one of `READERS`.
        OSError: the file cannot be read.
    """
    file = Path(path)
    reader = READERS.get(file.suffix.lower())
    if reader is None:
        raise ValueError(f"{file} ends in {file.suffix!r}. A lifecycle is read from {', '.join(READERS)}.")
    try:
        return reader(file.read_text("utf-8-sig"), bind)
    except UnicodeDecodeError as error:
        raise LifecycleError(f"{file}: byte {error.start} is not UTF-8.") from None
    except LifecycleError as error:
        raise LifecycleError(f"{file}: {error}") from error
