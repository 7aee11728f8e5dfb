"""Every format preserves every lifecycle: equal when all names are bound, with the same text when none is."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from lifecycles import Building, P, R, plan_of
from programs import Boom

from fsm_engine import Edge, Engine, Events, History, Lifecycle, LifecycleError, Phase, Scope, StepEvents, Transition
from fsm_engine.events.events import is_same
from fsm_engine.graph.code import UserCallable
from fsm_engine.lifecycle.edits import user_callable
from fsm_engine.serialization.dictionary import to_dict

FORMATS = ("dict", "json", "networkx", "graphml", "scxml")
OFTEN = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def written(lifecycle: Lifecycle, form: str) -> Any:
    return getattr(lifecycle, f"to_{form}")()


def read(document: Any, form: str, bind: dict[str, Any] | None = None) -> Lifecycle:
    return getattr(Lifecycle, f"from_{form}")(document, bind)


def binding(lifecycle: Lifecycle) -> dict[str, Any]:
    """Return the bindings of all user objects in `lifecycle`, from it and its dictionary side by side."""
    bind: dict[str, Any] = {}
    document = to_dict(lifecycle)
    for phase, parts in zip(lifecycle.phases, document["phases"]):
        if not isinstance(phase.event, str):
            bind[type(phase.event).__name__] = type(phase.event)
        for code, name in zip(phase.entry, parts.get("entry", [])):
            note(bind, code, name)
        note(bind, phase.activity, parts.get("activity"))
        note(bind, phase.defer, parts.get("defer"))
    for transition, parts in zip(lifecycle.transitions, document["transitions"]):
        note(bind, transition.guard, parts.get("guard"))
        note(bind, transition.action, parts.get("action"))
        bind |= dict(zip(parts.get("error", []), transition.error))
    if "step" in document:
        step = document["step"]
        bind[step if isinstance(step, str) else step["bind"]] = lifecycle.step
    return bind


def note(bind: dict[str, Any], code: Any, name: Any) -> None:
    if isinstance(name, str):
        name = {"call": name}
    if isinstance(code, UserCallable):
        bind[name.get("bind", name["call"])] = code.engine or code.function
        bind.update({key: code.kwargs[argument] for argument, key in name.get("with_bound", {}).items()})
    elif name is not None and "function" in name:
        bind[name.get("bind", name["function"])] = code


def assert_same(one: Lifecycle, other: Lifecycle) -> None:
    assert one == other
    ends = [(t.source, t.target) for t in one.transitions], [(t.source, t.target) for t in other.transitions]
    assert all(is_same(a, b) for pair, twin in zip(*ends) for a, b in zip(pair, twin))
    assert [type(phase.event) for phase in one.phases] == [type(phase.event) for phase in other.phases]
    assert (one.name, one.step, one._required, one._unscoped) == (
        other.name,
        other.step,
        other._required,
        other._unscoped,
    )


def assert_preserved(lifecycle: Lifecycle) -> None:
    """Write and read `lifecycle` in every format, with all names bound and with none."""
    bind = binding(lifecycle)
    text = lifecycle.to_json()
    for form in FORMATS:
        file = written(lifecycle, form)
        assert_same(lifecycle, read(file, form, bind))
        unbound = read(file, form)
        assert unbound.to_json() == text
        assert unbound == read(file, form)
        again = written(unbound, form)
        assert (again == file) if form != "networkx" else (described(again) == described(file))
    assert "unbound" not in [finding.code for finding in read(text, "json", bind).check()]


def described(graph: Any) -> list[Any]:
    return [graph.graph, list(graph.nodes(data=True)), list(graph.edges(keys=True, data=True))]


# Random lifecycles


@pytest.mark.slow
@settings(OFTEN, max_examples=60)
@given(st.integers(0, 2**64 - 1))
def test_every_format_preserves_random_lifecycles(seed: int) -> None:
    assert_preserved(Building(plan_of(seed), ("compiled",)).lifecycle)


def test_random_lifecycles_use_every_key() -> None:
    seen: set[str] = set()
    for seed in range(60):
        document = to_dict(Building(plan_of(seed), ("compiled",)).lifecycle)
        for part in (*document["phases"], *document["transitions"]):
            seen.update(part)
            seen.update(f"{key} object" for key, value in part.items() if isinstance(value, dict))
    wanted = {"counter", "entry", "payload", "defer", "error", "limit", "guard object", "activity object", "to_history"}
    assert wanted - seen == set()
    assert {"from_scope", "action", "signal"} - seen == set()


# Lifecycles with random names and functions


NAMES = st.text(min_size=1, max_size=8).filter(str.isprintable)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ODD = st.builds(object) | st.just(float("nan")) | st.just((1, 2)) | st.just({3: 4}) | st.just(10**5000)


def function_named(name: str) -> Callable[..., bool]:
    def function(*_engine: Any, **_kwargs: Any) -> bool:
        return True

    function.__name__ = name
    return function


class Holder:
    def method(self, engine: Engine, **_kwargs: Any) -> bool:
        return True


@st.composite
def functions(draw: st.DrawFn) -> Any:
    """A function that shares its name with another one or with a part of the library."""
    kind = draw(st.sampled_from(("named", "known", "same", "method")))
    if kind == "method":
        return MethodType(Holder.method, draw(st.sampled_from(HOLDERS)))
    if kind == "same":
        return SAME
    names = st.sampled_from(("no data", "the step", "f", "f#2", "Boom", "P", "a; b")) if kind == "known" else NAMES
    return function_named(draw(names))


HOLDERS, SAME = [Holder(), Holder()], function_named("f")


@st.composite
def codes(draw: st.DrawFn, role: str) -> Any:
    if draw(st.booleans()):
        return draw(functions())
    kwargs = {name: draw(VALUES | ODD) for name in draw(st.lists(st.sampled_from(("a", "b", "data")), unique=True))}
    function = draw(functions())
    return user_callable(function, role, None, kwargs, role == "activity")


@st.composite
def lifecycles(draw: st.DrawFn) -> Lifecycle:
    events: list[Any] = draw(
        st.lists(NAMES | st.sampled_from([*P, *R, *StepEvents]), min_size=1, max_size=5, unique_by=str)
    )
    assume(
        not any(
            isinstance(event, str) and event.partition(".")[0] in ("P", "R", "Events", "StepEvents") for event in events
        )
    )
    scopes: list[Scope | None] = [Scope.RUN, None]
    for name in draw(st.lists(NAMES, max_size=3)):
        scopes.append(Scope(name, draw(st.sampled_from(scopes))))
    lifecycle = Lifecycle(draw(NAMES))
    assume(all(event != phase.event for event in events for phase in lifecycle.phases))
    parts: list[Any] = []
    for number, event in enumerate(events):
        activity = draw(st.none() | codes("activity"))
        entry = tuple(draw(st.lists(codes("entry"), max_size=2)))
        parts.append(
            Phase(event, draw(st.sampled_from(scopes)), entry, activity, defer=draw(st.none() | codes("defer")))
        )
        for exit_ in range(draw(st.integers(0, 2))):
            target = draw(st.sampled_from([*events, History(Scope.RUN)]))
            label = f"{draw(NAMES)}{exit_}{number}"
            guard = draw(codes("guard"))
            parts.append(Transition(event, target, label, guard=guard, action=draw(st.none() | codes("action"))))
        parts.append(Transition(event, [*events, Events.COMPLETED][number + 1], f"{draw(NAMES)}on{number}"))
    try:
        lifecycle.add(*parts)
    except LifecycleError:
        assume(False)
    for number, (source, target) in enumerate(draw(st.lists(st.tuples(*[st.sampled_from(events)] * 2), max_size=2))):
        error = tuple(draw(st.lists(st.sampled_from((Boom, MemoryError, LifecycleError, OTHER_BOOM)), min_size=1)))
        lifecycle.add_transition(Edge(Scope.RUN if number else source, target), error=error, label=f"error {number}")
    lifecycle._required = tuple(draw(st.lists(st.tuples(*[st.sampled_from(events)] * 2), max_size=1)))
    lifecycle._unscoped = frozenset(draw(st.lists(st.sampled_from(events), max_size=1)))
    lifecycle.step = draw(st.none() | functions())
    return lifecycle


OTHER_BOOM = type("Boom", (Exception,), {})


@pytest.mark.slow
@settings(OFTEN, max_examples=60)
@given(lifecycles())
def test_every_format_preserves_random_names(lifecycle: Lifecycle) -> None:
    assert_preserved(lifecycle)


# Lifecycles of the library's factories


def supervised_engines() -> list[Engine]:
    import torch

    from fsm_engine import create_supervised_evaluator, create_supervised_tbptt_trainer, create_supervised_trainer

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    loss = torch.nn.MSELoss()
    trainer = create_supervised_trainer(model, optimizer, loss)
    trainer.lifecycle.insert(P.A, before=StepEvents.OPTIM_STEP_STARTED, activity=collect)
    scaled = create_supervised_trainer(
        model, optimizer, loss, "cpu", amp_mode="amp", scaler=True, gradient_accumulation_steps=2
    )
    evaluator = create_supervised_evaluator(model)
    alternating = Lifecycle("alternating")
    alternating.add_phase(P.A, activity=trainer, scope=Scope("round", Scope.RUN), data=[1, 2], max_epochs=1)
    alternating.add_phase(P.B, activity=evaluator, data=iter([]))
    alternating.add_path(Events.STARTED >> P.A >> P.B >> Events.COMPLETED)
    alternating.require(P.A, before=P.B)
    return [
        trainer,
        scaled,
        create_supervised_tbptt_trainer(model, optimizer, loss, tbtt_step=2),
        evaluator,
        Engine(lifecycle=alternating),
    ]


@pytest.mark.parametrize("number", range(5))
def test_every_format_preserves_the_lifecycles_of_factories(number: int) -> None:
    pytest.importorskip("torch")
    engine = supervised_engines()[number]
    lifecycle = engine.lifecycle
    assert lifecycle.check() == []
    assert_preserved(lifecycle)


def test_a_file_names_the_steps_of_factories() -> None:
    pytest.importorskip("torch")
    steps = [engine.lifecycle.to_dict().get("step") for engine in supervised_engines()]
    training, evaluation = "supervised_training_step", "supervised_evaluation_step"
    assert steps == [training, training, "supervised_tbptt_step", evaluation, None]


def test_every_format_preserves_the_lifecycle_of_a_transitions_machine() -> None:
    transitions = pytest.importorskip("transitions")
    machine = transitions.Machine(
        states=["play", "win", "lose"],
        initial="play",
        transitions=[["won", "play", "win"], ["lost", "play", "lose"], ["again", "lose", "play"]],
        auto_transitions=False,
    )
    assert_preserved(Lifecycle.from_transitions(machine, {"play": lambda: "won"}))


# Lifecycles that were read run


@settings(OFTEN, max_examples=60)
@given(st.integers(0, 2**64 - 1), st.sampled_from(FORMATS))
def test_a_lifecycle_that_was_read_runs_like_the_original(seed: int, form: str) -> None:
    before, after = (Building(plan_of(seed), ("compiled",)) for _ in range(2))
    assume(not before.wrong)
    lifecycle = read(written(after.lifecycle, form), form, binding(after.lifecycle))
    after.engine = Engine(lifecycle=lifecycle)
    after.engine.logger = logging.getLogger("silent")
    after._handles.clear()
    after._attach()
    assert after.run().log == before.run().log


def is_done(engine: Engine) -> bool:
    return True


def collect() -> int:
    return 7


def small() -> Lifecycle:
    lifecycle = Lifecycle("small")
    lifecycle.add_phase(P.A, activity=collect)
    lifecycle.add_path(Events.STARTED >> P.A >> Events.COMPLETED)
    lifecycle.add_transition(P.A >> Events.TERMINATE, guard=is_done)
    lifecycle.add_transition(P.A >> R.SKIP, error=Boom)
    lifecycle.add_exits(R.SKIP, like=P.A)
    return lifecycle


@pytest.mark.parametrize("form", FORMATS)
def test_a_lifecycle_with_unbound_names_can_be_inspected_but_not_run(form: str) -> None:
    lifecycle = read(written(small(), form), form)
    assert [one.event for one in lifecycle.phases if isinstance(one.event, str)] == ["IDLE", "P.A", "R.SKIP"]
    assert "[is_done] -> TERMINATE" in str(lifecycle)
    assert "error Boom -> R.SKIP" in str(lifecycle)
    assert len(lifecycle.to_transitions().states) == len(lifecycle.phases)
    bind = "bind={'collect': ..., 'is_done': ..., 'Boom': ...}"
    finding = lifecycle.check()[0]
    assert ([one.code for one in lifecycle.check()], bind in finding.fix) == (["unbound"], True)
    with pytest.raises(LifecycleError, match=re.escape(bind)):
        Engine(lifecycle=lifecycle).run()
    with pytest.raises(LifecycleError, match=r"collect.*bind={'collect': \.\.\.}"):
        lifecycle.graph.by_name["P.A"].activity(None)


def test_an_unbound_name_with_several_roles_keeps_its_name() -> None:
    document = small().to_dict()
    document["phases"][1]["entry"] = ["Boom", {"call": "shown", "bind": "Boom"}]
    lifecycle = Lifecycle.from_dict(document)
    assert lifecycle.to_dict() == document


def test_events_of_an_unbound_enum_are_strings_and_run() -> None:
    lifecycle = Lifecycle.from_json(small().to_json(), bind={"collect": collect, "is_done": is_done, "Boom": Boom})
    engine, seen = Engine(lifecycle=lifecycle), []
    engine.on("P.A")(lambda: seen.append("A"))
    engine.run()
    assert (seen, engine.state.output, engine.outcome) == (["A"], 7, "completed")


def test_the_step_is_bound_by_its_name() -> None:
    text = Lifecycle.training(step).to_json()
    with pytest.raises(LifecycleError, match=r"step.*bind={'step': \.\.\.}"):
        Engine(lifecycle=Lifecycle.from_json(text)).run([1])
    engine = Engine(lifecycle=Lifecycle.from_json(text, bind={"step": step}))
    assert engine.run([1, 2], max_epochs=2).output == 2


def step(engine: Engine, batch: Any) -> Any:
    return batch


def test_an_incomplete_lifecycle_can_be_completed_after_reading() -> None:
    one = Lifecycle("half")
    one.add_phase(P.A, activity=collect)
    other = Lifecycle.from_dict(one.to_dict(), bind={"P": P, "collect": collect})
    for lifecycle in (one, other):
        lifecycle.add_phase(P.B, scope=Scope("own", Scope.RUN))
        lifecycle.add_path(Events.STARTED >> P.B >> P.A >> Events.COMPLETED)
    assert one.graph.by_name["A"].scope == Scope("own", Scope.RUN)
    assert_same(one, other)


def test_requirements_hold_after_reading() -> None:
    lifecycle = small()
    lifecycle.remove_transition(Events.STARTED >> P.A)
    lifecycle.add_phase(P.B)
    lifecycle.add_path(Events.STARTED >> P.B >> P.A)
    lifecycle.require(P.B, before=P.A)
    other = Lifecycle.from_json(lifecycle.to_json(), bind=binding(lifecycle))
    other.add_transition(Events.STARTED >> P.A, guard=is_done)
    assert [finding.code for finding in other.check()] == ["required"]


# Machines of the transitions library, which hold less


@settings(OFTEN, max_examples=60)
@given(st.integers(0, 2**64 - 1))
def test_a_transitions_machine_has_the_phases_and_the_moves(seed: int) -> None:
    lifecycle = Building(plan_of(seed), ("compiled",)).lifecycle
    graph = lifecycle.to_networkx()
    machine = lifecycle.to_transitions()
    assert (list(machine.states), machine.initial) == (list(graph), "IDLE")
    moves = sorted((data["label"], source, target) for source, target, data in graph.edges(data=True))
    assert moves_of(machine) == moves


def moves_of(machine: Any) -> list[tuple[str, str, str]]:
    events = machine.events.items()
    return sorted((label, t.source, t.dest) for label, event in events for ts in event.transitions.values() for t in ts)


MACHINES = st.lists(st.tuples(*[st.sampled_from("abcd")] * 2), min_size=1, max_size=8, unique=True)


@settings(OFTEN, max_examples=60)
@given(MACHINES, st.randoms(use_true_random=False))
def test_a_transitions_machine_survives_the_round_trip(moves: list[tuple[str, str]], rng: Any) -> None:
    import transitions

    written = [{"trigger": f"go{rng.randint(0, 2)}", "source": a, "dest": b} for a, b in moves]
    machine = transitions.Machine(states=[*"abcd"], initial=moves[0][0], transitions=written, auto_transitions=False)
    twin = Lifecycle.from_transitions(machine, {}).to_transitions()
    ends = [(source, target) for _, source, target in moves_of(twin) if {source, target} <= set("abcd")]
    assert sorted(ends) == sorted(moves)
    assert ("Events.STARTED", moves[0][0]) in [(source, target) for _, source, target in moves_of(twin)]
    own = Counter((t["trigger"], t["source"]) for t in written)
    labels = [(label, source) for label, source, target in moves_of(twin)]
    assert all(key in labels for key in own)
