"""Fixtures for tests with several processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from children import Children  # noqa: E402
from ranks import Ranks  # noqa: E402


@pytest.fixture(scope="module")
def children() -> Iterator[Children]:
    with Children("torch.distributed", "torch._dynamo", "fsm_engine.distributed", "fsm_engine.metrics") as parent:
        yield parent


@pytest.fixture
def ranks(children: Children, tmp_path: Path) -> Iterator[Ranks]:
    made = Ranks(children, tmp_path)
    yield made
    made.close()
