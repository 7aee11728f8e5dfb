"""Plain data: its types, every way to save and load it, and the walker over nested containers."""

from __future__ import annotations

import copy
import random
from collections import Counter, OrderedDict, UserDict, defaultdict, namedtuple
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("torchmetrics")

import numpy as np
import torch
from torch import nn

from fsm_engine import Engine, Events
from fsm_engine._util.plain_data import copy_plain, find, find_not_plain, map_leaves, plain_numbers
from fsm_engine.handlers import Checkpoint
from fsm_engine.metrics import Metric

Pair = namedtuple("Pair", "left right")

PLAIN = [
    None,
    True,
    10**30,
    float("inf"),
    1j,
    "text",
    b"bytes",
    bytearray(b"bytes"),
    (1, [2]),
    {"a": {1: (2,)}},
    OrderedDict(b=1, a=2),
    Counter("aab"),
    {1, 2},
    torch.ones(2, dtype=torch.float16),
    nn.Parameter(torch.ones(2)),
    torch.Size([1, 2]),
    torch.float16,
    torch.device("cpu"),
    random.getstate(),
]
NOT_PLAIN = [
    object(),
    Path("a"),
    np.ones(2),
    defaultdict(list),
    frozenset({1}),
    range(2),
    Pair(1, 2),
    UserDict(a=1),
    torch.ones(2).as_subclass(type("Image", (torch.Tensor,), {})),
    {Path("a"): 1},
    [{"a": print}],
]
NUMBERS = [np.float64(0.5), np.float32(0.5), np.int64(3), np.bool_(True), np.complex128(1j), np.str_("text")]


class Stateful:
    def __init__(self, value: Any = None) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]


class Holder(Metric):
    """A metric that has accumulated one value."""

    def reset(self) -> None:
        self.value: Any = None

    def update(self, output: Any) -> None: ...

    def compute(self) -> None: ...


def suspended(value: Any, batch: Any = 7) -> Engine:
    """Return an engine that is suspended in ITERATION_STARTED, with `value` in its state."""
    engine = Engine(lambda engine, batch: None)
    engine.resumes_exactly = True
    engine.state.value = value
    engine.run([batch], until=Events.ITERATION_STARTED)
    return engine


def through_state_dict(value: Any, folder: Path) -> Any:
    state, engine = suspended(value).state_dict(), Engine(lambda engine, batch: None)
    engine.load_state_dict(state)
    return engine.state.value


def through_state_dict_in_a_dict(value: Any, folder: Path) -> Any:
    return through_state_dict({"value": value}, folder)["value"]


def through_the_batch(value: Any, folder: Path) -> Any:
    state, engine = suspended(None, value).state_dict(), Engine(lambda engine, batch: None)
    engine.load_state_dict(state)
    return engine.state.batch


def through_a_metric(value: Any, folder: Path) -> Any:
    one, other = Holder(), Holder()
    one.value = [value]  # in a list, because a metric does not save attributes that are a device or dtype
    other.load_state_dict(one.state_dict())
    return other.value[0]


def through_a_file(value: Any, folder: Path) -> Any:
    Checkpoint({"one": Stateful(value)}, folder)(Engine(lambda engine, batch: None))
    other = Stateful()
    Checkpoint({"one": other}, folder).resume()
    return other.value


def through_state_dict_and_file(value: Any, folder: Path) -> Any:
    engine, other = suspended(value), Engine(lambda engine, batch: None)
    Checkpoint({"engine": engine}, folder)(engine)
    Checkpoint({"engine": other}, folder).resume()
    return other.state.value


Route = Callable[[Any, Path], Any]
ROUTES = [
    through_state_dict,
    through_state_dict_in_a_dict,
    through_the_batch,
    through_a_metric,
    through_a_file,
    through_state_dict_and_file,
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_is_the_same_after_saving_and_loading(value: Any, route: Route, tmp_path: Path) -> None:
    before = copy.deepcopy(value)
    loaded = route(value, tmp_path)
    is_detached = isinstance(value, nn.Parameter) and route is not through_a_file
    assert type(loaded) is (torch.Tensor if is_detached else type(value))
    assert torch.equal(loaded, before) if isinstance(before, torch.Tensor) else loaded == before
    assert find_not_plain(value) is None


@pytest.mark.parametrize("value", NOT_PLAIN, ids=lambda value: type(value).__name__)
def test_other_values_are_rejected_by_every_route(value: Any, tmp_path: Path) -> None:
    assert find_not_plain(value) is not None
    for route in (through_a_metric, through_a_file):
        with pytest.raises(TypeError, match="plain data"):
            route(value, tmp_path)
    with pytest.raises(ValueError, match="plain data"):
        through_the_batch(value, tmp_path)
    with pytest.warns(UserWarning, match=r"state\.value is not saved.*plain data"):
        suspended([value]).state_dict()


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
@pytest.mark.parametrize(
    "route", [through_state_dict, through_state_dict_in_a_dict, through_state_dict_and_file, through_a_metric]
)
def test_numpy_scalars_are_saved_as_python_numbers(value: Any, route: Route, tmp_path: Path) -> None:
    for given, expected in ((value, value.item()), ([value], [value.item()])):
        loaded = route(given, tmp_path)
        assert (loaded, type(loaded)) == (expected, type(expected))


@pytest.mark.parametrize("value", [np.longdouble(1), np.datetime64("2020-01-01")], ids=repr)
def test_numpy_scalars_without_a_python_number_are_not_plain_data(value: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="plain data"):
        through_a_metric(value, tmp_path)


def test_a_part_that_is_not_plain_is_found_with_its_path() -> None:
    tensor = torch.ones(1)
    tensor.note = {"by": print}  # type: ignore[attr-defined]
    assert find_not_plain({"a": [1, (2, np.ones(2))]})[0] == "['a'][1][1]"  # type: ignore[index]
    assert find_not_plain([tensor]) == ("[0].note['by']", print)
    assert find_not_plain({"a": {print: 1}}) == (f"['a'] (the key {print!r})", print)
    assert find_not_plain({print}) == ("[0]", print)


def test_a_list_that_contains_itself_is_searched_once() -> None:
    loop: list[Any] = [1]
    loop += [loop, print]
    assert find_not_plain(loop) == ("[2]", print)
    assert find_not_plain([loop]) == ("[0][2]", print)
    assert find(lambda node: node == 2, loop) is None
    assert find_not_plain([(shared := [1]), shared]) is None


def test_a_leaf_is_found_in_any_mapping_list_or_tuple() -> None:
    tree = UserDict(a=MappingProxyType({"b": Pair([1, 2], {"c": 3})}))
    assert find(lambda node: node == 3, tree) == ("['a']['b'][1]['c']", 3)
    assert find(lambda node: node == 4, tree) is None
    assert find(lambda node: isinstance(node, list), tree) == ("['a']['b'][0]", [1, 2])


def test_containers_are_copied_with_their_types_and_attributes() -> None:
    state = nn.BatchNorm1d(2).state_dict()
    tree = [Pair(1, (2,)), OrderedDict(b=3, a=4), Counter("aab"), defaultdict(list, x=5), torch.Size([6]), state]
    negative = map_leaves(lambda leaf: -leaf, tree)
    assert negative[:5] == [Pair(-1, (-2,)), OrderedDict(b=-3, a=-4), Counter(a=-2, b=-1), {"x": -5}, torch.Size([-6])]
    assert [type(item) for item in negative] == [type(item) for item in tree]
    assert negative[5]._metadata == state._metadata
    assert tree[1] == OrderedDict(b=3, a=4)
    assert map_leaves(len, {"a": [(1, 2), "text"]}, lambda node: isinstance(node, tuple)) == {"a": [2, 4]}


def test_a_copy_of_plain_data_shares_no_mutable_part() -> None:
    tree = {"tensor": torch.ones(1), "list": [{1}, bytearray(b"a"), Counter("a")], "object": SimpleNamespace()}
    copied = copy_plain(tree, torch.Tensor.clone)
    assert copied == tree
    assert [copied["tensor"] is tree["tensor"], copied["object"] is tree["object"]] == [False, True]
    assert all(one is not other for one, other in zip(copied["list"], tree["list"]))


def test_numpy_scalars_in_other_objects_are_not_replaced() -> None:
    pair = Pair(np.float64(0.5), 1)
    (same,) = plain_numbers([pair])
    assert same is pair
