"""`State`, the counters of events, and the state dict of an engine."""

from __future__ import annotations

import json
import pickle
import re
from collections import OrderedDict, UserDict
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fsm_engine._util.errors import BusyError
from fsm_engine.engine.engine import Engine
from fsm_engine.events.events import EventEnum, Events
from fsm_engine.lifecycle.lifecycle import Lifecycle
from fsm_engine.runtime.state import COUNTERS, State


class Mine(EventEnum):
    FOO = "foo"
    BAR = "bar"


def echo(engine: Engine, batch: Any) -> Any:
    return batch


def test_a_new_state_has_counters_at_zero_and_nothing_else_set() -> None:
    assert State().attributes() == {
        "batch": None,
        "dataloader": None,
        "epoch": 0,
        "epoch_length": None,
        "errors": {},
        "iteration": 0,
        "max_epochs": None,
        "max_iters": None,
        "metrics": {},
        "output": None,
        "seed": None,
        "times": {"EPOCH_COMPLETED": None, "COMPLETED": None},
    }


def test_a_state_takes_attributes_by_name_and_any_further_ones() -> None:
    state = State(iteration=3, metrics={"accuracy": 0.5}, alpha=0.25)
    state.beta = "b"
    assert (state.iteration, state.metrics, state.alpha) == (3, {"accuracy": 0.5}, 0.25)
    assert list(state.attributes().items())[-2:] == [("alpha", 0.25), ("beta", "b")]


def test_states_share_nothing() -> None:
    one, other = State(), State()
    one.metrics["accuracy"] = one.times["COMPLETED"] = 1.0
    assert (other.metrics, other.times["COMPLETED"]) == ({}, None)


def test_a_state_shows_numbers_and_strings_by_value_and_the_rest_by_type() -> None:
    assert repr(State(iteration=2, batch=[1], alpha=0.5, name="run", flag=True)) == (
        "State:\n"
        "\tbatch: <class 'list'>\n"
        "\tdataloader: <class 'NoneType'>\n"
        "\tepoch: 0\n"
        "\tepoch_length: <class 'NoneType'>\n"
        "\terrors: <class 'dict'>\n"
        "\titeration: 2\n"
        "\tmax_epochs: <class 'NoneType'>\n"
        "\tmax_iters: <class 'NoneType'>\n"
        "\tmetrics: <class 'dict'>\n"
        "\toutput: <class 'NoneType'>\n"
        "\tseed: <class 'NoneType'>\n"
        "\ttimes: <class 'dict'>\n"
        "\talpha: 0.5\n"
        "\tname: run\n"
        "\tflag: True\n"
    )


@pytest.mark.parametrize("event", list(Events))
def test_iterations_and_epochs_are_counted_for_the_events_of_pytorch_ignite(event: Events) -> None:
    state = State(iteration=7, epoch=3)
    expected = {"iteration": 7, "epoch": 3}.get(COUNTERS.get(event, ""))
    if expected is None:
        with pytest.raises(RuntimeError, match=f"^Unknown event name '{event}'"):
            state.get_event_attrib_value(event)
    else:
        assert state.get_event_attrib_value(event) == state.get_event_attrib_value(event(every=2)) == expected


def test_events_have_the_same_counters_as_in_pytorch_ignite() -> None:
    ignite = pytest.importorskip("ignite.engine")
    theirs = {
        event.name: attribute for event, attribute in ignite.State.event_to_attr.items() if event in ignite.Events
    }
    assert {event.name: attribute for event, attribute in COUNTERS.items()} == theirs


def test_an_event_without_a_counter_is_an_error_that_lists_events_with_a_counter() -> None:
    known = re.escape(", ".join(map(str, COUNTERS)))
    with pytest.raises(RuntimeError, match=rf"^Unknown event name .*Mine\.FOO.*{known}"):
        State().get_event_attrib_value(Mine.FOO(every=2))


def test_the_users_counters_are_made_at_once_and_belong_to_their_events() -> None:
    engine = Engine(echo)
    engine.state.bars = 7
    engine.register_events(Mine.FOO, Mine.BAR, "baz", event_to_attr={Mine.FOO: "foos", Mine.BAR: "bars", "baz": "n"})
    assert (engine.state.foos, engine.state.bars, engine.state.n) == (0, 7, 0)
    engine.state.foos = 2
    assert engine.state.get_event_attrib_value(Mine.FOO) == 2
    assert engine.state.get_event_attrib_value(Mine.BAR(every=3)) == 7
    assert engine.state.get_event_attrib_value("baz") == 0


def test_a_state_that_replaces_another_counts_the_same_events() -> None:
    engine = Engine(echo)
    engine.register_events(Mine.FOO, Mine.BAR, event_to_attr={Mine.FOO: "foos", Mine.BAR: "bars"})
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(once=3), lambda: called.append(engine.state.foos))
    engine.state = State(foos=3)
    engine.fire_event(Mine.FOO)
    assert (called, engine.state.foos, engine.state.bars) == ([3], 3, 0)
    assert engine.state.get_event_attrib_value(Mine.FOO) == 3


@pytest.mark.parametrize("state", [None, {}, State])
def test_only_a_state_can_replace_the_state(state: Any) -> None:
    engine = Engine(echo)
    before = engine.state
    with pytest.raises(TypeError, match=rf"State, got {re.escape(repr(state))}\. .*fsm_engine\.State\("):
        engine.state = state
    assert engine.state is before


def test_a_run_resets_counters_and_limits_but_not_the_users_attributes() -> None:
    engine = Engine(echo)
    engine.state.alpha = 1
    engine.state.metrics["accuracy"] = 0.5
    state = engine.run([1, 2], max_epochs=2)
    engine.run([5, 6, 7], max_epochs=2)
    assert state is engine.state
    assert (state.alpha, state.metrics, state.output) == (1, {"accuracy": 0.5}, 7)
    assert (state.iteration, state.epoch, state.epoch_length, state.max_epochs) == (6, 2, 3, 2)


def test_a_state_replaced_by_a_handler_is_used_from_the_next_phase_on() -> None:
    engine = Engine(echo)
    replaced = State(**{**engine.state.attributes(), "max_epochs": 1, "epoch_length": 2, "dataloader": [1, 2]})

    @engine.on(Events.STARTED)
    def _() -> None:
        engine.state = replaced

    assert engine.run([1, 2]) is replaced
    assert (replaced.iteration, replaced.epoch, replaced.output) == (2, 1, 2)


def test_a_state_replaced_by_the_step_gets_its_output() -> None:
    def step(engine: Engine, batch: Any) -> Any:
        engine.state = State(**engine.state.attributes())
        return batch * 10

    assert Engine(step).run([1]).output == 10


# The state dict


class Walk:
    """An engine that logs its steps as (epoch, iteration, batch)."""

    def __init__(self) -> None:
        self.engine = Engine(self._step)
        self._steps: list[Any] = []

    def _step(self, engine: Engine, batch: Any) -> None:
        self._steps.append((engine.state.epoch, engine.state.iteration, batch))

    def run(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Run the engine and return the steps of this run."""
        self._steps = []
        self.engine.run(*args, **kwargs)
        return self._steps

    @property
    def counters(self) -> tuple[Any, ...]:
        """The counters and limits of the state."""
        state = self.engine.state
        return state.epoch, state.iteration, state.epoch_length, state.max_epochs, state.max_iters


@pytest.fixture
def walk() -> Walk:
    return Walk()


def test_the_dict_has_length_iteration_and_limit_in_that_order(walk: Walk) -> None:
    walk.run([7, 8], max_epochs=3)
    given = walk.engine.state_dict()
    assert isinstance(given, OrderedDict)
    assert list(given.items()) == [("epoch_length", 2), ("iteration", 6), ("max_epochs", 3)]


def test_the_dict_of_a_run_of_iterations_has_max_iters_instead(walk: Walk) -> None:
    walk.run([7, 8], max_iters=3)
    assert list(walk.engine.state_dict().items()) == [("epoch_length", 2), ("iteration", 3), ("max_iters", 3)]


def test_the_users_keys_come_last_and_in_their_order(walk: Walk) -> None:
    walk.engine.state_dict_user_keys += ["beta", "alpha"]
    walk.engine.state.alpha, walk.engine.state.beta = 0.5, [1]
    walk.run([7])
    assert list(walk.engine.state_dict().items())[3:] == [("beta", [1]), ("alpha", 0.5)]


def test_a_users_key_that_the_state_does_not_have_is_an_error(walk: Walk) -> None:
    walk.engine.state_dict_user_keys += ["alpha", "iteration", "beta"]
    with pytest.raises(ValueError, match=r"^state_dict_user_keys .*\['alpha', 'beta'\].*engine\.state\.alpha"):
        walk.engine.state_dict()


def test_the_dict_of_a_fresh_engine_loads_back(walk: Walk) -> None:
    given = Walk().engine.state_dict()
    assert dict(given) == {"epoch_length": None, "iteration": 0, "max_epochs": None}
    walk.engine.load_state_dict(given)
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]


def test_the_dict_holds_plain_data(walk: Walk) -> None:
    walk.run([7, 8])
    given = walk.engine.state_dict()
    assert json.loads(json.dumps(given)) == pickle.loads(pickle.dumps(given)) == dict(given)


def test_torch_loads_the_dict_without_trusting_it(walk: Walk, tmp_path: Any) -> None:
    torch = pytest.importorskip("torch")
    walk.engine.state_dict_user_keys.append("alpha")
    walk.engine.state.alpha = 0.5
    walk.run([7, 8])
    torch.save(walk.engine.state_dict(), tmp_path / "engine.pt")
    assert torch.load(tmp_path / "engine.pt", weights_only=True) == walk.engine.state_dict()


def test_the_dict_of_an_active_run_counts_the_current_iteration(walk: Walk) -> None:
    seen: list[int] = []
    walk.engine.add_event_handler(
        Events.ITERATION_COMPLETED, lambda engine: seen.append(engine.state_dict()["iteration"])
    )
    walk.run([7, 8])
    assert seen == [1, 2]


@pytest.mark.parametrize(
    ("given", "counters"),
    [
        ({"epoch_length": 4, "iteration": 8, "max_epochs": 5}, (2, 8, 4, 5, None)),
        ({"epoch_length": 4, "iteration": 10, "max_epochs": 5}, (2, 10, 4, 5, None)),
        ({"epoch_length": 4, "epoch": 2, "max_epochs": 5}, (2, 8, 4, 5, None)),
        ({"epoch_length": 4, "iteration": 10, "max_iters": 12}, (2, 10, 4, None, 12)),
        ({"epoch_length": 4, "epoch": 2, "max_iters": 12}, (2, 8, 4, None, 12)),
        ({"epoch_length": 4, "iteration": 0, "max_epochs": 5}, (0, 0, 4, 5, None)),
        ({"epoch_length": 4, "iteration": 8, "max_epochs": 2}, (2, 8, 4, 2, None)),
        ({"epoch_length": None, "iteration": 0, "max_epochs": 5}, (0, 0, None, 5, None)),
        ({"epoch_length": None, "epoch": 0, "max_iters": None}, (0, 0, None, None, None)),
        ({"epoch_length": 4, "iteration": 8, "max_epochs": None}, (2, 8, 4, None, None)),
        ({"epoch_length": 4, "iteration": 8, "max_epochs": 5, "something": "else"}, (2, 8, 4, 5, None)),
    ],
)
def test_loading_sets_counters_and_limits(walk: Walk, given: dict[str, Any], counters: tuple[Any, ...]) -> None:
    walk.engine.state.max_epochs, walk.engine.state.max_iters, walk.engine.state.alpha = 9, 9, 0.5
    walk.engine.load_state_dict(given)
    assert walk.counters == counters
    assert walk.engine.state.alpha == 0.5


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict, MappingProxyType])
def test_any_mapping_can_be_loaded(walk: Walk, kind: Any) -> None:
    walk.engine.load_state_dict(kind({"epoch_length": 4, "iteration": 4, "max_epochs": 2}))
    assert walk.counters == (1, 4, 4, 2, None)


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
@pytest.mark.parametrize(
    ("iteration", "events"),
    [
        # the loaded run had done nothing, so this run starts
        (
            0,
            [
                "STARTED",
                *["EPOCH_STARTED", *["ITERATION_STARTED"] * 2, "EPOCH_COMPLETED"] * 2,
                "COMPLETED",
            ],
        ),
        (
            1,
            [
                *("STARTED", "RESUMED", "EPOCH_STARTED", "ITERATION_STARTED", "EPOCH_COMPLETED"),
                *("EPOCH_STARTED", *["ITERATION_STARTED"] * 2, "EPOCH_COMPLETED", "COMPLETED"),
            ],
        ),
        (2, [*("STARTED", "RESUMED", "EPOCH_STARTED"), *["ITERATION_STARTED"] * 2, "EPOCH_COMPLETED", "COMPLETED"]),
        (3, [*("STARTED", "RESUMED", "EPOCH_STARTED"), "ITERATION_STARTED", "EPOCH_COMPLETED", "COMPLETED"]),
        # the limit was reached, so a new run starts
        (4, [*("STARTED", "EPOCH_STARTED"), *["ITERATION_STARTED"] * 2, "EPOCH_COMPLETED", "COMPLETED"]),
    ],
)
def test_a_loaded_run_is_announced_as_resumed_once_and_started_once(
    iteration: int, events: list[str], driver: str
) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    engine = Engine(echo)
    engine.load_state_dict({"epoch_length": 2, "iteration": iteration, "max_epochs": 2})
    log: list[str] = []
    for event in [event for event in Events if event.name in {*events, "RESUMED", "INTERRUPT", "TERMINATE"}]:
        engine.add_event_handler(event, lambda engine: log.append(engine.phase.name))
    engine.run([7, 8], driver=driver)
    assert log == events


@pytest.mark.parametrize("given", [{"iteration": 0}, {"epoch": 0}])
@pytest.mark.parametrize("limit", [{"max_epochs": 2}, {"max_iters": 3}])
def test_a_loaded_run_that_had_done_nothing_starts_as_in_pytorch_ignite(
    given: dict[str, int], limit: dict[str, int]
) -> None:
    ignite = pytest.importorskip("ignite.engine")
    logs: list[list[str]] = []
    for library_engine, events in ((ignite.Engine, ignite.Events), (Engine, Events)):
        engine = library_engine(echo)
        logs.append([])
        for event in events:
            if event.name in {*ignite.Events.__members__} - {"EXCEPTION_RAISED", "TERMINATE_SINGLE_EPOCH"}:
                engine.add_event_handler(event, lambda _, name=event.name: logs[-1].append(name))
        engine.load_state_dict({"epoch_length": 2, **given, **limit})
        engine.run([7, 8])
        logs[-1].append(str((engine.state.iteration, engine.state.epoch, engine.state.epoch_length)))
    assert logs[0] == logs[1]


def test_a_loaded_run_that_had_done_nothing_counts_events_from_zero_and_keeps_its_limits() -> None:
    engine = Engine(lambda engine, batch: engine.fire_event(Mine.FOO))
    engine.register_events(Mine.FOO)
    engine.lifecycle.insert(Mine.BAR, after=Events.STARTED, counter="bars")
    called: list[int] = []
    engine.add_event_handler(Mine.FOO(once=1), lambda: called.append(engine.state.iteration))
    fresh = engine.state_dict()
    engine.run([7, 8])
    engine.load_state_dict({**fresh, "epoch_length": 2, "max_epochs": 2})
    engine.run([7, 8])
    assert (called, engine.state.bars, engine.state.iteration, engine.state.max_epochs) == ([1, 1], 1, 4, 2)


def test_a_loaded_run_that_had_entered_a_user_phase_is_resumed() -> None:
    engine = Engine(echo)
    engine.lifecycle.insert(Mine.BAR, after=Events.STARTED, counter="bars")
    engine.load_state_dict({"epoch_length": 2, "iteration": 0, "max_epochs": 2, "bars": 1})
    assert moves_of(engine, [7, 8])[:4] == [
        "IDLE --run--> STARTED",
        "STARTED --loaded--> RESUMED",
        "RESUMED --resume--> STARTED",
        "STARTED --bar--> BAR",
    ]
    assert engine.state.bars == 2


def test_a_loaded_run_enters_resumed_and_returns_to_started() -> None:
    engine = Engine(echo)
    engine.load_state_dict({"epoch_length": 2, "iteration": 2, "max_epochs": 2})
    moves: list[str] = []
    engine.observe(lambda engine, transition: moves.append(str(transition)))
    engine.run([7, 8])
    assert moves[:4] == [
        "IDLE --run--> STARTED",
        "STARTED --loaded--> RESUMED",
        "RESUMED --resume--> STARTED",
        "STARTED --next_epoch--> EPOCH_STARTED",
    ]


def moves_of(engine: Engine, *args: Any, **kwargs: Any) -> list[str]:
    """Run `engine` and return the moves of this run."""
    moves: list[str] = []
    with engine.observe(lambda engine, transition: moves.append(str(transition))):
        engine.run(*args, **kwargs)
    return moves


@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_loaded_run_enters_phases_inserted_after_started_once(driver: str, observed: bool) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    log: list[str] = []
    lifecycle = Lifecycle.training(echo)
    lifecycle.insert(Mine.BAR, after=Events.STARTED, activity=lambda engine: log.append(f"{engine.phase} acts"))
    lifecycle.insert(Mine.FOO, after=Events.STARTED, activity=lambda engine: log.append(f"{engine.phase} acts"))
    engine = Engine(lifecycle=lifecycle)
    for event in (Events.STARTED, Events.RESUMED, *Mine, Events.EPOCH_STARTED) if observed else ():
        engine.add_event_handler(event, lambda engine: log.append(engine.phase.name))
    engine.load_state_dict({"epoch_length": 2, "iteration": 2, "max_epochs": 2})
    engine.run([7, 8], driver=driver)
    whole = ["STARTED", "RESUMED", "FOO", "FOO acts", "BAR", "BAR acts", "EPOCH_STARTED"]
    assert log == (whole if observed else ["FOO acts", "BAR acts"])


def test_the_exit_to_resumed_stays_with_started_when_a_phase_is_inserted_after_it() -> None:
    walks: list[list[str]] = []
    for inserted in (True, False):
        lifecycle = Lifecycle.training(echo)
        if inserted:
            lifecycle.insert(Mine.FOO, after=Events.STARTED)
        else:
            lifecycle.add_phase(Mine.FOO)
            lifecycle.add_path(Events.STARTED >> Mine.FOO >> Events.EPOCH_STARTED, required=True)
        engine = Engine(lifecycle=lifecycle)
        engine.load_state_dict({"epoch_length": 2, "iteration": 2, "max_epochs": 2})
        walks.append(moves_of(engine, [7, 8])[:4])
    assert (
        walks[0]
        == walks[1]
        == [
            "IDLE --run--> STARTED",
            "STARTED --loaded--> RESUMED",
            "RESUMED --resume--> STARTED",
            "STARTED --foo--> FOO",
        ]
    )


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        (False, ["STARTED", "FOO", "RESUMED", "EPOCH_STARTED"]),
        (True, ["STARTED", "FOO", "FOO acts", "EPOCH_STARTED"]),  # returning to it would run its activity again
    ],
)
def test_a_loaded_run_whose_start_fails_does_not_recover_twice(
    activity: bool, expected: list[str], driver: str
) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    log: list[str] = []
    engine = Engine(echo)
    engine.lifecycle.add_phase(Mine.FOO, activity=(lambda: log.append("FOO acts")) if activity else None)
    engine.lifecycle.add_transition(Events.STARTED >> Mine.FOO, error=OSError)
    engine.lifecycle.add_exits(Mine.FOO, like=Events.STARTED)
    for event in (Events.STARTED, Events.RESUMED, Mine.FOO, Events.EPOCH_STARTED):
        engine.add_event_handler(event, lambda engine: log.append(engine.phase.name))

    @engine.on(Events.STARTED)
    def _() -> None:
        raise OSError

    engine.load_state_dict({"epoch_length": 2, "iteration": 2, "max_epochs": 2, "errors": {}})
    engine.run([7, 8], driver=driver)
    assert log == expected


@pytest.mark.parametrize("driver", ["compiled", "transitions"])
def test_a_loaded_run_that_is_suspended_at_started_is_resumed_once(driver: str) -> None:
    if driver == "transitions":
        pytest.importorskip("transitions")
    engine = Engine(echo)
    engine.load_state_dict({"epoch_length": 2, "iteration": 2, "max_epochs": 2})
    assert moves_of(engine, [7, 8], until=Events.STARTED, driver=driver) == [
        "IDLE --run--> STARTED",
        "STARTED --interrupt--> INTERRUPT",
    ]
    assert moves_of(engine, driver=driver)[:3] == [
        "INTERRUPT --run--> RESUMED",
        "RESUMED --resume--> STARTED",
        "STARTED --next_epoch--> EPOCH_STARTED",
    ]


def test_loading_sets_the_users_keys(walk: Walk) -> None:
    walk.engine.state_dict_user_keys.append("alpha")
    walk.engine.load_state_dict({"epoch_length": 4, "iteration": 4, "max_epochs": 2, "alpha": 0.5, "beta": 1})
    assert walk.engine.state.alpha == 0.5
    assert not hasattr(walk.engine.state, "beta")


GOOD = {"epoch_length": 4, "iteration": 8, "max_epochs": 5}


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (None, TypeError, "Argument state_dict should be a dictionary, but given <class 'NoneType'>"),
        ([("iteration", 1)], TypeError, "Argument state_dict should be a dictionary, but given <class 'list'>"),
        ({}, ValueError, "Required state attribute 'epoch_length' is absent in provided state_dict '[]'"),
        (
            {"iteration": 8, "epoch": 2},
            ValueError,
            "Required state attribute 'epoch_length' is absent in provided state_dict '['iteration', 'epoch']'",
        ),
        (
            {"epoch_length": 4, "max_epochs": 2},
            ValueError,
            "Required state attribute 'iteration' is absent in provided state_dict '['epoch_length', 'max_epochs']'",
        ),
        (
            {**GOOD, "epoch": 2},
            ValueError,
            "State dictionary should contain only one of 'iteration' or 'epoch' keys; leave one out.",
        ),
        (
            {**GOOD, "max_iters": 20},
            ValueError,
            "State dictionary should contain exactly one of '('max_epochs', 'max_iters')' keys, got "
            "['max_epochs', 'max_iters'].",
        ),
        (
            {"epoch_length": 4, "iteration": 8},
            ValueError,
            "State dictionary should contain exactly one of '('max_epochs', 'max_iters')' keys, got [].",
        ),
        *[
            (
                {**GOOD, "epoch_length": length},
                ValueError,
                "epoch_length must be a positive integer to calculate missing 'iteration' or 'epoch' key, "
                f"got {length}.",
            )
            for length in (None, 0)
        ],
        (
            {**GOOD, "max_epochs": 1},
            ValueError,
            "Argument max_epochs in the state dictionary should be greater than or equal to the start epoch: 1 vs 2.",
        ),
        (
            {"epoch_length": 4, "epoch": 2, "max_iters": 7},
            ValueError,
            "Argument max_iters in the state dictionary should be greater than or equal to the start iteration: "
            "7 vs 8.",
        ),
        *[
            (
                {**GOOD, key: value},
                ValueError,
                f"'{key}' in the state dictionary should be an integer of at least {least}, got {value!r}.",
            )
            for key, least in (("epoch_length", 0), ("iteration", 0), ("max_epochs", 1))
            for value in (-4, 4.0, "4", True)
        ],
        (
            {**GOOD, "iteration": None},
            ValueError,
            "'iteration' in the state dictionary should be an integer of at least 0, got None.",
        ),
        (
            {**GOOD, "iteration": 0, "max_epochs": 0},
            ValueError,
            "'max_epochs' in the state dictionary should be an integer of at least 1, got 0.",
        ),
    ],
)
def test_an_invalid_dict_is_an_error_and_changes_nothing(
    walk: Walk, given: Any, kind: type[Exception], message: str
) -> None:
    walk.run([7, 8], max_epochs=3)
    with pytest.raises(kind, match=f"^{re.escape(message)}$"):
        walk.engine.load_state_dict(given)
    assert walk.counters == (3, 6, 2, 3, None)


def test_a_dict_without_a_users_key_is_an_error_and_changes_nothing(walk: Walk) -> None:
    walk.engine.state_dict_user_keys += ["alpha", "beta"]
    keys = "['epoch_length', 'iteration', 'max_epochs', 'alpha']"
    with pytest.raises(ValueError, match=f"^Required user state attribute 'beta' is absent in .*{re.escape(keys)}"):
        walk.engine.load_state_dict({**GOOD, "alpha": 1})
    assert walk.counters == (0, 0, None, None, None)
    assert not hasattr(walk.engine.state, "alpha")


def test_a_length_of_zero_is_an_error_even_without_progress(walk: Walk) -> None:
    with pytest.raises(ValueError, match="epoch_length"):
        walk.engine.load_state_dict({"epoch_length": 0, "iteration": 0, "max_epochs": 3})
    assert walk.counters == (0, 0, None, None, None)


values = st.none() | st.integers(0, 9)
dicts = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("epoch_length", "iteration", "epoch", "max_epochs", "max_iters"), values)
)
likely = st.fixed_dictionaries({"epoch_length": st.integers(1, 4)}) | st.just({"epoch_length": None})


@settings(deadline=None)
@given(
    dicts
    | st.builds(
        lambda length, progress, done, limit, most: {**length, progress: done, limit: most},
        likely,
        st.sampled_from(("iteration", "epoch")),
        st.integers(0, 9),
        st.sampled_from(("max_epochs", "max_iters")),
        values,
    )
)
def test_dicts_are_loaded_as_in_pytorch_ignite(given: dict[str, Any]) -> None:
    ignite = pytest.importorskip("ignite.engine")
    if given.get("epoch_length") == 0 or any(given.get(key, 0) is None for key in ("iteration", "epoch")):
        return  # Ignite raises another error
    if 0 in (given.get("max_epochs"), given.get("max_iters")):
        return  # Ignite takes 0 for a limit
    results: list[Any] = []
    for library_engine in (ignite.Engine, Engine):
        engine = library_engine(echo)
        try:
            engine.load_state_dict(given)
        except ValueError:
            results.append("refused")
        else:
            state = engine.state
            results.append((state.epoch, state.iteration, state.epoch_length, state.max_epochs, state.max_iters))
    assert results[0] == results[1]


# Runs after loading


def test_a_loaded_run_continues_with_the_next_epoch(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 2, "epoch": 1, "max_epochs": 3})
    assert walk.run([7, 8]) == [(2, 3, 7), (2, 4, 8), (3, 5, 7), (3, 6, 8)]


def test_a_run_loaded_in_the_middle_of_an_epoch_does_the_rest_of_the_epoch(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": 3})
    assert walk.run([7, 8, 9]) == [(2, 5, 8), (2, 6, 9), (3, 7, 7), (3, 8, 8), (3, 9, 9)]
    assert walk.engine.outcome == "completed"


def test_a_loaded_run_takes_another_limit(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 2, "epoch": 1, "max_epochs": 1})
    assert walk.run([7, 8], max_epochs=2) == [(2, 3, 7), (2, 4, 8)]


def test_a_run_loaded_at_its_end_starts_from_zero(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 2, "epoch": 2, "max_epochs": 2})
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]
    assert walk.run([7, 8], max_epochs=2) == [(2, 3, 7), (2, 4, 8)]


def test_a_run_loaded_without_a_limit_starts_from_zero(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": None})
    assert walk.run([7, 8]) == [(1, 1, 7), (1, 2, 8)]


def test_loading_affects_one_run_only(walk: Walk) -> None:
    walk.engine.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": 2})
    assert walk.run([7, 8, 9]) == [(2, 5, 8), (2, 6, 9)]
    assert walk.run([7, 8, 9], max_epochs=3) == [(3, 7, 7), (3, 8, 8), (3, 9, 9)]


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 12))
def test_a_run_saved_at_any_iteration_and_loaded_does_the_remaining_iterations(
    data_length: int, epoch_length: int, epochs: int, stop: int
) -> None:
    data = list(range(data_length))
    whole = Walk().run(data, max_epochs=epochs, epoch_length=epoch_length)
    first, second = Walk(), Walk()
    saved: list[Any] = []
    first.engine.add_event_handler(
        Events.ITERATION_COMPLETED(once=stop) if stop else Events.STARTED,
        lambda engine: saved.append(engine.state_dict()),
    )
    first.run(data, max_epochs=epochs, epoch_length=epoch_length)
    if saved and stop < len(whole):
        second.engine.load_state_dict(saved[0])
        assert second.run(data) == whole[stop:]


def test_loading_at_started_changes_that_run(walk: Walk) -> None:
    load = walk.engine.add_event_handler(
        Events.STARTED, lambda: walk.engine.load_state_dict({"epoch_length": 3, "iteration": 4, "max_epochs": 2})
    )
    assert walk.run([7, 8, 9], max_epochs=1) == [(2, 5, 8), (2, 6, 9)]
    load.remove()
    assert walk.run([7, 8, 9], max_epochs=3) == [(3, 7, 7), (3, 8, 8), (3, 9, 9)]


@pytest.mark.parametrize("data", [[7, 8], None])
@pytest.mark.parametrize("event", [Events.EPOCH_STARTED, Events.ITERATION_STARTED, Events.ITERATION_COMPLETED])
def test_loading_while_an_epoch_is_open_is_an_error(walk: Walk, event: Events, data: Any) -> None:
    walk.engine.add_event_handler(event, lambda: walk.engine.load_state_dict(GOOD))
    with pytest.raises(BusyError, match=rf"^load_state_dict\(\) .*{event.name}.* epoch is open.* STARTED"):
        walk.run(data, epoch_length=2)
    assert walk.engine.state.epoch == 1


def test_loading_drops_a_suspended_run(walk: Walk) -> None:
    walk.engine.add_event_handler(Events.ITERATION_COMPLETED(once=2), lambda: walk.engine.interrupt())
    walk.run([7, 8, 9], max_epochs=2)
    walk.engine.load_state_dict({"epoch_length": 3, "epoch": 1, "max_epochs": 2})
    assert walk.engine.phase.name == "IDLE"
    assert walk.run([7, 8, 9]) == [(2, 4, 7), (2, 5, 8), (2, 6, 9)]
