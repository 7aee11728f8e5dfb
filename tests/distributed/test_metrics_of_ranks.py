"""Metrics of several ranks with uneven data: the value of one process on all data."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from children import Children  # noqa: E402
from metric_cases import assert_close  # noqa: E402
from metric_cases_of_ranks import ALL_CASES, value  # noqa: E402
from ranks import Ranks  # noqa: E402


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    with Children("torch.distributed", "fsm_engine.distributed", "metric_cases_of_ranks") as children:
        made = Ranks(children, tmp_path_factory.mktemp("ranks"))
        yield made
        made.close()


@pytest.fixture(scope="module")
def values(ranks: Ranks) -> list[dict[str, Any]]:
    code = """
        import metric_cases_of_ranks as cases, warnings
        warnings.simplefilter("ignore")
        with session():
            report({name: cases.value(name, rank, 3) for name in cases.ALL_CASES})
    """
    return [value for (value,) in ranks.run(3, code)]


@pytest.mark.parametrize("name", ALL_CASES)
def test_every_rank_has_the_value_of_one_process(name: str, values: list[dict[str, Any]]) -> None:
    expected = json.loads(json.dumps(value(name, 0, 1)))
    for of_rank in values:
        assert_close(of_rank[name], expected)
    assert values[0][name] == values[1][name] == values[2][name] or "nan" in str(values[0][name]).lower()
