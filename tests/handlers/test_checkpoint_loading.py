"""Loading a checkpoint that does not fit: the error names the object and the difference, and no object is changed."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, StepLR

from fsm_engine import Engine, Events
from fsm_engine.handlers import EarlyStopping, EMAHandler
from fsm_engine.handlers.checkpoint import Checkpoint


def echo(engine: Any, batch: Any) -> Any:
    return batch


class Number:
    """An object whose state dict has one value."""

    def __init__(self, value: Any = 0) -> None:
        self.value = value

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


class Picky(Number):
    """A number that changes, and then refuses, when it is loaded with another value than its own."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        before, self.value = self.value, state["value"]
        if before != self.value:
            raise ValueError(f"not {before}")


def stepped(make: Callable[[list[Any]], torch.optim.Optimizer], *shapes: tuple[int, ...]) -> torch.optim.Optimizer:
    """Return an optimizer of ones of these shapes after one step."""
    parameters = [nn.Parameter(torch.ones(shape)) for shape in shapes or [(2, 3), (4,)]]
    optimizer = make(parameters)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    if isinstance(optimizer, torch.optim.SparseAdam):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter).to_sparse()
    optimizer.step(lambda: 1.0) if isinstance(optimizer, torch.optim.LBFGS) else optimizer.step()
    return optimizer


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1, momentum=0.9)


def saved_by_path(folder: Path, objects: dict[str, Any]) -> Path:
    Checkpoint(objects, folder)(Engine(echo))
    return next(folder.glob("*.pt"))


def saved_in_memory(folder: Path, objects: dict[str, Any]) -> Any:
    kept: list[Any] = []
    Checkpoint(objects, lambda checkpoint, name: kept.append(copy.deepcopy(checkpoint)))(Engine(echo))
    return kept[0]


ways = pytest.mark.parametrize("save", [saved_by_path, saved_in_memory])


def same(one: Any, other: Any) -> bool:
    return str(one) == str(other)


@ways
@pytest.mark.parametrize(
    ("other", "differences"),
    [
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 5)), ["1.weight", "[5, 3]", "[4, 3]", "1.bias"]),
        (lambda: nn.Sequential(nn.Linear(2, 3)), ["1.weight", "1.bias", "Missing"]),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4), nn.Linear(4, 1)), ["2.weight", "Unexpected"]),
        (lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(4)), ["1.running_mean"]),
    ],
)
def test_a_model_of_another_shape_changes_nothing(
    tmp_path: Path, save: Any, other: Callable[[], nn.Module], differences: list[str]
) -> None:
    model, number = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 4)), Number("own")
    optimizer = stepped(lambda parameters: torch.optim.Adam(parameters))
    objects = {"number": number, "optimizer": optimizer, "model": model}
    before = copy.deepcopy({name: one.state_dict() for name, one in objects.items()})
    saved = save(tmp_path, {"number": Number("saved"), "optimizer": stepped(torch.optim.Adam), "model": other()})
    with pytest.raises(RuntimeError) as raised:
        Checkpoint.load_objects(objects, saved)
    assert all(part in str(raised.value) for part in ["to_load['model'] (Sequential)", *differences])
    assert same({name: one.state_dict() for name, one in objects.items()}, before)


@ways
def test_an_optimizer_of_another_class_changes_nothing(tmp_path: Path, save: Any) -> None:
    model, optimizer = nn.Linear(1, 1), stepped(lambda parameters: torch.optim.Adam(parameters, lr=0.5))
    objects = {"model": model, "more": [optimizer]}
    before = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    saved = save(tmp_path, {"model": nn.Linear(1, 1), "more": [stepped(sgd)]})
    with pytest.raises(RuntimeError, match=r"to_load\['more'\]\[0\] \(Adam\).*(SGD|betas)"):
        Checkpoint.load_objects(objects, saved)
    assert same([model.state_dict(), optimizer.state_dict()], before)


@pytest.mark.parametrize("own_step", [False, True])
def test_any_optimizer_that_is_loaded_can_make_a_step(own_step: bool) -> None:
    def matrices(kind: Any) -> Any:
        return lambda parameters: kind(parameters, **({"lr": 0.1} if kind in (torch.optim.SGD,) else {}))

    kinds = [getattr(torch.optim, name) for name in torch.optim.__all__ if name not in ("Optimizer", "lr_scheduler")]
    kinds = [kind for kind in kinds if isinstance(kind, type)]
    refused = {kind: [] for kind in kinds}  # type: ignore[var-annotated]
    shapes = (2, 3), (4, 5)
    for source in kinds:
        state = stepped(matrices(source), *shapes).state_dict()
        for kind in kinds:
            target = stepped(matrices(kind), *shapes)
            if not own_step:
                target = matrices(kind)([parameter for group in target.param_groups for parameter in group["params"]])
            try:
                Checkpoint.load_objects({"optimizer": target}, copy.deepcopy(state))
            except RuntimeError:
                refused[kind].append(source)
                assert kind is not source
            target.step(lambda: 1.0)  # type: ignore[arg-type]
    assert torch.optim.SGD in refused[torch.optim.Adam]
    assert torch.optim.Adamax in refused[torch.optim.Adam]


@ways
@pytest.mark.parametrize(
    ("make", "shapes", "difference"),
    [
        (lambda ones: torch.optim.Adam([{"params": [one]} for one in ones]), [(2, 3), (4,)], "2 parameter groups"),
        (torch.optim.Adam, [(2, 3)], "1 parameters, and the optimizer's has 2"),
        (torch.optim.Adam, [(4,), (2, 3)], r"exp_avg has the shape \(4,\), and the parameter has \(2, 3\)"),
    ],
)
def test_an_optimizer_of_other_parameters_changes_nothing(
    tmp_path: Path, save: Any, make: Any, shapes: list[tuple[int, ...]], difference: str
) -> None:
    optimizer, model = torch.optim.Adam([nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))]), nn.Linear(1, 1)
    before = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
    saved = save(tmp_path, {"model": nn.Linear(1, 1), "optimizer": stepped(make, *shapes)})
    with pytest.raises(RuntimeError, match=rf"to_load\['optimizer'\] \(Adam\).*{difference}"):
        Checkpoint.load_objects({"model": model, "optimizer": optimizer}, saved)
    assert same([model.state_dict(), optimizer.state_dict()], before)


def test_the_class_of_a_single_object_is_checked_under_any_name(tmp_path: Path) -> None:
    path = saved_by_path(tmp_path, {"first": stepped(torch.optim.Adam)})
    with pytest.raises(RuntimeError, match=r"to_load\['second'\] \(AdamW\).*Adam\b"):
        Checkpoint.load_objects({"second": stepped(torch.optim.AdamW)}, path)
    Checkpoint.load_objects({"second": stepped(torch.optim.AdamW)}, torch.load(path, weights_only=True))


def test_an_optimizer_of_a_renamed_class_is_loaded(tmp_path: Path) -> None:
    class Before(torch.optim.Adam):
        pass

    class After(torch.optim.Adam):
        pass

    path = saved_by_path(tmp_path, {"optimizer": stepped(Before)})
    target = After([nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(4))])
    Checkpoint.load_objects({"optimizer": target}, path)
    assert len(target.state) == 2


@pytest.mark.parametrize(
    "state", [[1], {"state": {}, "param_groups": [1]}, {"state": [], "param_groups": [{}]}, {"a": 1}]
)
def test_a_state_that_no_optimizer_has_is_refused(state: Any) -> None:
    number, optimizer = Number("own"), stepped(torch.optim.Adam)
    with pytest.raises(RuntimeError, match=r"to_load\['optimizer'\] \(Adam\)"):
        Checkpoint.load_objects(
            {"number": number, "optimizer": optimizer}, {"number": {"value": "saved"}, "optimizer": state}
        )
    assert number.value == "own"


def test_options_that_a_version_of_torch_has_added_are_not_missing() -> None:
    state = stepped(torch.optim.Adam).state_dict()
    for name in ("foreach", "fused", "capturable", "differentiable"):
        del state["param_groups"][0][name]
    target = stepped(torch.optim.Adam)
    Checkpoint.load_objects({"optimizer": target}, state)
    target.step()


def test_an_optimizer_with_its_own_loading_is_loaded_as_it_likes() -> None:
    class Own(torch.optim.SGD):
        def load_state_dict(self, state_dict: Any) -> None:
            if "loaded" not in state_dict:
                raise KeyError("loaded")
            self.loaded = state_dict["loaded"]

    optimizer = Own([nn.Parameter(torch.ones(1))], lr=0.1)
    Checkpoint.load_objects({"o": optimizer}, {"loaded": 1})
    with pytest.raises(RuntimeError, match=r"to_load\['o'\] \(Own\).*KeyError\('loaded'\)"):
        Checkpoint.load_objects({"o": optimizer}, {"other": 2})
    assert optimizer.loaded == 1


@ways
def test_a_scheduler_of_another_class_changes_nothing(tmp_path: Path, save: Any) -> None:
    def scheduler(kind: Callable[[Any], LRScheduler]) -> LRScheduler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(stepped(sgd))

    own = scheduler(lambda optimizer: CosineAnnealingLR(optimizer, 10))
    before = copy.deepcopy(own.state_dict())
    saved = save(tmp_path, {"scheduler": scheduler(lambda optimizer: StepLR(optimizer, 3)), "n": Number()})
    with pytest.raises(RuntimeError, match=r"to_load\['scheduler'\] \(CosineAnnealingLR\).*(StepLR|T_max.*gamma)"):
        Checkpoint.load_objects({"scheduler": own, "n": Number()}, saved)
    assert same(own.state_dict(), before)


# Objects whose load fails


@pytest.mark.parametrize("names", [["first", "picky"], ["picky", "first"]])
def test_objects_get_their_states_back_if_another_one_fails(names: list[str]) -> None:
    objects = {"first": Number("own"), "picky": Picky("own")}
    with pytest.raises(RuntimeError, match=r"to_load\['picky'\] \(Picky\): not own"):
        Checkpoint.load_objects({name: objects[name] for name in names}, {name: {"value": "saved"} for name in names})
    assert [one.value for one in objects.values()] == ["own", "own"]


def test_modules_and_optimizers_are_as_before_if_another_object_fails(tmp_path: Path) -> None:
    class OwnLoading(nn.Linear):
        calls = 0

        def load_state_dict(self, state: Any, *arguments: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return super().load_state_dict(state, *arguments, **kwargs)

    objects = {"plain": nn.Linear(1, 1), "own": OwnLoading(1, 1), "optimizer": stepped(sgd), "picky": Picky("own")}
    path = saved_by_path(
        tmp_path,
        {"plain": nn.Linear(1, 1), "own": OwnLoading(1, 1), "optimizer": stepped(sgd), "picky": Number("saved")},
    )
    before = copy.deepcopy({name: one.state_dict() for name, one in objects.items()})  # type: ignore[attr-defined]
    state = objects["optimizer"].state  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="picky"):
        Checkpoint.load_objects(objects, path)
    assert same({name: one.state_dict() for name, one in objects.items()}, before)  # type: ignore[attr-defined]
    assert objects["optimizer"].state is state  # type: ignore[attr-defined]
    assert objects["own"].calls == 0  # type: ignore[attr-defined]


def test_a_module_that_changes_old_keys_when_it_is_loaded_still_loads() -> None:
    class Renamed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.new = nn.Parameter(torch.zeros(1))

        def _load_from_state_dict(self, state: Any, prefix: str, *arguments: Any) -> None:
            if prefix + "old" in state:
                state[prefix + "new"] = state.pop(prefix + "old")
            super()._load_from_state_dict(state, prefix, *arguments)

    module = nn.Sequential(Renamed(), nn.Linear(1, 1))
    weights = {"0.old": torch.ones(1), "1.weight": torch.ones(1, 1), "1.bias": torch.ones(1)}
    Checkpoint.load_objects({"m": module}, dict(weights))
    assert [parameter.item() for parameter in module.parameters()] == [1.0, 1.0, 1.0]
    with pytest.raises(RuntimeError, match=r"to_load\['m'\].*1.bias"):
        Checkpoint.load_objects({"m": module}, {"0.old": torch.zeros(1), "1.weight": torch.zeros(1, 1)})
    assert [parameter.item() for parameter in module.parameters()] == [1.0, 1.0, 1.0]


def trained(epochs: int) -> tuple[Engine, EMAHandler, EarlyStopping]:
    """Return an engine with two handlers that have states, after these epochs of its run."""
    model, engine = nn.Linear(1, 1), Engine(echo)
    nn.init.constant_(model.weight, epochs)
    average = EMAHandler(model, momentum=0.5)
    average.attach(engine)
    stopping = EarlyStopping(10, lambda engine: -engine.state.epoch, engine)
    engine.add_event_handler(Events.EPOCH_COMPLETED, stopping)
    engine.state.mine = epochs
    engine.resumes_exactly = True
    if epochs:
        engine.run([1, 2, 3], max_epochs=epochs)
    return engine, average, stopping


@pytest.mark.parametrize("suspended", [False, True])
def test_an_engine_is_as_before_if_another_object_fails(suspended: bool) -> None:
    saved = trained(2)[0].state_dict()
    engine, average, stopping = trained(0)
    if suspended:
        engine.run([1, 2, 3], max_epochs=5, until=Events.ITERATION_COMPLETED(once=4))
    before = copy.deepcopy(
        (engine.state.attributes(), engine.state_dict(), average.state_dict(), stopping.state_dict())
    )
    twin = copy.deepcopy(engine)
    with pytest.raises(RuntimeError, match="picky"):
        Checkpoint.load_objects({"engine": engine, "picky": Picky(1)}, {"engine": saved, "picky": {"value": 2}})
    after = engine.state.attributes(), engine.state_dict(), average.state_dict(), stopping.state_dict()
    assert same(after, before)
    runs: list[list[Any]] = []
    for one in (engine, twin):
        events: list[Any] = []
        with one.observe(lambda _, transition, events=events: events.append(str(transition))):
            one.run(None if suspended else [1, 2, 3], max_epochs=5)
        runs.append(events)
    assert runs[0] == runs[1]


def test_a_handler_that_fails_leaves_its_engine_as_it_was() -> None:
    engine, average, _ = trained(1)
    saved = copy.deepcopy(trained(3)[0].state_dict())
    saved["handlers"]["EMAHandler"]["ema_model"].pop("bias", None)
    before = copy.deepcopy((engine.state.attributes(), engine.state_dict(), average.state_dict()))
    with pytest.raises(RuntimeError, match=r"to_load\['engine'\] \(Engine\)"):
        Checkpoint.load_objects({"engine": engine}, {"engine": saved})
    assert same((engine.state.attributes(), engine.state_dict(), average.state_dict()), before)


def test_resume_skips_a_file_that_does_not_fit_and_changes_nothing_by_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def handler(width: int, value: Any) -> tuple[Checkpoint, nn.Linear, Number]:
        model, number, engine = nn.Linear(width, 1), Number(value), Engine(echo)
        engine.state.iteration = width
        return Checkpoint({"number": number, "model": model}, tmp_path, n_saved=None), model, number

    for width in (1, 2):
        checkpoint, _, _ = handler(width, f"saved {width}")
        engine = Engine(echo)
        engine.state.iteration = width
        checkpoint(engine)
    checkpoint, model, number = handler(1, "own")
    assert checkpoint.resume() == tmp_path / "checkpoint_1.pt"
    assert number.value == "saved 1"
    (message,) = caplog.messages
    assert "checkpoint_2.pt" in message
    assert "to_load['model'] (Linear)" in message
    checkpoint, model, number = handler(3, "own")
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match="none of the checkpoints is valid"):
        checkpoint.resume()
    assert (number.value, same(model.state_dict(), before)) == ("own", True)
