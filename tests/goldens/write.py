"""Write the expected outputs of the formats: ``python tests/goldens/write.py``. Review the diff before a commit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "support"))

from sample_diagrams import RICH  # noqa: E402  # tests/support is on the path now
from sample_lifecycle import small  # noqa: E402

from fsm_engine.lifecycle.lifecycle import Lifecycle  # noqa: E402
from fsm_engine.render.dot import to_dot  # noqa: E402
from fsm_engine.render.mermaid import to_mermaid  # noqa: E402
from fsm_engine.render.themes import get_theme  # noqa: E402

GOLDENS: dict[str, Callable[[], str]] = {
    "rich.mmd": lambda: to_mermaid(RICH),
    "rich_dark.mmd": lambda: to_mermaid(RICH, get_theme("dark")),
    "rich.dot": lambda: to_dot(RICH),
    "training.md": lambda: Lifecycle.training().to_markdown() + "\n",
    "ppo.json": lambda: small().to_json(),
    "ppo.graphml": lambda: small().to_graphml(),
    "ppo.scxml": lambda: small().to_scxml(),
}

if __name__ == "__main__":
    for name, written in GOLDENS.items():
        (HERE / name).write_text(written(), encoding="utf-8")
